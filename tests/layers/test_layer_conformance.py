"""What holds for every layer. A new layer is tested by its line in CASES, and missed without one."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import layers


def normal(*shape):
    return tf.random.stateless_normal(shape, [len(shape), sum(shape)])


@dataclass(frozen=True)
class Case:
    """A way to make a layer, and inputs to call it with."""

    make: Callable[[], tf.keras.layers.Layer]
    inputs: Any
    training: bool = False


LIKED = tf.constant([[1.0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]])
STAGES = tf.constant([[2, 0, 1, 1], [0, 0, 2, 1], [1, 1, 1, 0]])
ROWS = tf.sequence_mask([4, 3, 2], 4)

CASES = {
    "ContrastiveLoss": Case(
        lambda: layers.ContrastiveLoss(0.5),
        [
            normal(6, 4),
            normal(6, 4),
            tf.constant([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
            tf.constant([1, 1, 2, 3, 3, 1]),
            tf.constant([5, 6, 5, 7, 8, 9]),
        ],
    ),
    "AdaptiveMimicLoss": Case(lambda: layers.AdaptiveMimicLoss(), [normal(6, 4), normal(6, 4), tf.ones([6])]),
    "BidirectionalSoftmaxLoss": Case(
        lambda: layers.BidirectionalSoftmaxLoss(0.5, 0.7, 0.3),
        [normal(6, 4), normal(6, 4), normal(6), normal(6), tf.constant([1.0, 0, 2, 1, 1, 1])],
    ),
    "BottleneckExcitation": Case(lambda: layers.BottleneckExcitation(seed=3), normal(6, 4, 5)),
    "ConfidenceFusion": Case(lambda: layers.ConfidenceFusion(0.5), normal(6, 2)),
    "FieldCompressor": Case(lambda: layers.FieldCompressor(3, (2, 1), 2, seed=3), normal(6, 3, 4)),
    "SymmetricDivergenceLoss": Case(
        lambda: layers.SymmetricDivergenceLoss(), [normal(6), 2 * normal(6), tf.constant([1.0, 0, 2, 1, 1, 1])]
    ),
    "CategoryAlignmentLoss": Case(
        lambda: layers.CategoryAlignmentLoss(), [normal(6, 4), tf.constant([2, 1, 1, 2, 2, 0])]
    ),
    "CodeAttention": Case(
        lambda: layers.CodeAttention(3, 5, seed=3), [normal(6, 7, 4), tf.sequence_mask([7, 5, 3, 2, 1, 0], 7)]
    ),
    "DotAttention": Case(lambda: layers.DotAttention(), [normal(6, 4), normal(6, 3, 4), normal(6, 3, 5)]),
    "Dropout": Case(lambda: layers.Dropout(0.25, seed=3), normal(6, 4), training=True),
    "FieldEmbedding": Case(
        lambda: layers.FieldEmbedding({"a": 5, "b": 7}, {"f": "a", "g": "b", "h": "b"}, 4, stddev=0.1, seed=2),
        {"h": tf.constant([[1, 6, 0], [0, 0, 0]]), "f": tf.constant([1, 4]), "g": tf.constant([0, 5])},
    ),
    "GatedHeads": Case(lambda: layers.GatedHeads(3, 2, seed=3), normal(6, 4)),
    "GenerationLoss": Case(lambda: layers.GenerationLoss("mse"), [normal(6, 4), normal(6, 4), tf.ones([6])]),
    "InBatchSoftmaxLoss": Case(
        lambda: layers.InBatchSoftmaxLoss(0.5),
        [normal(6, 4), normal(6, 4), normal(6), tf.constant([1.0, 0, 2, 1, 1, 1])],
    ),
    "InterestCapsules": Case(lambda: layers.InterestCapsules(2, 3, seed=3), [normal(6, 5, 4), normal(6, 5) > 0]),
    "LabelAwareAttention": Case(lambda: layers.LabelAwareAttention(3.0), [normal(6, 3, 4), normal(6, 4)]),
    "LightSE": Case(lambda: layers.LightSE(seed=3), normal(6, 3, 4)),
    "InteractionUnit": Case(
        lambda: layers.InteractionUnit(pool=False, units=5, seed=3),
        [normal(6, 3, 4), normal(6, 5, 4), tf.sequence_mask([5, 4, 3, 2, 1, 0], 5)],
    ),
    "LightweightSimilarityScorer": Case(
        lambda: layers.LightweightSimilarityScorer(5, scaled=True, seed=3), [normal(6, 2, 4), normal(6, 3, 4)]
    ),
    "ListwiseLoss": Case(
        lambda: layers.ListwiseLoss(), [normal(6), tf.constant([0.0, 1, 1, 0, 1, 0]), tf.constant([7, 7, 3, 3, 3, 9])]
    ),
    "LogQSoftmaxLoss": Case(
        lambda: layers.LogQSoftmaxLoss(0.5, refined=True),
        {
            "user": normal(6, 4),
            "item": normal(6, 4),
            "item_ids": tf.constant([5, 6, 5, 7, 8, 9]),
            "item_log_q": -(normal(6) ** 2) - 0.1,
            "labels": tf.constant([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
            "negative": normal(3, 4),
            "negative_ids": tf.constant([6, 3, 6]),
            "negative_log_q": -(normal(3) ** 2),
            "negative_weights": tf.constant([1.0, 1.0, 0.0]),
        },
    ),
    "MaxSim": Case(lambda: layers.MaxSim(scaled=True), [normal(6, 2, 4), normal(6, 3, 4)]),
    "MetaQuery": Case(lambda: layers.MetaQuery(5, seed=3), normal(6, 4), training=True),
    "MimicGenerator": Case(lambda: layers.MimicGenerator(8, "relu", seed=3), normal(6, 4)),
    "MixtureBalanceLoss": Case(lambda: layers.MixtureBalanceLoss(), tf.nn.softmax(normal(6, 4))),
    "MixtureGate": Case(lambda: layers.MixtureGate(6, 5, seed=3), normal(6, 4)),
    "MixtureOfLogits": Case(
        lambda: layers.MixtureOfLogits(5, dropout=0.25, seed=3),
        [normal(6, 2, 4), normal(6, 3, 4), normal(6, 6), normal(6, 6)],
        training=True,
    ),
    "MultiHeadRepresenter": Case(lambda: layers.MultiHeadRepresenter(3, 2, normalize=True, seed=3), normal(6, 4)),
    "NumberEmbedding": Case(lambda: layers.NumberEmbedding(4, stddev=0.5, seed=3), normal(6, 3)),
    "SampledSoftmaxLoss": Case(
        lambda: layers.SampledSoftmaxLoss(0.5),
        [
            normal(6, 4),
            normal(6, 4),
            normal(3, 4),
            tf.constant([5, 6, 5, 7, 8, 9]),
            tf.constant([6, 3, 6]),
            tf.constant([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        ],
    ),
    "ParallelDense": Case(lambda: layers.ParallelDense(5, "relu", seed=3), normal(6, 3, 4)),
    "PrototypeAttention": Case(lambda: layers.PrototypeAttention(5, seed=3), normal(6, 3, 4)),
    "ScaledSimilarity": Case(lambda: layers.ScaledSimilarity(), [normal(6, 4), normal(6, 4)]),
    "SqueezeExcitation": Case(lambda: layers.SqueezeExcitation(seed=3), normal(6, 3, 4)),
    "FullStageLoss": Case(lambda: layers.FullStageLoss([0, 1, 2]), {"logits": normal(3, 4), "stages": STAGES}),
    "JointRankingCalibrationLoss": Case(
        lambda: layers.JointRankingCalibrationLoss(0.3), {"logits": normal(3, 4, 2), "labels": LIKED, "mask": ROWS}
    ),
    "ListSoftmaxLoss": Case(
        lambda: layers.ListSoftmaxLoss(keep_positives=False),
        {"logits": normal(3, 4), "labels": LIKED, "log_q": normal(1, 4), "items": tf.constant([[4, 2, 7, 2]])},
    ),
    "ListwiseDistillationLoss": Case(
        lambda: layers.ListwiseDistillationLoss(2.0), {"logits": normal(3, 4), "teacher": normal(3, 4), "mask": ROWS}
    ),
    "PairwiseDistillationLoss": Case(
        lambda: layers.PairwiseDistillationLoss(), {"logits": normal(3, 4), "teacher": normal(3, 4)}
    ),
    "PairwiseLoss": Case(
        lambda: layers.PairwiseLoss(0.5), {"logits": normal(3, 4), "labels": LIKED, "weights": normal(3, 1) ** 2}
    ),
    "PointwiseDistillationLoss": Case(
        lambda: layers.PointwiseDistillationLoss(2.0), {"logits": normal(3, 4), "teacher": normal(3, 4)}
    ),
    "RegressionCompatibleLoss": Case(
        lambda: layers.RegressionCompatibleLoss(0.3), {"logits": normal(3, 4), "labels": LIKED, "mask": ROWS}
    ),
    "StageSoftmaxLoss": Case(
        lambda: layers.StageSoftmaxLoss([1, 2], [1.0, 0.5]), {"logits": normal(3, 4), "stages": STAGES}
    ),
    "TopKLoss": Case(lambda: layers.TopKLoss(2, 0.5), {"logits": normal(3, 4), "labels": LIKED, "mask": ROWS}),
    "Tower": Case(lambda: layers.Tower((8, 5), 3, dropout=0.25, seed=3), normal(6, 4), training=True),
}

every_layer = pytest.mark.parametrize("name", layers.__all__)


class Wrapper(tf.keras.Model):
    """A model that is one layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs, training=None):
        return (
            self.layer(inputs, training=training) if CASES[type(self.layer).__name__].training else self.layer(inputs)
        )


