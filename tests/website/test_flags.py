"""The help of the terminal and the page of flags name every option, and what was probably meant by a wrong one."""

import doctest
import re

import pytest

import models
import train_amazon_whole_models
import train_movielens_whole_models
import train_whole_models
from experiments import command_line as benchmark
from prerank import command_line as prerank
from prerank import hints
from prerank.errors import InputError
from training import option_help
from training.app import main
from training.options import RunOptions
from website import flags

_SCRIPTS = (train_movielens_whole_models, train_amazon_whole_models, train_whole_models)


def test_the_page_is_the_one_that_the_options_give():
    assert flags.PAGE.read_text("utf-8") == flags.page(), "run: python -m website.flags"


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda script: script.__name__)
@pytest.mark.parametrize("model", ["hit", "gbdt"])
def test_help_has_every_option_once(script, model, capsys):
    with pytest.raises(SystemExit) as left:
        main(script.SOURCE, ["--model_name", model, "--help"])
    assert left.value.code == 0
    shown = re.findall(r"^  --(\w+)", capsys.readouterr().out, re.MULTILINE)
    options = models.get(model).options
    expected = {*RunOptions.model_fields, *script.SOURCE.options.model_fields, *options.model_fields}
    assert sorted(shown) == sorted({*expected, "help", "config"})


def test_help_is_in_groups_with_plain_types_and_an_example(capsys):
    with pytest.raises(SystemExit):
        main(train_movielens_whole_models.SOURCE, ["--help"])
    text = capsys.readouterr().out
    assert re.search(r"^options of hit:$", text, re.MULTILINE)
    assert re.search(r"^example:\n  python .*--model_name hit", text, re.MULTILINE)
    assert re.search(r"^  --hidden_units INT,... ", text, re.MULTILINE)
    assert re.search(r"\(default:\s+300,300\)", text)
    assert not re.search(r"tuple\[|Path\b|\bint\b|\bfloat\b|None", text)


def test_a_data_sets_own_default_is_shown(capsys):
    with pytest.raises(SystemExit):
        main(train_amazon_whole_models.SOURCE, ["--help"])
    text = capsys.readouterr().out
    for name, own in train_amazon_whole_models.SOURCE.defaults.items():
        assert re.search(rf"--{name} [^-]*\(default:\s+{own}\)", text), name


@pytest.mark.parametrize(
    ("run", "argv", "words"),
    [
        (benchmark.main, "run --dataset movielens --modells hit", "--modells.*; did you mean --models?"),
        (benchmark.main, "rum", "'rum'.*; did you mean run?"),
        (benchmark.main, "run --dataset movielens --models HIT", "'HIT'; did you mean hit?"),
    ],
)
def test_a_wrong_word_of_the_benchmark_names_the_right_one(run, argv, words):
    with pytest.raises(InputError) as error:
        run(argv.split())
    assert re.search(words.replace("?", r"\?"), str(error.value)), error.value


def test_a_wrong_flag_of_prerank_names_the_right_one(capsys):
    assert prerank.main(["top", "--model", "x", "--user", "{}", "--candidate", "y"]) == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --candidate y; did you mean --candidates?\n"


@pytest.mark.parametrize("module", [hints, option_help], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
