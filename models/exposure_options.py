"""Options of the entire-space factorisation, which any model trained by gradients can have."""

from pydantic import Field, model_validator

from prerank.options import Options


class ExposureOptions(Options):
    """Whether and how a model learns which items are shown, beside which of the shown items are liked.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or one without `entire_space`.
    """

    entire_space: bool = Field(
        False, description="rank by p(exposed) · p(positive | exposed), of which the second is the probability"
    )
    exposure_weight: float = Field(1.0, gt=0, description="entire space only: weight of the exposure's loss")
    exposure_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="entire space only: how much what is learned of a user's exposures counts beside popularity; "
        "less than 1 where later exposures are of another kind than those of the training part",
    )
    exposure_half_life: float = Field(
        0.0,
        ge=0,
        description="entire space only: days after which a row counts half for the popularity of its item; 0: no decay",
    )

    @model_validator(mode="after")
    def _check_exposure(self) -> "ExposureOptions":
        for name in ("exposure_weight", "exposure_scale", "exposure_half_life"):
            if not self.entire_space and getattr(self, name) != ExposureOptions.model_fields[name].default:
                raise ValueError(f"--{name} needs --entire_space")
        return self

    def of_exposure(self) -> "ExposureOptions":
        """These options only, where more are inherited from them."""
        return ExposureOptions(**{name: getattr(self, name) for name in ExposureOptions.model_fields})
