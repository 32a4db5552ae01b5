"""The examples in the docstrings of layers give what they say, on Keras 2 and on Keras 3."""

import doctest
import importlib
from pathlib import Path

import pytest

import layers

_WITH_EXAMPLES = sorted(
    file.stem for file in Path(layers.__path__[0]).glob("*.py") if ">>> " in file.read_text("utf-8")
)


def test_layers_have_examples():
    assert len(_WITH_EXAMPLES) >= 13


@pytest.mark.parametrize("name", _WITH_EXAMPLES)
def test_the_example_gives_what_it_says(name):
    found = doctest.testmod(importlib.import_module(f"layers.{name}"))
    assert found.attempted
    assert not found.failed
