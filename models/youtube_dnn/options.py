"""Options of YoutubeDNN, and what is known of it without TensorFlow."""

from models.options import NOT_CALIBRATED, RetrievalOptions
from models.registry import register

ENTRY = register(
    "youtube_dnn",
    options=RetrievalOptions,
    kind="retrieval: sampled softmax on positives",
    source="Covington et al., RecSys 2016",
    link="https://doi.org/10.1145/2959100.2959190",
    limits={"calibrated": NOT_CALIBRATED},
)
