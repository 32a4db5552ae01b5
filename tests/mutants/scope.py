"""Which files are mutated, and which tests are asked about each."""

import fnmatch
from collections.abc import Iterator
from pathlib import Path

Tests = list[tuple[str, str]]
"""Test files, with a text that the names of the tests to run hold, or "" for all of a file."""

_FILES = (
    "preprocess/{hashing,negatives,own_data,prepare,prepared,raw,samples,saved_state,sequences,splits,state,state_writing,vocabulary,writing}.py",
    "preprocess/{options,propensity,schema}.py",
    "layers/*.py",
    "models/*.py",
    "models/*/model.py",
    "models/mlcc/network.py",
    "models/gbdt/*.py",
    "training/*.py",
    "prerank/kernels/*.py",
    "prerank/evaluation/{blocks,metrics}.py",
    "prerank/{attributes,caps,filters}.py",
    "prerank/{agreement,build_index,digests,encoding,fallback,index,item_means,items,lookup,manifest,order,preranker}.py",
    "prerank/{requests,reserving,reversed_artefact,scored,snapshot,storage,watching}.py",
    "experiments/{ablations,agreement,bootstrap,collect,measuring,plan,runs,search_space,statuses}.py",
    "experiments/{trained,tuned,tuning}.py",
    "experiments/cascade/{chosen,entries,intervals,judge,metrics,opened,records,stages,timing,truth}.py",
    "experiments/report/{changes,claims,entries,facts,tables}.py",
)
_LEFT_OUT = (
    # need several processes or a GPU, and are held by tests that are slow
    "training/{cluster,device,distribution}.py",
    # names and texts only
    "*/__init__.py",
    "training/{app,exit_codes,option_help,session,source}.py",
    "models/gbdt/options.py",
)

_CONFORMANCE = "tests/models/test_model_conformance.py"
_KERNELS = ("tests/prerank/test_chunks.py", "tests/prerank/test_kernels.py")
_MORE = {
    "preprocess/negatives.py": ("test_negatives", "test_request_rows"),
    "preprocess/own_data.py": ("test_own_data", "test_request_rows"),
    "preprocess/options.py": ("test_options", "test_prepare"),
    "preprocess/prepare.py": ("test_options", "test_prepare"),
    "preprocess/prepared.py": ("test_prepare", "test_damaged_files"),
    "preprocess/raw.py": ("test_bad_input", "test_options", "test_own_data"),
    "preprocess/samples.py": ("test_movielens", "test_request_rows", "test_splits", "test_prepare"),
    "preprocess/schema.py": ("test_own_data",),
    "preprocess/sequences.py": ("test_sequences", "test_prepare"),
    "preprocess/splits.py": ("test_splits", "test_request_rows"),
    "preprocess/state_writing.py": ("test_saved_state",),
    "preprocess/state.py": ("test_state", "test_taobao"),
    "preprocess/vocabulary.py": ("test_vocabulary", "test_movielens", "test_saved_state"),
    "preprocess/writing.py": ("test_writing", "test_vocabulary", "test_sequences", "test_request_rows"),
    "layers/embedding.py": ("test_lookup_plan", "tests/models/test_planned_lookups"),
    "layers/lists.py": ("test_list_losses",),
    "layers/*_loss.py": ("test_list_losses", "test_list_loss_optima"),
    "layers/{vectors,grouping}.py": ("test_contrastive_loss", "test_in_batch_softmax_loss", "test_max_sim"),
    "models/base.py": ("test_new_model", "test_training_conformance:dssm"),
    "models/{batch,inputs,columns,tokens}.py": ("test_feature_encoder", "test_columns", "test_field_names"),
    "models/{contracts,options,registry}.py": ("test_registry", "test_new_model"),
    "models/deepctr*.py": ("test_deepctr_models", "test_columns"),
    "models/{exposure,exposure_options}.py": ("test_entire_space",),
    "models/task_options.py": ("test_multi_task",),
    "prerank/kernels/tasks.py": ("test_task_scores",),
    "models/lazy.py": ("tests/test_light", "test_registry"),
    "models/mlcc/network.py": ("test_mlcc",),
    "models/mixture.py": ("test_mol",),
    "models/retrieval.py": ("test_retrieval",),
    "models/scorers.py": ("tests/prerank/test_kernels",),
    "models/gbdt/*.py": ("test_gbdt", "test_trees"),
    "models/{auto_int,dcn,dcn_v2,deep_fm,wide_and_deep}/model.py": ("test_deepctr_models",),
    "models/{mind,youtube_dnn}/model.py": ("test_retrieval",),
    "training/assembly.py": ("test_assembly", "test_list_batches"),
    "training/{batches,dataset,packing}.py": ("test_batches", "test_assembly"),
    "training/callbacks.py": ("test_trainer", "test_fit_all"),
    "training/{exposure}.py": ("test_exposure",),
    "training/finished_runs.py": ("test_teacher", "test_fit_all"),
    "training/item_states.py": ("test_item_states", "test_candidates"),
    "training/moments.py": ("test_warm_start",),
    "training/objective_setup.py": ("test_masking", "test_untimed", "test_assembly", "test_unlabelled"),
    "training/spec.py": ("test_privileged",),
    "training/{options,objective_options,config}.py": ("test_objective_options", "test_config", "test_identity"),
    "training/{progress,run_folder}.py": ("test_run_folder", "test_damaged_training"),
    "training/records.py": ("tests/experiments/test_damaged_runs", "tests/experiments/test_report"),
    "training/row_keys.py": ("test_candidates", "test_list_batches"),
    "training/row_kernels.py": ("tests/models/test_planned_lookups", "tests/native/test_library"),
    "training/scoring.py": ("test_scoring", "test_requests"),
    "training/cascade.py": ("test_selection", "test_scoring"),
    "training/evaluation.py": ("test_weights_and_floor", "test_tasks", "test_trainer"),
    "training/trainer.py": ("test_trainer", "test_weights_and_floor", "test_unlabelled"),
    "prerank/evaluation/{blocks,metrics}.py": ("tests/training/test_metrics", "tests/training/test_weighted_metrics"),
    "prerank/{attributes,caps,filters}.py": ("test_attributes",),
    "prerank/agreement.py": ("test_storage_agreement", "test_index"),
    "prerank/{build_index,manifest}.py": ("test_index", "test_damaged_exports"),
    "prerank/digests.py": ("test_damaged_exports", "test_index"),
    "prerank/encoding.py": ("test_encoding", "test_item_ids", "test_onnx:dssm"),
    "prerank/index.py": ("test_index", "test_preranker", "test_damaged_exports"),
    "prerank/items.py": ("test_items", "test_index"),
    "prerank/preranker.py": ("test_preranker", "test_order", "test_item_ids"),
    "prerank/reversed_artefact.py": ("test_top_users",),
    "prerank/requests.py": ("test_top_users", "test_item_ids", "test_preranker"),
    "prerank/scored.py": ("test_preranker", "test_task_scores"),
    "prerank/snapshot.py": ("test_chunks", "test_watching", "test_preranker"),
    "prerank/storage.py": ("test_chunks", "test_storage_agreement", "test_index"),
    "prerank/fallback.py": _KERNELS,
    "prerank/kernels/*.py": _KERNELS,
    "prerank/kernels/entire_space.py": ("test_exposure_scores",),
    "experiments/ablations.py": ("test_plan", "test_report"),
    "experiments/{collect,runs}.py": ("test_report", "test_damaged_runs", "test_publish"),
    "experiments/plan.py": ("test_plan", "test_search_space", "test_runner"),
    "experiments/statuses.py": ("test_runner", "test_killed_commands"),
    "experiments/trained.py": ("test_measuring",),
    "experiments/tuned.py": ("test_tuning", "test_report", "test_damaged_runs"),
    "experiments/report/{claims,entries}.py": ("test_verdict",),
    "experiments/report/*.py": ("test_report", "test_committed_report", "test_publish"),
    "experiments/cascade/{entries,records}.py": ("test_cascade_records", "test_judge"),
    "experiments/cascade/{intervals}.py": ("test_cascade_intervals",),
    "experiments/cascade/{chosen}.py": ("test_cascade_chosen", "test_judge"),
    "experiments/cascade/{metrics,opened,stages}.py": ("test_cascade_metrics", "test_truth", "test_judge"),
    "experiments/cascade/{timing,judge,truth}.py": ("test_judge", "test_truth"),
}  # fmt: skip


