"""What a stranger's model can do when it is run. docs/promises.md says so."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

ort = pytest.importorskip("onnxruntime", reason="requirements-onnx.txt is not installed")
onnx = pytest.importorskip("onnx", reason="requirements-onnx.txt is not installed")


class _Hostile(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def score(self, values):
        stolen = tf.io.read_file("secret")
        with tf.control_dependencies([tf.io.write_file("written", stolen)]):
            return {"logit": values + tf.cast(tf.strings.length(stolen), tf.float32)}


def test_a_saved_model_reads_and_writes_files(tmp_path, monkeypatch):
    """So that nobody takes one from strangers: the claim of the page, seen to be true."""
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text("12345")
    module = _Hostile()
    tf.saved_model.save(module, "model", signatures={"score": module.score})
    assert not Path("written").exists()
    found = tf.saved_model.load("model").signatures["score"](values=tf.zeros([1]))
    assert found["logit"].numpy().tolist() == [5.0]
    assert Path("written").read_text() == "12345"


def test_no_operator_of_onnx_takes_the_name_of_a_file():
    """Every operator that ONNX defines, by its attributes: none but a tensor's own can name a file."""
    named = {
        (schema.name, name)
        for schema in onnx.defs.get_all_schemas_with_history()
        for name in schema.attributes
        if any(word in name.lower() for word in ("file", "path", "url", "uri"))
    }
    assert not named


def test_onnx_takes_no_code_of_its_own(tmp_path):
    """An operator that the runtime does not have, such as one of a library beside the file, is an error."""
    node = onnx.helper.make_node("Steal", ["x"], ["y"], domain="custom")
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    domains = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("custom", 1)]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]), opset_imports=domains, ir_version=9)
    before = set(os.listdir(tmp_path))
    with pytest.raises(Exception, match="custom"):
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert set(os.listdir(tmp_path)) == before
