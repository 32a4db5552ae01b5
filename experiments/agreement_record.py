"""The record of a run's agreement with a ranking model, as the report reads it: without TensorFlow."""

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from prerank.reading import RECORD, Name
from training.records import Count, Measured

Agreement = TypedDict(
    "Agreement",
    {
        "ranker": Name,
        "ranker_run": Name,
        "asked_users": Count,
        "users": Count,
        "users_with_positives": Count,
        "items": Count,
        "overlap@10": Measured,
        "overlap@50": Measured,
        "overlap@100": Measured,
        "recall@10": Measured,
        "recall@50": Measured,
        "recall@100": Measured,
        # Not in the files of older runs.
        "unseen_items": NotRequired[Count],
        "unseen@10": NotRequired[Measured],
        "unseen@50": NotRequired[Measured],
        "unseen@100": NotRequired[Measured],
    },
)
"""What `ranker_agreement.json` holds: see :func:`experiments.agreement.compare`, and which ranking model it was."""
with_config(RECORD)(Agreement)
