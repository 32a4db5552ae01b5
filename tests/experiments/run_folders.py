"""Run folders as the training script leaves them, with made-up results."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from experiments import bootstrap
from experiments.plan import PlannedRun, flags_of
from preprocess.options import DataOptions
from training.config import Config, parse
from training.run_folder import RunFolder

_LEAKS = ["target_mean", "history", "user_filter", "encoders", "scaler"]


def _part(auc: float, logloss: float = 0.3) -> dict:
    values = {"auc": auc, "logloss": logloss, "gauc": auc - 0.03, "ndcg@10": 0.9, "recall@10": 0.4, "ece": 0.02}
    return {**values, "rows": 300, "positives": 200}


def write_run(
    root: Path,
    model: str,
    seed: int,
    auc: float,
    *,
    protocol: str = "strict",
    status: str = "finished",
    options: dict[str, str] | None = None,
    leaks: list[str] | None = None,
    measured: bool = True,
    overlap: float | None = None,
    dataset: str = "movielens",
    data: str = "data",
    raw_data: str | None = None,
    unseen: float | None = None,
) -> Path:
    """A run's folder below `root`; a leak that is switched off counts as other data, and so does another `data`."""
    flags = [f"--model_name={model}", f"--protocol={protocol}", f"--random_seed={seed}", "--data_path=/secret/place"]
    flags += flags_of(options or {})
    if leaks is not None:
        flags.append(f"--leak={','.join(leaks) or 'none'}")
    config = parse(flags, program="", description="")
    found = leaks if leaks is not None else _LEAKS if protocol == "reference" else []
    fingerprint = f"{data}-{protocol}-{len(found)}"
    run_id = config.identity(fingerprint) + (".failed" if status == "failed" else "")
    folder = root / dataset / protocol / model / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config.to_yaml())
    metrics = {
        "status": status,
        "reason": {"finished": "", "diverged": "the loss is not finite", "failed": "exit code 1"}[status],
        "run_id": run_id,
        "dataset": dataset,
        "protocol": protocol,
        "split": "random" if protocol == "reference" else "time",
        "state": "frozen" if protocol == "reference" else "online",
        "leaks": found,
        "model": model,
        "seed": seed,
        "data_fingerprint": fingerprint,
    }
    if raw_data:
        metrics["raw_data"] = raw_data
    if status == "failed":
        metrics |= {"exit_code": 1, "last_lines": ["Traceback", "MemoryError: too | much"]}
    else:
        metrics |= {"rows": {"train": 1000, "validation": 200, "test": 300}, "parameters": 12345, "epochs": 3}
        metrics |= {"best_epoch": 2, "examples_per_second": 1000.0 + seed, "seconds": 10.0}
    if status == "finished":
        metrics |= {"test": _part(auc), "validation": _part(auc + 0.01)}
        if measured:
            spread = np.random.default_rng(0).normal(0, 0.002, bootstrap.SAMPLES)
            (folder / "bootstrap.csv").write_text(bootstrap.to_csv(np.column_stack([auc + spread, auc + spread])))
        if overlap is not None:
            (folder / "ranker_agreement.json").write_text(json.dumps(_agreement(overlap, unseen)))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = io.StringIO()
    csv.writer(text).writerows([["epoch", "val_auc"], [1, auc - 0.1], [2, auc]])
    (folder / "history.csv").write_text(text.getvalue())
    return folder


def write_untrained_run(root: Path, data, model: str, seed: int, *flags: str, options=DataOptions) -> Path:
    """A finished run of prepared data whose weights are those before training; its metrics are made up."""
    argv = [f"--model_name={model}", f"--random_seed={seed}", f"--prepared_dir={data.path.parents[1]}", *flags]
    config = parse(argv, program="", description="", data_options=options)
    folder = root / data.spec.dataset / "strict" / model / config.identity(data.fingerprint)
    write_untrained(folder, config, data)
    return folder


def write_untrained(folder: Path, config: Config, data) -> None:
    """As :func:`write_untrained_run`, in the folder of a planned run."""
    import models  # TensorFlow

    model, seed = config.run.model_name, config.run.random_seed
    built = models.build(model, data.spec, config.model, seed=seed, entire_space=config.run)
    built.build_weights()
    (folder / "checkpoints").mkdir(parents=True)
    built.save_trained(folder / "checkpoints")
    (folder / "config.yaml").write_text(config.to_yaml())
    metrics = {
        "status": "finished", "reason": "", "run_id": folder.name, "dataset": data.spec.dataset, "protocol": "strict",
        "split": "time", "state": "online", "leaks": [], "model": model, "seed": seed, "test": _part(0.8),
        "data_fingerprint": data.fingerprint, "validation": _part(0.8), "seconds": 10.0,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))


def _agreement(overlap: float, unseen: float | None) -> dict:
    shares = {f"{name}@{k}": overlap for name in ("overlap", "recall") for k in (10, 50, 100)}
    if unseen is not None:  # files of earlier versions lack it
        shares |= {f"unseen@{k}": unseen for k in (10, 50, 100)}
    return {"ranker": "dcn_v2", "ranker_run": "seed0-x", "asked_users": 5, "users": 5, "users_with_positives": 4,
            "items": 50, **shares}  # fmt: skip


def planned(root: Path, *flags: str, model: str = "dssm", seed: int = 0, dataset: str = "movielens") -> PlannedRun:
    """A run of a script that takes whatever flags the test's script takes."""
    config = parse([f"--model_name={model}", f"--random_seed={seed}"], program="", description="")
    final = root / dataset / "strict" / model / f"seed{seed}-abc"
    return PlannedRun(config, (), (f"--folder={final}", *flags), RunFolder(final), dataset, "data-strict")
