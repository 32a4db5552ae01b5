"""The same model and table with fbgemm's table-batched embeddings, which production systems train with on a CPU.

Its backward pass sums gradients and updates the rows in one pass, by rowwise Adagrad: one number a row where lazy Adam
has two moments of a row's size. Batches are cut from arrays in memory by a thread of their own; no id is masked.

A script of its own that imports nothing of the project, as `pytorch.py` beside it.
"""

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode, EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    SplitTableBatchedEmbeddingBagsCodegen,
)
from pytorch import tower
from torch import nn

_WARM_STEPS = 8
_AHEAD = 4

Fields = list[dict[str, Any]]


class _Rows:
    """The table's ids side by side (n, W), and its labels (n,)."""

    def __init__(self, folder: Path, fields: Fields):
        table = pq.read_table(folder)
        columns = [table[field["name"]].combine_chunks() for field in fields]
        # Every sequence is full.
        arrays = [
            c.flatten().to_numpy().reshape(len(c), -1) if hasattr(c, "offsets") else c.to_numpy() for c in columns
        ]
        arrays = [a.astype(np.int64).reshape(len(a), -1) for a in arrays]
        self.widths = [a.shape[1] for a in arrays]
        self.ids = torch.from_numpy(np.concatenate(arrays, axis=1))
        self.labels = torch.from_numpy(table["label"].to_numpy().astype(np.float32))

    def batches(self, size: int) -> "queue.Queue[tuple[torch.Tensor, torch.Tensor]]":
        """Shuffled batches without end, made ahead: the ids field after field, and the labels."""
        made: queue.Queue[tuple[torch.Tensor, torch.Tensor]] = queue.Queue(_AHEAD)
        ends = np.cumsum(self.widths).tolist()

        def make() -> None:
            while True:
                order = torch.randperm(len(self.labels))
                for start in range(0, len(order) - size + 1, size):
                    rows = order[start : start + size]
                    ids = self.ids[rows]
                    parts = [ids[:, a:b].reshape(-1) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
                    made.put((torch.cat(parts), self.labels[rows]))

        threading.Thread(target=make, daemon=True).start()
        return made


def _embeddings(fields: Fields, dim: int) -> SplitTableBatchedEmbeddingBagsCodegen:
    """One table a vocabulary, means over the elements of a field."""
    sizes: dict[str, int] = {}
    for field in fields:
        sizes.setdefault(field["vocabulary"], field["vocabulary_size"])
    names = list(sizes)
    made = SplitTableBatchedEmbeddingBagsCodegen(
        [(rows, dim, EmbeddingLocation.HOST, ComputeDevice.CPU) for rows in sizes.values()],
        feature_table_map=[names.index(field["vocabulary"]) for field in fields],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=1e-2,
        eps=1e-8,
        pooling_mode=PoolingMode.MEAN,
        bounds_check_mode=BoundsCheckMode.NONE,
    )
    for weights in made.split_embedding_weights():
        weights.data.normal_(std=1e-4)
    return made


def measure(folder: Path, hidden: list[int], dim: int, batch_size: int, steps: int) -> dict[str, float]:
    """Examples/s over `steps` batches after a few more to warm up, and the stages' seconds a batch."""
    fields = json.loads((folder / "manifest.json").read_text("utf-8"))["spec"]["fields"]
    fields.sort(key=lambda field: field["side"] == "item")
    rows = _Rows(folder / "train", fields)
    embeddings = _embeddings(fields, dim)
    width = dim * sum(field["side"] == "user" for field in fields)
    user, item = tower(width, hidden), tower(dim * len(fields) - width, hidden)
    scale, bias = nn.Parameter(torch.tensor(5.0)), nn.Parameter(torch.zeros(()))
    dense = torch.optim.Adam([*user.parameters(), *item.parameters(), scale, bias], fused=True)
    lengths = torch.cat([torch.full((batch_size,), count, dtype=torch.int64) for count in rows.widths])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    batches = rows.batches(batch_size)
    seconds = dict.fromkeys(("input", "forward", "backward", "optimizer"), 0.0)
    for number in range(_WARM_STEPS + steps):
        if number == _WARM_STEPS:
            start, busy = time.perf_counter(), time.process_time()
            seconds = dict.fromkeys(seconds, 0.0)
        marks = [time.perf_counter()]
        ids, labels = batches.get()
        marks.append(time.perf_counter())
        found = embeddings(ids, offsets)
        logits = scale * nn.functional.cosine_similarity(user(found[:, :width]), item(found[:, width:])) + bias
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        marks.append(time.perf_counter())
        dense.zero_grad()
        loss.backward()  # updates the rows too
        marks.append(time.perf_counter())
        dense.step()
        marks.append(time.perf_counter())
        for stage, begin, end in zip(seconds, marks[:-1], marks[1:], strict=True):
            seconds[stage] += end - begin
    whole, busy = time.perf_counter() - start, time.process_time() - busy
    stages = {stage: value / steps for stage, value in seconds.items()}
    return {"examples_per_second": steps * batch_size / whole, "cpu": busy / steps, **stages}


if __name__ == "__main__":
    _, folder, *numbers = sys.argv
    embedding_dim, batch_size, steps, *hidden = map(int, numbers)
    print(json.dumps(measure(Path(folder), hidden, embedding_dim, batch_size, steps)))
