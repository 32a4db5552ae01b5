"""Every operation of a training step, an evaluation and an export has a kernel for GPUs, or a reason to have none.

TensorFlow's registry knows the kernels in a process without a GPU too.
"""

import pytest
import tensorflow as tf
from artefacts import VOCABULARIES
from conformance import DIFFERENTIABLE, NAMES, build
from support import SPEC, random_batch
from tensorflow.python.framework import kernels

from export.raw_inputs import RawInputs, tensor_spec
from models import TwoTowerModel
from models.batch import Batch
from training.optimizer import LazyAdam

IN_EXPORTS = {"LookupTableFindV2": "a value's spelling becomes an index on the host, where requests arrive"}
ON_ALL_DEVICES = ("GPU", "DEFAULT")

pytestmark = pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="this TensorFlow is built without GPU kernels")
QUICK = ("dssm",)


def some(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def without_kernel(graph):
    """The kinds of operations in a graph and its functions that no GPU can run."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    functions = {function.signature.name for function in definition.library.function}
    kinds = {node.op for node in nodes} - functions - {"Placeholder"}  # an argument, which no kernel computes
    return {kind for kind in kinds if not has_kernel(kind)}


def has_kernel(kind):
    return any(kernel.device_type in ON_ALL_DEVICES for kernel in kernels.get_registered_kernels_for_op(kind).kernel)


@pytest.mark.parametrize("name", some(DIFFERENTIABLE))
def test_training_and_evaluation(name):
    model = build(name)
    model.compile(LazyAdam(1e-3, embedding_l2=1e-5))
    model.plan_training(1, 1)
    inputs, labels = random_batch(SPEC, 8)
    plan = model.plan_lookups()
    planned = plan and plan({field: values.numpy() for field, values in inputs.items()})
    batch = Batch.of_rows(inputs, labels, {part: tf.constant(values) for part, values in (planned or {}).items()})
    step = tf.function(model.train_step).get_concrete_function(batch).graph
    judged = tf.function(model.preference).get_concrete_function(inputs).graph
    assert not without_kernel(step) | without_kernel(judged)


@pytest.mark.parametrize("name", some(NAMES))
def test_exports(name):
    model, raw = build(name), RawInputs(SPEC, VOCABULARIES)

    @tf.function
    def forward(given):
        inputs = raw.encode(given)
        if isinstance(model, TwoTowerModel):
            user, item = model.user_tower(inputs), model.item_tower(inputs)
            return model.named_scores(user, item)
        return model.named_outputs(inputs)

    given = {field.name: tensor_spec(field) for field in SPEC.fields}
    assert without_kernel(forward.get_concrete_function(given).graph) <= IN_EXPORTS.keys()


def test_an_operation_without_one_is_found():
    graph = tf.function(lambda text: tf.strings.length(text)).get_concrete_function(tf.constant("a")).graph
    assert without_kernel(graph) == {"StringLength"}
