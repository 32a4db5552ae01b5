"""The milliseconds of the stages of a cascade."""

from collections.abc import Sequence
from typing import Any

from experiments.cascade import metrics, stages, timing
from experiments.cascade.bench import Asked, Between, end
from experiments.cascade.opened import Opened


class Clock:
    """The milliseconds of some pre-rankers and of the ranker, all measured in turn.

    Args:
        between: what they stand between.
        prerankers: what is timed.
        asked: the pool and the quotas.
    """

    def __init__(self, between: Between, prerankers: Sequence[Opened | str], asked: Asked):
        self._asked = asked
        requests, largest = between.bench.requests, max(asked.quotas)
        pools = between.pools.places[: timing.REQUESTS]
        tasks: dict[str, timing.Task] = {}
        for preranker in prerankers:
            name = _key(preranker)
            if isinstance(preranker, str):
                if preranker in ("retrieval", "ranker", "everything"):
                    continue
                model = between.bench.floor if preranker == "floor" else None
            else:
                model = preranker.model
                if user := timing.user_task(model, requests):
                    tasks[f"user {name}"] = user
            kernel = timing.kernel_task(model, requests, pools, largest) if model is not None else None
            stage = end(preranker, between) if isinstance(preranker, str) else preranker.scorer
            tasks[name] = kernel or timing.stage_task(stage, pools, largest)
        scorer = between.ranker.scorer
        for count in {*asked.quotas, asked.pool}:
            tasks[f"rank {count}"] = timing.stage_task(scorer, [pool[:count] for pool in pools], count)
        self._found = timing.medians(tasks, len(pools))
        if "everything" in prerankers:
            places = stages.whole(requests)[: timing.FEW]
            task = timing.stage_task(scorer, places, max(metrics.CUTOFFS))
            self._found |= timing.medians({"everything": task}, len(places), timing.FEW)

    def of(self, preranker: Opened | str) -> dict[str, Any]:
        """As :class:`experiments.cascade.records.Milliseconds`."""
        of_pool = self._found[f"rank {self._asked.pool}"]
        ranking = [self._found[f"rank {quota}"] for quota in self._asked.quotas]
        if preranker == "everything":
            ranking = [self._found["everything"]]
        if preranker == "ranker":  # it need not score again what it passes on
            ranking = [of_pool] * len(ranking)
        name = _key(preranker)
        return {
            "preranking": self._found.get(name, 0.0) if preranker != "everything" else 0.0,
            "user_state": self._found.get(f"user {name}"),
            "ranking": ranking,
            "ranking_pool": of_pool,
        }


def _key(preranker: Opened | str) -> str:
    return preranker if isinstance(preranker, str) else str(preranker.run.folder)