def shapes(values):
    """Shapes as Keras gives them to a layer: of a tensor, or in the structure of its inputs."""
    if isinstance(values, dict):
        return {name: tuple(value.shape) for name, value in values.items()}
    return [tuple(value.shape) for value in values] if isinstance(values, list) else tuple(values.shape)


def unknown_batch(shape):
    if isinstance(shape, dict):
        return {name: unknown_batch(part) for name, part in shape.items()}
    return [unknown_batch(part) for part in shape] if isinstance(shape, list) else (None, *shape[1:])


def test_every_layer_has_a_case():
    assert sorted(CASES) == sorted(layers.__all__)


@every_layer
def test_configuration_round_trip(name):
    layer = CASES[name].make()
    config = json.loads(json.dumps(layer.get_config()))
    restored = type(layer).from_config(config)
    assert restored.get_config() == layer.get_config()
    assert restored.name == layer.name


@every_layer
def test_every_constructor_argument_is_in_the_configuration(name):
    layer = CASES[name].make()
    arguments = inspect.signature(type(layer)).parameters.values()
    assert {a.name for a in arguments if a.kind == a.POSITIONAL_OR_KEYWORD} <= set(layer.get_config())


@every_layer
def test_serialised_by_its_registered_name(name):
    layer = CASES[name].make()
    restored = tf.keras.layers.deserialize(json.loads(json.dumps(tf.keras.layers.serialize(layer))))
    assert type(restored) is type(layer)
    assert restored.get_config() == layer.get_config()


