"""Look-ups planned by the input pipeline change nothing but the speed of a training step."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import build, every_differentiable_model, every_model
from support import SPEC, random_batch

import models
from models.batch import Batch
from native.library import UnavailableError
from native.row_kernels import CompiledRows
from training.optimizer import LazyAdam

STEPS = 3


def compiled(name):
    model = build(name, seed=3)
    # A step of Adam hardly depends on a gradient's size, so that rounding would show, but for a large epsilon.
    model.compile(LazyAdam(1e-3, epsilon=0.1, embedding_l2=1e-2))
    model.plan_training(1, STEPS)
    return model


def planned(model, inputs, labels):
    arrays = model.plan_lookups()({name: values.numpy() for name, values in inputs.items()})
    return Batch.of_rows(inputs, labels, {name: tf.constant(values) for name, values in arrays.items()})


@pytest.fixture(scope="module")
def found_kernels():
    """The compiled operations, or why there are none."""
    try:
        return CompiledRows()
    except UnavailableError as error:
        return str(error)


@pytest.fixture
def kernels(found_kernels):
    if isinstance(found_kernels, str):
        pytest.skip(found_kernels)
    return found_kernels


def check_same_to_the_last_bit(one, other):
    """Of two models that were trained by the same batches."""
    pairs = [*zip(one.weights, other.weights, strict=True)]
    pairs += zip(one.optimizer.variables, other.optimizer.variables, strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b, err_msg=a.name)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_compiled_operations_train_the_same_in_optimised_graphs(policy, kernels):
    """In half precision too, where the scale of the loss is a condition in the graph."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        one, other = compiled("dssm"), compiled("dssm")
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    other.encoder.embedding.kernels = kernels
    assert isinstance(one.optimizer, tf.keras.mixed_precision.LossScaleOptimizer) == (policy == "mixed_float16")
    sides = [(model, tf.function(model.train_step, reduce_retracing=True)) for model in (one, other)]
    for number in range(STEPS):
        inputs, labels = random_batch(SPEC, 64, number)
        wanted, found = (as_numbers(step(planned(model, inputs, labels))) for model, step in sides)
        assert found == wanted
    check_same_to_the_last_bit(one, other)
    batch = planned(one, *random_batch(SPEC, 64))
    kinds = [compiled_kinds(step.get_concrete_function(batch).graph) for _, step in sides]
    assert kinds == [set(), {"PrerankPoolRows", "PrerankLazyAdam"}]


def test_what_is_exported_or_evaluated_has_no_compiled_operation(kernels):
    """Its model may have been trained by them in the same process."""
    model = compiled("dssm")
    model.encoder.embedding.kernels = kernels
    inputs, labels = random_batch(SPEC, 64)
    model.train_step(planned(model, inputs, labels))
    for function in (model.preference, model.named_outputs, model.user_tower, model.item_tower):
        graph = tf.function(function).get_concrete_function(inputs).graph
        assert not compiled_kinds(graph)


def as_numbers(terms):
    return {term: float(value) for term, value in terms.items()}


def compiled_kinds(graph):
    """Our own operations among those of a graph and of the functions that it calls, as branches of a condition are."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return {node.op for node in nodes if node.op.startswith("Prerank")}


@every_differentiable_model
def test_a_planned_step_is_the_same_step(name, found_kernels):
    """By compiled operations to the last bit of the planned one, where they can be had."""
    one, other = compiled(name), compiled(name)
    if one.plan_lookups() is None:
        assert not hasattr(one, "encoder")
        return
    fast = None
    if not isinstance(found_kernels, str):
        fast = compiled(name)
        fast.encoder.embedding.kernels = found_kernels
    for number in range(STEPS):
        inputs, labels = random_batch(SPEC, 64, number)
        wanted = one.train_step((inputs, labels))
        batch = planned(other, inputs, labels)
        found = other.train_step(batch)
        for term in wanted:
            np.testing.assert_allclose(found[term], wanted[term], rtol=1e-4, atol=1e-6, err_msg=term)
        if fast is not None:
            assert as_numbers(fast.train_step(batch)) == as_numbers(found)
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7, err_msg=a.name)
    if fast is not None:
        check_same_to_the_last_bit(other, fast)


def test_a_planned_step_trains_the_table():
    model = compiled("dssm")
    inputs, labels = random_batch(SPEC, 64)
    before = model.encoder.embedding.table.numpy()
    model.train_step(planned(model, inputs, labels))
    moved = np.flatnonzero((model.encoder.embedding.table.numpy() != before).any(axis=1))
    assert set(moved) == set(planned(model, inputs, labels).plan["lookup/distinct"].numpy())


def test_no_operation_of_a_step_touches_a_whole_table():
    """Keras's optimizers decay every weight by default, if only by 0."""
    model = compiled("dssm")
    inputs, labels = random_batch(SPEC, 64)
    graph = tf.function(model.train_step).get_concrete_function(planned(model, inputs, labels)).graph
    table = model.encoder.embedding.table.shape
    assert [op.name for op in graph.get_operations() for out in op.outputs if out.shape.as_list() == table] == []


@every_model
def test_keras_knows_every_variable(name):
    """It does not track a layer that hides an attribute of the model's class, and nothing else would tell."""
    model = build(name)
    known = {weight.ref() for weight in model.weights}
    inside = {v.ref() for layer in vars(model).values() if isinstance(layer, tf.Module) for v in layer.variables}
    assert inside <= known


def test_xla_plans_nothing():
    assert models.build("dssm", SPEC, {}, xla=True).plan_lookups() is None
