"""Weights in other files, wherever an ONNX file can name them."""

import pytest

onnx = pytest.importorskip("onnx", reason="requirements-onnx.txt is not installed")

import numpy as np  # noqa: E402
from damaged import EXAMPLES, damaged_bytes, survives  # noqa: E402
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper  # noqa: E402

from prerank.errors import ArtefactError  # noqa: E402
from prerank.self_contained import check_self_contained  # noqa: E402

INPUT, OUTPUT = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")


def elsewhere():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    return tensor


def inside():
    return numpy_helper.from_array(np.zeros(4, np.float32), "w")


def constant(tensor):
    return helper.make_node("Constant", [], ["w"], value=tensor)


def graph(*nodes, **parts):
    return helper.make_graph([*nodes, helper.make_node("Add", ["x", "w"], ["y"])], "g", [INPUT], [OUTPUT], **parts)


def sparse(tensor):
    return SparseTensorProto(values=tensor, indices=inside(), dims=[4])


def function(tensor):
    return helper.make_function("d", "f", ["x"], ["w"], [constant(tensor)], [helper.make_opsetid("", 18)])


PLACES = {
    "initializer": lambda tensor: helper.make_model(graph(initializer=[tensor])),
    "attribute": lambda tensor: helper.make_model(graph(constant(tensor))),
    "list": lambda tensor: helper.make_model(graph(helper.make_node("Any", [], ["w"], values=[tensor]))),
    "sparse": lambda tensor: helper.make_model(graph(sparse_initializer=[sparse(tensor)])),
    "branch": lambda tensor: helper.make_model(
        graph(helper.make_node("If", ["x"], ["w"], then_branch=graph(constant(tensor)), else_branch=graph()))
    ),
    "function": lambda tensor: helper.make_model(graph(), functions=[function(tensor)]),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_elsewhere_are_found(place, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(PLACES[place](inside()).SerializeToString())
    check_self_contained(path)
    path.write_bytes(PLACES[place](elsewhere()).SerializeToString())
    with pytest.raises(ArtefactError, match=r"m\.onnx: .*its weights lie in other files"):
        check_self_contained(path)


def test_what_is_said_to_be_inside_is(tmp_path):
    tensor = inside()
    tensor.data_location = TensorProto.DEFAULT
    (tmp_path / "m.onnx").write_bytes(PLACES["initializer"](tensor).SerializeToString())
    check_self_contained(tmp_path / "m.onnx")


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_files(examples, tmp_path):
    path = tmp_path / "m.onnx"

    def read(damaged):
        path.write_bytes(damaged)
        check_self_contained(path)

    survives(damaged_bytes(PLACES["branch"](inside()).SerializeToString()), read, examples)