@every_layer
def test_output_shape(name):
    case = CASES[name]
    layer = case.make()
    outputs = layer(case.inputs)
    known = layer.compute_output_shape(shapes(case.inputs))
    unknown = layer.compute_output_shape(unknown_batch(shapes(case.inputs)))
    if isinstance(outputs, dict):
        assert list(outputs) == list(case.inputs)
    else:
        outputs, known, unknown = {"": outputs}, {"": known}, {"": unknown}
    assert {key: tuple(value.shape) for key, value in outputs.items()} == {k: tuple(v) for k, v in known.items()}
    for key, shape in unknown.items():
        if len(known[key]) > 0:
            assert tuple(shape) == (None, *tuple(known[key])[1:])


@every_layer
def test_saved_weights_give_the_same_output(name, tmp_path):
    case = CASES[name]
    original, restored = Wrapper(case.make()), Wrapper(case.make())
    for model in (original, restored):
        model(case.inputs)
    random = np.random.default_rng(0)
    for weight in original.weights:
        weight.assign(
            random.integers(1, 9, weight.shape) if "int" in str(weight.dtype) else random.random(weight.shape)
        )
    original.save_weights(str(tmp_path / "layer.weights.h5"))
    restored.load_weights(str(tmp_path / "layer.weights.h5"))
    assert len(original.weights) == len(restored.weights)
    for one, two in zip(original.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    # with training, the masks of dropout show whether its step came back
    outputs = [model(case.inputs, training=case.training) for model in (original, restored)]
    tf.nest.map_structure(np.testing.assert_array_equal, *outputs)


@pytest.fixture
def bfloat16():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@every_layer
@pytest.mark.usefixtures("bfloat16")
def test_mixed_precision(name):
    case = CASES[name]
    model = Wrapper(case.make())
    inputs = tf.nest.map_structure(lambda x: tf.cast(x, tf.bfloat16) if x.dtype.is_floating else x, case.inputs)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(model(inputs, training=case.training))
        loss = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32) ** 2) for output in outputs])
    assert np.isfinite(float(loss))
    for weight in model.trainable_weights:
        assert "float32" in str(weight.dtype)
    for gradient in tape.gradient(loss, model.trainable_weights):
        assert np.isfinite(tf.convert_to_tensor(gradient).numpy()).all()
