"""Options of MLCC, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt, model_validator

from models.options import TowerOptions
from models.registry import register


class MLCCOptions(TowerOptions):
    """Options of MLCC.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or channels that do not divide the embeddings.
    """

    hidden_units: tuple[PositiveInt, ...] = Field(
        (256, 128, 64, 32), min_length=1, description="widths of the deep part's layers, comma-separated"
    )
    compressor_heads: PositiveInt = Field(4, description="heads of the global compressor")
    compressor_units: tuple[PositiveInt, ...] = Field(
        (2, 1), min_length=1, description="widths of the network that a row makes for its fields, comma-separated"
    )
    channels: PositiveInt = Field(1, description="channels that an embedding is cut into; 4 is MC-MLCC's")
    local_width: PositiveInt = Field(8, description="what the local compressor leaves of each field")

    @model_validator(mode="after")
    def _check_channels(self) -> "MLCCOptions":
        if self.embedding_dim % self.channels:
            raise ValueError(
                f"--channels must divide --embedding_dim. Received: {self.channels} and {self.embedding_dim}"
            )
        return self


ENTRY = register(
    "mlcc",
    options=MLCCOptions,
    kind="ranking model: a network for the fields of each row, made of the row itself",
    source="the authors' code of MLCC",
    link="https://github.com/shishishu/MLCC",
    decoupled=False,
)
