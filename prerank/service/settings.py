"""What one service is told: where its model lies, where it listens, and what a request may cost."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of a service. They are pickled for its worker processes.

    Attributes:
        model: the exported model.
        index: its item index, or None for the folder `index` in the model's.
        workers: how many processes.
        concurrency: how many requests each process computes at a time.
        queue: how many further requests each process lets wait; what comes on top is refused.
        timeout: seconds that a request may take, from its first byte to its answer.
        max_body: most bytes of a request's body.
        max_items: most candidates, excluded items and answered items of a request.
        max_users: most users of a request.
        access_log: write a line for each request.
        other: a second exported model, or None.
        other_index: its item index, as `index`.
        share: share of the users that the second model answers; 0: none, it computes each request unheard.
    """

    model: Path
    index: Path | None = None
    workers: int = 1
    concurrency: int = 1
    queue: int = 64
    timeout: float = 1.0
    max_body: int = 1 << 20
    max_items: int = 10_000
    max_users: int = 64
    access_log: bool = False
    other: Path | None = None
    other_index: Path | None = None
    share: float = 0.0
