"""Keras layers of pre-ranking models, one a file.

They know tensors, and nothing of data sets, training or files. They run on legacy Keras, as the rest of
the project does, and on Keras 3 with the TensorFlow backend.
"""

import legacy_keras  # noqa: F401  (chooses the Keras before TensorFlow is imported)
from layers.capsules import InterestCapsules
from layers.contrastive_loss import ContrastiveLoss
from layers.dropout import Dropout
from layers.embedding import FieldEmbedding
from layers.generation_loss import GenerationLoss
from layers.generator import MimicGenerator
from layers.label_aware_attention import LabelAwareAttention
from layers.light_se import LightSE
from layers.max_sim import MaxSim
from layers.multi_head_representer import MultiHeadRepresenter
from layers.number_embedding import NumberEmbedding
from layers.sampled_softmax import SampledSoftmaxLoss
from layers.scaled_similarity import ScaledSimilarity
from layers.squeeze_excitation import SqueezeExcitation
from layers.tower import Tower

__all__ = [
    "ContrastiveLoss",
    "Dropout",
    "FieldEmbedding",
    "GenerationLoss",
    "InterestCapsules",
    "LabelAwareAttention",
    "LightSE",
    "MaxSim",
    "MimicGenerator",
    "MultiHeadRepresenter",
    "NumberEmbedding",
    "SampledSoftmaxLoss",
    "ScaledSimilarity",
    "SqueezeExcitation",
    "Tower",
]
