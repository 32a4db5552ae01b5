"""Keras layers of pre-ranking models, one a file.

They know tensors, and nothing of data sets, training or files. They run on legacy Keras, as the rest of
the project does, and on Keras 3 with the TensorFlow backend.
"""

import legacy_keras  # noqa: F401  (chooses the Keras before TensorFlow is imported)
from layers.adaptive_mimic_loss import AdaptiveMimicLoss
from layers.bidirectional_softmax_loss import BidirectionalSoftmaxLoss
from layers.bottleneck_excitation import BottleneckExcitation
from layers.capsules import InterestCapsules
from layers.category_alignment_loss import CategoryAlignmentLoss
from layers.code_attention import CodeAttention
from layers.confidence_fusion import ConfidenceFusion, SymmetricDivergenceLoss
from layers.contrastive_loss import ContrastiveLoss
from layers.dot_attention import DotAttention
from layers.dropout import Dropout
from layers.embedding import FieldEmbedding
from layers.field_compressor import FieldCompressor
from layers.full_stage_loss import FullStageLoss
from layers.gated_heads import GatedHeads
from layers.generation_loss import GenerationLoss
from layers.generator import MimicGenerator
from layers.in_batch_softmax_loss import InBatchSoftmaxLoss
from layers.interaction_unit import InteractionUnit
from layers.joint_ranking_calibration_loss import JointRankingCalibrationLoss
from layers.label_aware_attention import LabelAwareAttention
from layers.light_se import LightSE
from layers.lightweight_similarity_scorer import LightweightSimilarityScorer
from layers.list_softmax_loss import ListSoftmaxLoss
from layers.listwise_distillation_loss import ListwiseDistillationLoss
from layers.listwise_loss import ListwiseLoss
from layers.log_q_softmax_loss import LogQSoftmaxLoss
from layers.max_sim import MaxSim
from layers.meta_query import MetaQuery
from layers.mixture_of_logits import MixtureBalanceLoss, MixtureGate, MixtureOfLogits
from layers.multi_head_representer import MultiHeadRepresenter
from layers.number_embedding import NumberEmbedding
from layers.pairwise_distillation_loss import PairwiseDistillationLoss
from layers.pairwise_loss import PairwiseLoss
from layers.parallel_dense import ParallelDense
from layers.pointwise_distillation_loss import PointwiseDistillationLoss
from layers.prototype_attention import PrototypeAttention
from layers.regression_compatible_loss import RegressionCompatibleLoss
from layers.sampled_softmax import SampledSoftmaxLoss
from layers.scaled_similarity import ScaledSimilarity
from layers.squeeze_excitation import SqueezeExcitation
from layers.stage_softmax_loss import StageSoftmaxLoss
from layers.top_k_loss import TopKLoss
from layers.tower import Tower

__all__ = [
    "AdaptiveMimicLoss",
    "BidirectionalSoftmaxLoss",
    "BottleneckExcitation",
    "CategoryAlignmentLoss",
    "CodeAttention",
    "ConfidenceFusion",
    "ContrastiveLoss",
    "DotAttention",
    "Dropout",
    "FieldCompressor",
    "FieldEmbedding",
    "FullStageLoss",
    "GatedHeads",
    "GenerationLoss",
    "InBatchSoftmaxLoss",
    "InteractionUnit",
    "InterestCapsules",
    "JointRankingCalibrationLoss",
    "LabelAwareAttention",
    "LightSE",
    "LightweightSimilarityScorer",
    "ListSoftmaxLoss",
    "ListwiseDistillationLoss",
    "ListwiseLoss",
    "LogQSoftmaxLoss",
    "MaxSim",
    "MetaQuery",
    "MimicGenerator",
    "MixtureBalanceLoss",
    "MixtureGate",
    "MixtureOfLogits",
    "MultiHeadRepresenter",
    "NumberEmbedding",
    "PairwiseDistillationLoss",
    "PairwiseLoss",
    "ParallelDense",
    "PointwiseDistillationLoss",
    "PrototypeAttention",
    "RegressionCompatibleLoss",
    "SampledSoftmaxLoss",
    "ScaledSimilarity",
    "SqueezeExcitation",
    "StageSoftmaxLoss",
    "SymmetricDivergenceLoss",
    "TopKLoss",
    "Tower",
]
