"""The values that a layer has where none is given: those of the papers, or what leaves a step out."""

import inspect

import layers

DEFAULTS = {
    "BidirectionalSoftmaxLoss": {"temperature": 0.05, "item_weight": 1.0, "user_weight": 1.0},
    "ConfidenceFusion": {"temperature": 1.0},
    "ContrastiveLoss": {"temperature": 0.07, "xla": False},
    "DotAttention": {"scaled": True},
    "FieldCompressor": {"heads": 4, "units": (2, 1), "channels": 1, "seed": 0},
    "FieldEmbedding": {"stddev": 1e-4, "seed": 0, "xla": False},
    "FullStageLoss": {"stage_weights": None},
    "GenerationLoss": {"kind": "cosine"},
    "InBatchSoftmaxLoss": {"normalizer_weight": 0.01},
    "InteractionUnit": {"units": 32, "seed": 0},
    "InterestCapsules": {"iterations": 3, "seed": 0},
    "JointRankingCalibrationLoss": {"ranking_weight": 0.5, "keep_same_label": True},
    "LabelAwareAttention": {"power": 20.0},
    "LightweightSimilarityScorer": {"width": 8, "scaled": False, "seed": 0},
    "ListSoftmaxLoss": {"keep_positives": True},
    "ListwiseDistillationLoss": {"temperature": 1.0},
    "LogQSoftmaxLoss": {"temperature": 0.05, "refined": False},
    "MaxSim": {"scaled": False},
    "MimicGenerator": {"output_activation": "linear", "seed": 0},
    "MixtureGate": {"hidden": 128, "seed": 0},
    "MixtureOfLogits": {"hidden": 128, "temperature": 0.0, "dropout": 0.2, "seed": 0},
    "MultiHeadRepresenter": {"normalize": False, "seed": 0},
    "NumberEmbedding": {"stddev": 0.1, "seed": 0},
    "PairwiseLoss": {"margin": 0.0},
    "ParallelDense": {"activation": None, "seed": 0},
    "PointwiseDistillationLoss": {"temperature": 1.0},
    "RegressionCompatibleLoss": {"ranking_weight": 0.5},
    "SampledSoftmaxLoss": {"temperature": 0.05},
    "ScaledSimilarity": {"similarity": "scaled_cosine"},
    "StageSoftmaxLoss": {"task_weights": None},
    "TopKLoss": {"temperature": 1.0},
    "Tower": {"output_units": None, "dropout": 0.0, "seed": 0},
}
"""Where there are others than a seed of 0."""


def test_defaults():
    for name in layers.__all__:
        found = inspect.signature(getattr(layers, name)).parameters.values()
        given = {one.name: one.default for one in found if one.default is not one.empty}
        assert DEFAULTS.get(name, {"seed": 0}) == given or (name not in DEFAULTS and given == {}), name
