"""The same model and table in PyTorch: EmbeddingBag, SparseAdam, DataLoader.

A script of its own that imports nothing of the project: TensorFlow and PyTorch do not get along in one process.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

_WARM_STEPS = 5

Fields = list[dict[str, Any]]


class _TwoTower(nn.Module):
    """Sums of rows of one table, two towers, the cosine times a scale."""

    def __init__(self, fields: Fields, hidden: list[int], dim: int):
        super().__init__()
        starts: dict[str, int] = {}
        total = 0
        for field in fields:
            if field["vocabulary"] not in starts:
                starts[field["vocabulary"]], total = total, total + field["vocabulary_size"]
        self.starts = {field["name"]: starts[field["vocabulary"]] for field in fields}
        self.sides = [[field["name"] for field in fields if field["side"] == side] for side in ("user", "item")]
        self.single = nn.Embedding(total, dim, sparse=True)
        self.bag = nn.EmbeddingBag(total, dim, mode="mean", sparse=True)
        self.bag.weight = self.single.weight
        nn.init.normal_(self.single.weight, std=1e-4)
        self.towers = nn.ModuleList(tower(len(names) * dim, hidden) for names in self.sides)
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        vectors = []
        for names, tower in zip(self.sides, self.towers, strict=True):
            parts = []
            for name in names:
                rows = inputs[name] + self.starts[name]
                parts.append(self.bag(rows) if rows.dim() == 2 else self.single(rows))
            vectors.append(tower(torch.cat(parts, dim=1)))
        return self.scale * nn.functional.cosine_similarity(*vectors) + self.bias


def tower(width: int, hidden: list[int]) -> nn.Sequential:
    """Layers of `hidden` units, the last one linear, with batch normalisation as ours have."""
    layers: list[nn.Module] = []
    for units in hidden[:-1]:
        layers += [nn.Linear(width, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, hidden[-1]))


class _Rows(torch.utils.data.Dataset):
    """Whole batches by their row numbers, which is what makes a DataLoader fast."""

    def __init__(self, columns: dict[str, np.ndarray], labels: np.ndarray):
        self.columns = {name: torch.from_numpy(values) for name, values in columns.items()}
        self.labels = torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        chosen = torch.tensor(rows)
        return {name: values[chosen] for name, values in self.columns.items()}, self.labels[chosen]


def _read(folder: Path, fields: Fields) -> _Rows:
    table = pq.read_table(folder)
    columns = {}
    for field in fields:
        column = table[field["name"]].combine_chunks()
        if field["kind"] == "sequence":  # every one is full
            columns[field["name"]] = column.flatten().to_numpy().reshape(len(column), -1)
        else:
            columns[field["name"]] = column.to_numpy()
    return _Rows(columns, table["label"].to_numpy().astype(np.float32))


def measure(folder: Path, hidden: list[int], embedding_dim: int, batch_size: int, steps: int) -> dict[str, float]:
    """Examples/s over `steps` batches after a few more to warm up, and the stages' seconds a batch."""
    fields = json.loads((folder / "manifest.json").read_text("utf-8"))["spec"]["fields"]
    loader = torch.utils.data.DataLoader(
        _read(folder / "train", fields), batch_size, shuffle=True, collate_fn=lambda batch: batch
    )
    model = _TwoTower(fields, hidden, embedding_dim)
    sparse = torch.optim.SparseAdam([model.single.weight])
    dense = torch.optim.Adam([p for p in model.parameters() if p is not model.single.weight])
    seconds = dict.fromkeys(("input", "forward", "backward", "optimizer"), 0.0)
    batches = iter(loader)
    for number in range(_WARM_STEPS + steps):
        if number == _WARM_STEPS:
            start, busy = time.perf_counter(), time.process_time()
            seconds = dict.fromkeys(seconds, 0.0)
        marks = [time.perf_counter()]
        inputs, labels = next(batches)
        marks.append(time.perf_counter())
        loss = nn.functional.binary_cross_entropy_with_logits(model(inputs), labels)
        marks.append(time.perf_counter())
        sparse.zero_grad()
        dense.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        sparse.step()
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
