"""What a service counts, in the format of Prometheus, of one process or of all workers together."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which worker processes share their counts."""
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


About = Callable[[], tuple[int, float, int]]


class Metrics:
    """The counts of this process.

    Args:
        index: gives the number of the index's version, when it was made, in seconds since 1970, and how many items it
            holds.
        other: the same of the other model's index, if there is one.
    """

    def __init__(self, index: About, other: About | None = None):
        self._indexes = {"index": index} | ({} if other is None else {"other_index": other})
        self._own = CollectorRegistry()
        self.requests = Counter("prerank_requests", "Answered requests.", ["endpoint", "status"], registry=self._own)
        self.seconds = Histogram(
            "prerank_request_seconds",
            "Time of a request from its head to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self._own,
        )
        self.refused = Counter(
            "prerank_refused_requests", "Requests without a result, by reason.", ["reason"], registry=self._own
        )
        self.unknown = Counter("prerank_unknown_ids", "Candidates that the index does not hold.", registry=self._own)
        self.scored = Counter("prerank_answered_items", "Items in answers.", registry=self._own)
        self.variants = Counter(
            "prerank_variant_users", "Users answered, by the model that answered.", ["variant"], registry=self._own
        )
        self.shadow = Counter(
            "prerank_shadow_requests", "Requests that the shadow got, by what came of it.", ["result"],
            registry=self._own,
        )  # fmt: skip
        self.shadow_overlap = Histogram(
            "prerank_shadow_overlap", "Share of an answer's items that the shadow's has too.", buckets=_SHARES,
            registry=self._own,
        )  # fmt: skip
        self.shadow_seconds = Histogram(
            "prerank_shadow_seconds", "Time of a request in the shadow.", buckets=_SECONDS, registry=self._own
        )
        self.inside = Gauge(
            "prerank_requests_inside",
            "Requests that are being read, wait or compute.",
            registry=self._own,
            multiprocess_mode="livesum",
        )

    def count_shadow(self, result: str, overlap: float | None, seconds: float) -> None:
        """Count a request of the shadow."""
        self.shadow.labels(result).inc()
        if overlap is not None:
            self.shadow_overlap.observe(overlap)
            self.shadow_seconds.observe(seconds)

    def text(self) -> bytes:
        """All metrics as text: counts of all workers together, the index as this process has it."""
        registry = self._own
        if folder := os.environ.get(FOLDER):
            registry = CollectorRegistry()
            _forget_the_dead(Path(folder))
            multiprocess.MultiProcessCollector(registry)
        of_index = CollectorRegistry()
        for name, about in self._indexes.items():
            of_index.register(_Index(name, about))  # type: ignore[arg-type]
        return generate_latest(registry) + generate_latest(of_index)


class _Index:
    def __init__(self, name: str, index: About):
        self._name, self._index = f"prerank_{name}", index

    def collect(self) -> Iterator[Metric]:
        version, made, items = self._index()
        yield GaugeMetricFamily(f"{self._name}_version", "Number of the index's version.", version)
        yield GaugeMetricFamily(f"{self._name}_age_seconds", "Age of the index's version.", max(time.time() - made, 0))
        yield GaugeMetricFamily(f"{self._name}_items", "Items that the index holds.", items)


def _forget_the_dead(folder: Path) -> None:
    """Leave out the gauges of workers that were killed; their counters go on to count."""
    for path in folder.glob("gauge_live*_*.db"):
        process = path.stem.rpartition("_")[2]
        if not process.isdigit():
            continue
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was faster
                multiprocess.mark_process_dead(int(process), str(folder))
        except PermissionError:
            continue  # somebody else's process has its number by now
