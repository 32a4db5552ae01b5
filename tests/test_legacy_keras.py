import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import legacy_keras

ROOT = Path(__file__).parents[1]


def run(code, **environment):
    """Run Python code in a fresh process, from the repository's root and without our choice of Keras."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=120
    )


def last_line(process):
    return process.stderr.strip().splitlines()[-1]


def test_with_keras_3_there_already_layers_work_and_what_is_above_says_what_to_do():
    code = """
import tensorflow
import layers, prerank.preranker
assert layers.Tower.__mro__[1].__module__.startswith("keras."), layers.Tower.__mro__
tower = layers.Tower((4,), 2, 0.0)
assert tower(tensorflow.ones([3, 5])).shape == (3, 2)
for package in ("models", "native", "training", "export", "experiments", "benchmarks"):
    try:
        __import__(package)
    except ImportError as error:
        print(package, error)
"""
    process = run(code)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    packages = ["models", "native", "training", "export", "experiments", "benchmarks"]
    assert [line.split()[0] for line in lines] == packages
    for line in lines:
        assert "this project needs legacy Keras, but TensorFlow was imported with Keras 3" in line
        assert "before tensorflow" in line
        assert "TF_USE_LEGACY_KERAS=1" in line


def test_tensorflow_imported_first_with_the_variable_is_fine():
    process = run("import tensorflow\nimport models", TF_USE_LEGACY_KERAS="1")
    assert process.returncode == 0, process.stderr


def test_with_keras_3_layers_import_and_models_raise():
    code = """
import layers, legacy_keras
assert not legacy_keras.is_legacy()
assert layers.Tower.__mro__[1].__module__.startswith("keras."), layers.Tower.__mro__
print("layers imported")
import models
"""
    process = run(code, TF_USE_LEGACY_KERAS="0")
    assert process.stdout == "layers imported\n"
    assert last_line(process).startswith("ImportError: this project needs legacy Keras")


COUNT_VERSION_CHECKS = """
import threading
import tensorflow
started = []
start = threading.Thread.start

def record(thread):
    if (thread._target.__module__ or "").split(".")[0] not in ("deepctr", "deepmatch"):
        return start(thread)
    started.append(thread._target.__module__)

