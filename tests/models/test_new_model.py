"""A model is added by a folder of two files, or by one file, and by no other edit."""

import sys

import numpy as np
import pytest
from support import SPEC, random_batch

import models
from models import registry
from training.config import parse

OPTIONS = """
from pydantic import Field, PositiveInt

from models.options import ModelOptions
from models.registry import register


class ToyOptions(ModelOptions):
    \"\"\"Options of the toy.\"\"\"

    toy_width: PositiveInt = Field(3, description="width of its only layer")
"""
CLASS = """
import tensorflow as tf

from models.base import PreRankingModel


{decorator}
class Toy(PreRankingModel):
    \"\"\"One layer over all fields.\"\"\"

    def __init__(self, spec, options, **kwargs):
        super().__init__(spec, options, **kwargs)
        self.encoder = self.make_encoder()
        self.layer = tf.keras.layers.Dense(options.toy_width)

    def call(self, inputs, training=None):
        fields = [self.encoder(inputs, side).concat() for side in ("user", "item")]
        return tf.reduce_sum(self.layer(tf.concat(fields, axis=-1)), axis=-1) + self.bias
"""
REGISTER = 'register("{name}", options=ToyOptions, kind="toy", source="none", decoupled=False)'


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder whose models the registry finds beside its own."""
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    monkeypatch.setattr(registry, "_CLASSES", dict(registry._CLASSES))
    registry._modules.cache_clear()
    yield tmp_path
    registry._modules.cache_clear()
    for name in [name for name in sys.modules if name.startswith("models.probe")]:
        del sys.modules[name]


def write_folder(place, name, registered=None):
    (place / name).mkdir()
    entry = "ENTRY = " + REGISTER.format(name=registered or name)
    (place / name / "options.py").write_text(f"{OPTIONS}\n\n{entry}\n")
    imports = f"from models.{name}.options import ENTRY\n"
    (place / name / "model.py").write_text(imports + CLASS.format(decorator="@ENTRY"))


def write_file(place, name):
    (place / f"{name}.py").write_text(OPTIONS + CLASS.format(decorator="@" + REGISTER.format(name=name)))


@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_new_model_is_found_and_trains(place, write):
    write(place, "probe")
    assert "probe" in models.names()
    entry = models.get("probe")
    assert (entry.kind, entry.decoupled, list(entry.limits)) == ("toy", False, ["decoupled"])
    config = parse(["--model_name", "probe", "--toy_width", "5"], program="x", description="x")
    assert config.model.toy_width == 5
    model = models.build("probe", SPEC, config.model)
    assert model.layer.units == 5
    assert entry.model is type(model)
    again = type(model).from_config(model.get_config())
    assert again.options == config.model
    inputs, labels = random_batch(SPEC, 40)
    model.compile("adam")
    before = model.layer.kernel.numpy()
    model.train_step((inputs, labels))
    assert not np.array_equal(model.layer.kernel.numpy(), before)


def test_a_folder_without_a_registered_class(place):
    write_folder(place, "probe")
    (place / "probe" / "model.py").write_text("")
    with pytest.raises(ImportError, match=r"models/probe/model\.py has the decorator @ENTRY"):
        models.build("probe", SPEC)


def test_a_name_other_than_that_of_the_folder(place):
    write_folder(place, "probe", registered="joy")
    with pytest.raises(ImportError, match=r"models\.probe\.options registers no model 'probe'"):
        models.get("probe")


def test_a_class_that_is_not_what_its_entry_says(place):
    write_folder(place, "probe")
    path = place / "probe" / "options.py"
    path.write_text(path.read_text().replace(", decoupled=False", ""))
    with pytest.raises(ValueError, match="probe: decoupled=True, which .*Toy.* is not"):
        models.build("probe", SPEC)


def test_a_class_of_another_program(place):
    toy = models.registry.register("probe_apart", options=models.ModelOptions, kind="toy", source="none")
    toy(type("Apart", (models.TwoTowerModel,), {}))
    assert "probe_apart" in models.names()
    assert models.get("probe_apart").model.__name__ == "Apart"
