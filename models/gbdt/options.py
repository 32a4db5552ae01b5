"""Options of GBDT, and what is known of it without TensorFlow."""

from pydantic import Field, PositiveInt

from models.options import ModelOptions
from models.registry import register


class GBDTOptions(ModelOptions):
    """Options of the boosted trees."""

    trees: PositiveInt = Field(200, description="trees to grow")
    tree_lr: float = Field(0.05, gt=0, description="what a tree's values are multiplied by")
    leaves: PositiveInt = Field(31, ge=2, description="most leaves of a tree")
    leaf_rows: PositiveInt = Field(20, description="fewest training rows of a leaf")


ENTRY = register(
    "gbdt",
    options=GBDTOptions,
    kind="boosted trees on the tabular features",
    source="scikit-learn's HistGradientBoostingClassifier",
    link="https://scikit-learn.org/stable/modules/generated/sklearn.ensemble.HistGradientBoostingClassifier.html",
    decoupled=False,
    limits={"differentiable": "trees are grown, not trained by gradient steps"},
)