threading.Thread.start = record
{}
assert threading.Thread.start is record
import deepctr.utils, deepmatch.utils
assert deepctr.utils.Thread is deepmatch.utils.Thread is threading.Thread
print(started)
"""


def test_no_package_asks_the_network_for_a_newer_version():
    imports = "import legacy_keras, models.base; legacy_keras.mend_deepmatch()"
    assert run(COUNT_VERSION_CHECKS.format(imports), TF_USE_LEGACY_KERAS="1").stdout == "[]\n"
    # without the mend they do, so this test would notice
    imports = "import deepctr, deepmatch"
    both = "['deepctr.utils', 'deepmatch.utils']\n"
    assert run(COUNT_VERSION_CHECKS.format(imports), TF_USE_LEGACY_KERAS="1").stdout == both


def test_mends_are_for_the_versions_that_were_measured(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.9.5")
    for mend, package in ((legacy_keras.mend_deepctr, "deepctr"), (legacy_keras.mend_deepmatch, "deepmatch")):
        mend.cache_clear()
        with pytest.raises(ImportError, match="deepctr 0.9.4 is what was measured and mended, found 0.9.5"):
            mend()
        assert package


def test_importing_threads_of_others_still_start(tmp_path, monkeypatch):
    (tmp_path / "prerank_probe.py").write_text(
        "import threading\n"
        "def check(): seen.append('own')\n"
        "seen = []\n"
        "threads = [threading.Thread(target=check), threading.Thread(target=seen.append, args=('other',))]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads if thread.ident]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    assert legacy_keras._import_measured("prerank_probe", "1.0").seen == ["other"]


def deep_fm(**options):
    legacy_keras.mend_deepctr()
    from deepctr.feature_column import SparseFeat, VarLenSparseFeat
    from deepctr.models import DeepFM

    columns = [
        SparseFeat("a", 5, embedding_dim=4),
        VarLenSparseFeat(SparseFeat("b", 6, embedding_dim=4), maxlen=3, combiner="mean"),
    ]
    return DeepFM(columns, columns, dnn_hidden_units=(8,), **options)


def embedding_gradients(model):
    inputs = {"a": tf.constant([[1], [4]]), "b": tf.constant([[1, 2, 0], [5, 5, 1]])}
    embeddings = [layer.embeddings for layer in model.layers if hasattr(layer, "embeddings")]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs)) + sum(model.losses)
    return tape.gradient(loss, embeddings)


def test_no_l2_means_no_regulariser_and_sparse_embedding_gradients():
    gradients = embedding_gradients(deep_fm(l2_reg_embedding=0, l2_reg_linear=0))
    assert len(gradients) == 4
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)


def test_l2_is_still_a_regulariser():
    model = deep_fm(l2_reg_embedding=0.25, l2_reg_linear=0, l2_reg_dnn=0)
    tables = [layer for layer in model.layers if hasattr(layer, "embeddings") and layer.embeddings_regularizer]
    assert len(tables) == 2
    penalty = sum(0.25 * float(tf.reduce_sum(layer.embeddings**2)) for layer in tables)
    assert penalty > 0
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)


@pytest.mark.parametrize("output_activation", [None, "linear", "dice"])
def test_dnn_with_an_output_activation_can_be_exported(tmp_path, output_activation):
    legacy_keras.mend_deepctr()
    from deepctr.layers import DNN

    inputs = tf.keras.Input([5])
    model = tf.keras.Model(inputs, DNN((4, 3), output_activation=output_activation)(inputs))
    values = tf.random.stateless_normal([7, 5], [1, 2])
    tf.saved_model.save(model, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    tf.debugging.assert_near(loaded.signatures["serving_default"](values).popitem()[1], model(values))


def test_models_with_either_attention_pooling_layer_load(tmp_path):
    legacy_keras.mend_deepmatch()
    import deepctr.layers
    import deepmatch.layers

    name = "AttentionSequencePoolingLayer"
    ours, theirs = deepctr.layers.sequence, deepmatch.layers.interaction
    query, keys = tf.keras.Input([1, 4]), tf.keras.Input([3, 4])
    lengths = tf.keras.Input([1], dtype=tf.int32)
    pooled = {
        ours: getattr(ours, name)((8,), supports_masking=False)([query, keys, lengths]),
        theirs: getattr(theirs, name)()([query, keys, lengths]),
    }
    values = [tf.random.stateless_normal([2, 1, 4], [1, 2]), tf.random.stateless_normal([2, 3, 4], [3, 4])]
    values.append(tf.constant([[2], [3]]))
    for module, output in pooled.items():
        model = tf.keras.Model([query, keys, lengths], output)
        loaded = tf.keras.Model.from_config(model.get_config(), custom_objects=deepmatch.layers.custom_objects)
        loaded.set_weights(model.get_weights())
        assert isinstance(loaded.layers[-1], getattr(module, name))
        tf.debugging.assert_near(loaded(values), model(values))


def test_no_module_imports_keras_itself():
    sources = [path for path in ROOT.rglob("*.py") if not {".venv", "build"} & set(path.relative_to(ROOT).parts)]
    assert len(sources) > 20
    for path in sources:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.lstrip().startswith(("import keras", "from keras", "import tf_keras", "from tf_keras")), (
                path
            )


FIRST_IMPORT_OF_TENSORFLOW = """
import importlib, os, pathlib, sys

class Tensorflow(Exception):
    pass

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            raise Tensorflow

sys.meta_path.insert(0, Finder())
files = [*pathlib.Path().glob("*.py"), *pathlib.Path().glob("[a-z]*/**/*.py")]
modules = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files if file.parts[0] != "tests"]
modules.remove("examples.layers_on_keras_3")  # which asks for Keras 3
for module in sorted(modules):
    for name in set(sys.modules) & set(modules):
        del sys.modules[name]
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
    try:
        importlib.import_module(module)
    except Tensorflow:
        print(module, os.environ.get("TF_USE_LEGACY_KERAS"))
    except ModuleNotFoundError as error:
        assert error.name in ("torch", "pyspark", "mkdocs"), error  # of requirements that not everybody installs
"""


def test_every_module_chooses_the_keras_before_it_imports_tensorflow():
    process = run(FIRST_IMPORT_OF_TENSORFLOW)
    assert process.returncode == 0, process.stderr
    chosen = dict(line.split() for line in process.stdout.splitlines())
    assert {"layers", "models.hit.model", "training.batches", "export.writer", "training.trainer"} <= set(chosen)
    assert set(chosen.values()) == {"1"}, chosen