def _expanded(pattern: str) -> list[str]:
    """A pattern with one pair of braces as several without."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    inner, _, after = rest.partition("}")
    return [f"{before}{word}{after}" for word in inner.split(",")]


def _matches(file: str, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch.fnmatchcase(file, one)
        and file.count("/") == one.count("/")
        or one.startswith("*")
        and file.endswith(one[1:])
        for pattern in patterns
        for one in _expanded(pattern)
    )


def files(root: Path) -> list[str]:
    """Every file in scope."""
    found = {
        path.relative_to(root).as_posix() for pattern in _FILES for one in _expanded(pattern) for path in root.glob(one)
    }
    return sorted(file for file in found if not _matches(file, _LEFT_OUT))


def tests(root: Path, file: str) -> Tests:
    """The tests that are asked about a file: its own first, then further ones by the table.

    Raises:
        ValueError: there is none, or one that the table names does not exist.
    """
    found: Tests = []
    for name in _named(root, file):
        path, _, word = name.partition(":")
        if "/" not in path:
            path = f"tests/{Path(file).parts[0]}/{path}"
            if file.startswith("experiments/cascade") and not (root / f"{path}.py").exists():
                path = path.replace("experiments/", "experiments/cascade/")
        path = path.removesuffix(".py") + ".py"
        if not (root / path).exists():
            raise ValueError(f"{file}: there is no {path}")
        if path not in [known for known, _ in found]:
            found.append((path, word))
    if not found:
        raise ValueError(f"{file}: no test is named for it in tests/mutants/scope.py")
    return found


def _named(root: Path, file: str) -> Iterator[str]:
    package, stem = Path(file).parts[0], Path(file).stem
    own = Path(file).parts[1] if stem == "model" else stem
    more = [name for pattern, names in _MORE.items() if _matches(file, (pattern,)) for name in names]
    if f"test_{own}" not in more and (root / f"tests/{package}/test_{own}.py").exists():
        yield f"test_{own}"
    yield from more
    if package == "layers":
        yield "test_defaults"
        yield f"test_layer_conformance:{_class_name(root, file)}"
    if package == "models" and stem == "model":
        yield f"{_CONFORMANCE}:[{own}]"
        yield f"tests/prerank/test_kernels:{own}"
        yield f"test_training_conformance:{own}"
    elif package == "models":
        yield f"{_CONFORMANCE}:[hit]"


def _class_name(root: Path, file: str) -> str:
    """The layer that a file holds, or "" for one that holds none, or several."""
    text = (root / file).read_text("utf-8")
    found = [line.split()[1].split("(")[0].rstrip(":") for line in text.splitlines() if line.startswith("class ")]
    return found[0] if len(found) == 1 else ""
