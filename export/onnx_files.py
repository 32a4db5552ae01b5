"""A trained model as ONNX files. They take indices: the vocabularies lie beside them, see :mod:`prerank.encoding`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from export.raw_inputs import last_values
from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field
from models import PreRankingModel
from prerank.errors import InputError

_OPSET = 18
_MOST_BYTES = 2**31
_VOCABULARIES = "vocabularies.json"


def require() -> None:
    """Check that what writes ONNX is installed.

    Raises:
        InputError: a package is missing.
    """
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise InputError(f"--export_format onnx: {error}; pip install -r requirements-onnx.txt") from error


def tensor_spec(field: Field) -> tf.TensorSpec:
    """The encoded input of a field: (B,) float32 or int32, or (B, L) int32 for a sequence of any length L."""
    shape = [None, None] if field.kind == "sequence" else [None]
    return tf.TensorSpec(shape, tf.float32 if field.kind == "dense" else tf.int32, name=field.name)


def encode(spec: FeatureSpec) -> Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """What makes encoded inputs the model's own."""
    return lambda inputs: last_values(spec, inputs, lambda dtype: tf.constant(MISSING, dtype))


def plain_copy(model: PreRankingModel) -> PreRankingModel:
    """The same model in float32 and of operations that runtimes do fast, whatever it was trained with.

    Raises:
        InputError: it is larger than an ONNX file can be.
    """
    weights = model.get_weights()
    size = sum(weight.nbytes for weight in weights)
    if size >= _MOST_BYTES:
        raise InputError(f"--export_format onnx: a file holds less than 2 GiB. The model's weights take {size:,} bytes")
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("float32")
    try:
        copy = type(model).from_config({**model.get_config(), "xla": True})
        copy.build_weights()
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
    copy.set_weights(weights)
    return copy


def write(signatures: Mapping[str, Callable], vocabularies: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write `<signature>.onnx` for each traced signature, and `vocabularies.json`.

    Args:
        signatures: concrete functions by name.
        vocabularies: values of each vocabulary that is not hashed, by name; the value at position i has index
            i + RESERVED.
        folder: an existing folder.

    Raises:
        OSError: the folder cannot be written.
    """
    for name, signature in signatures.items():
        (folder / f"{name}.onnx").write_bytes(_convert(name, signature).SerializeToString())
    values = {name: values.tolist() for name, values in vocabularies.items()}
    (folder / _VOCABULARIES).write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8")


def describe(described: dict[str, Any], spec: FeatureSpec) -> dict[str, Any]:
    """What `features.json` holds, with what encoding outside of the graph needs."""
    inputs = []
    for item in described["inputs"]:
        field = spec[item["name"]]
        encoded = {"encoded_dtype": tensor_spec(field).dtype.name}
        scaling = {"mean": field.mean, "scale": field.scale} if field.kind == "dense" else {}
        inputs.append(item | encoded | scaling)
    reserved = {"missing": MISSING, "unseen": UNSEEN, "first": RESERVED}
    return described | {"inputs": inputs, "vocabularies": _VOCABULARIES, "reserved": reserved}


def _convert(name: str, signature: Any) -> Any:
    """One signature as an ONNX model with the same names and shapes.

    By the parts of tf2onnx and not its `from_function`, which makes inputs of captured constants (deepctr's pooling
    has some), and whose optimizers merge `Reshape` after `Reshape` wrongly where the second copies a dimension: wrong
    shapes in 1.17.0 for embeddings of size 1. ONNX Runtime optimizes what it loads anyway.
    """
    from tf2onnx import tf_loader, tfonnx

    captures = {internal.name: value for value, internal in signature.graph.captures}
    inputs = [tensor.name for tensor in signature.inputs if tensor.name not in captures]
    outputs = {tensor.name: key for key, tensor in signature.structured_outputs.items()}
    frozen = tf_loader.from_function(signature, inputs, list(outputs))
    with tf.Graph().as_default() as graph:
        constants = {
            captured: tf.constant(value.numpy(), name=f"captured.{number}")
            for number, (captured, value) in enumerate(captures.items())
            if value.dtype != tf.resource
        }
        tf.import_graph_def(frozen, input_map=constants, name="")
        model = tfonnx.process_tf_graph(
            graph,
            opset=_OPSET,
            input_names=inputs,
            output_names=list(outputs),
            tensors_to_rename={tensor: tensor.removesuffix(":0") for tensor in inputs} | outputs,
        ).make_model(name)
    _set_shapes(name, model, signature)
    return model


def _set_shapes(name: str, model: Any, signature: Any) -> None:
    """Give inputs and outputs the signature's shapes, and their open axes names."""
    from onnx import helper

    specs = {**signature.structured_input_signature[1], **signature.structured_outputs}
    for value in (*model.graph.input, *model.graph.output):
        rows = "rows" if name != "score" else "users" if value.name.startswith("user_") else "items"
        known = specs[value.name].shape
        shape = [(rows if axis == 0 else f"{value.name}_length") if n is None else n for axis, n in enumerate(known)]
        value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, shape))
