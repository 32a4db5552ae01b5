"""A trained model as files that need nothing of this project: a SavedModel, or ONNX."""

import keyword
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from export import onnx_files
from export.calibration import Calibrations, calibrated, calibrated_tasks
from export.place import target as target
from export.raw_inputs import RawInputs, tensor_spec
from features import Field
from models import PreRankingModel, TwoTowerModel, registry
from models.entire_space import TASKS, EntireSpaceModel
from models.multi_task import MultiTaskModel
from models.scorers import ScorerSpec
from prerank import description, digests, folders, index
from prerank.artefact import fingerprint_of
from prerank.errors import ArtefactError, InputError
from prerank.layout import FEATURES, INDEX, SCORER

Outputs = dict[str, tf.Tensor]
Encode = Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]
Format = Literal["saved_model", "onnx"]
_NO_ARGUMENTS = {"self", *keyword.kwlist}
"""What TensorFlow's functions take for no name of an argument: their own, and Python's words."""


def export(
    model: PreRankingModel,
    vocabularies: Mapping[str, np.ndarray],
    place: Path,
    files: Mapping[str, str | bytes | Path],
    export_format: Format = "saved_model",
    report: Callable[[str], object] = print,
    calibration: Mapping[str, Any] | None = None,
    task_calibrations: Mapping[str, Mapping[str, Any] | None] | None = None,
    said: Mapping[str, Any] | None = None,
) -> None:
    """Write `model` as a SavedModel with its signatures, or each signature as an ONNX file, whole or not at all.

    The signatures are `serving_default` and, for a decoupled model, `user_tower`, `item_tower` and `score`. A
    SavedModel takes raw values as the data set's files spell them, ONNX their indices, for which `vocabularies.json`
    lies beside it; see `features.json`. An item index in the folder stays if the export before scores the same, by its
    fingerprint; otherwise it is deleted with it.

    Args:
        model: a trained model.
        vocabularies: values of each vocabulary of the model's feature specification, by name.
        place: the folder to make or to replace, from :func:`target`.
        files: further files by name, as text, bytes, or the path of a file to copy.
        export_format: what to write.
        report: takes lines meant for the user.
        calibration: the map from logits to probabilities, see :mod:`prerank.calibration`.
        task_calibrations: the same of each of several tasks.
        said: what else `features.json` is to say, such as which rows the model was trained on.

    Raises:
        InputError: the folder cannot be written, or for ONNX, a package is missing or the model is too large.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(folders.holding(place, report))
            with folders.replacing(place) as working:
                maps = Calibrations(calibration, task_calibrations or {})
                _write(model, vocabularies, working, files, export_format, maps, said or {})
                lost = (place / INDEX).is_dir()
                if lost:
                    stack.enter_context(index.writing(place / INDEX, report))  # until it is replaced
                    lost = not _take_index(place, working)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(f"--export_dir: cannot write the export: {error}", path=place) from error
    if lost:
        report(f"{place / INDEX}: the item index was of the model exported before, so it is deleted; build a new one")


def _write(
    model: PreRankingModel,
    vocabularies: Mapping[str, np.ndarray],
    folder: Path,
    files: Mapping[str, str | bytes | Path],
    export_format: Format,
    calibration: Calibrations,
    said: Mapping[str, Any],
) -> None:
    write = _write_onnx if export_format == "onnx" else _write_saved_model
    described = write(model, vocabularies, folder, calibration)
    scorer = _scorer(model)
    if scorer is not None:
        np.savez(folder / SCORER, allow_pickle=False, **scorer.weights)
    for name, content in files.items():
        if isinstance(content, Path):
            shutil.copyfile(content, folder / name)
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    entries = {str(path.relative_to(folder)): digests.entry(path) for path in _files(folder)}
    described |= {"scorer": scorer and scorer.kind, **said, "files": entries}
    (folder / FEATURES).write_text(description.to_text(described), encoding="utf-8")


def _take_index(before: Path, folder: Path) -> bool:
    """Give a new export the item index of the one that it replaces, if that scores the same; whether it does."""
    try:
        same = index.fingerprint(before / INDEX) == fingerprint_of(folder)
    except ArtefactError:
        return False
    if same:
        # Its files never change, so that another name for them will do.
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(before / INDEX, folder / INDEX, copy_function=folders.link_or_copy, ignore=hidden)
    return same


def _write_saved_model(
    model: PreRankingModel,
    vocabularies: Mapping[str, np.ndarray],
    folder: Path,
    calibration: Calibrations,
) -> dict[str, Any]:
    """Write the SavedModel and return what `features.json` says of it."""
    # The module holds every resource that the signatures use.
    module = tf.Module()
    # The variables only: Keras would otherwise save its layers' own traces too.
    module.weights = list(model.variables)
    module.raw_inputs = raw_inputs = RawInputs(model.spec, vocabularies)
    arguments = _arguments(model, _NO_ARGUMENTS)
    signatures = _signatures(model, raw_inputs.encode, tensor_spec, arguments, calibration)
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return _describe(model, signatures, "saved_model", arguments, calibration)


def _write_onnx(
    model: PreRankingModel,
    vocabularies: Mapping[str, np.ndarray],
    folder: Path,
    calibration: Calibrations,
) -> dict[str, Any]:
    """Write the ONNX files and the vocabularies, and return what `features.json` says of them."""
    onnx_files.require()
    plain = onnx_files.plain_copy(model)  # named, as signatures do not keep their variables alive
    encode, arguments = onnx_files.encode(model.spec), _arguments(model, _NO_ARGUMENTS)
    signatures = _signatures(plain, encode, onnx_files.tensor_spec, arguments, calibration)
    outputs = {name for signature in signatures.values() for name in signature.structured_outputs}
    if outputs & set(arguments):  # an ONNX file tells inputs from outputs by their names
        arguments = _arguments(model, _NO_ARGUMENTS | outputs)
        signatures = _signatures(plain, encode, onnx_files.tensor_spec, arguments, calibration)
    looked_up = {field.vocabulary for field in model.spec.fields if not field.hash_buckets}
    listed = {name: values for name, values in vocabularies.items() if name in looked_up}
    onnx_files.write(signatures, listed, folder)
    return onnx_files.describe(_describe(model, signatures, "onnx", arguments, calibration), model.spec)


def _arguments(model: PreRankingModel, taken: set[str]) -> dict[str, str]:
    """By field what the signatures call it: its name, with underscores after it where that name is taken."""
    names = {field.name for field in model.spec.fields}
    found = {}
    for name in sorted(names):
        argument = name
        while argument in taken or argument != name and argument in names:
            argument += "_"
        found[name] = argument
    return found


def _signatures(
    model: PreRankingModel,
    encode: Encode,
    input_spec: Callable[[Field], tf.TensorSpec],
    arguments: Mapping[str, str],
    calibration: Calibrations,
) -> dict[str, Any]:
    """The signatures, of inputs as `input_spec` and `arguments` say, which `encode` makes the model's own."""
    spec = model.spec

    def specs(fields: Iterable[Field]) -> list[tf.TensorSpec]:
        found = [input_spec(field) for field in fields]
        return [tf.TensorSpec(one.shape, one.dtype, name=arguments[one.name]) for one in found]

    def encoded(given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return encode({name: given[argument] for name, argument in arguments.items() if argument in given})

    def exported(outputs: Outputs) -> Outputs:
        found = calibrated(_exported(outputs), calibration.ranking, isinstance(model, EntireSpaceModel))
        return calibrated_tasks(found, calibration.tasks)

    def forward(**raw: tf.Tensor) -> Outputs:
        return exported(model.named_outputs(encoded(raw)))

    signatures = {"serving_default": _trace(forward, specs(spec.fields))}
    if isinstance(model, TwoTowerModel):
        signatures["user_tower"] = _trace_tower(model.user_tower, encoded, specs(spec.side("user")))
        signatures["item_tower"] = _trace_tower(model.item_tower, encoded, specs(spec.side("item")))
        states = {**signatures["user_tower"].structured_outputs, **signatures["item_tower"].structured_outputs}

        def score(**state: tf.Tensor) -> Outputs:
            user = {name: state[name] for name in model.user_state}
            return exported(model.named_scores(user, {name: state[name] for name in model.item_state}))

        of_states = [tf.TensorSpec([None, *value.shape[1:]], value.dtype, name=name) for name, value in states.items()]
        signatures["score"] = _trace(score, of_states)
    return signatures


def _trace_tower(tower: Callable[..., Outputs], encode: Encode, specs: list[tf.TensorSpec]):
    def compute(**raw: tf.Tensor) -> Outputs:
        state = tower(encode(raw))
        return {name: tf.cast(value, tf.float32) if value.dtype.is_floating else value for name, value in state.items()}

    return _trace(compute, specs)


def _trace(function: Callable[..., Outputs], specs: list[tf.TensorSpec]):
    return tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})


def _files(folder: Path) -> list[Path]:
    """The files that decide the scores. TensorFlow's `fingerprint.pb` does not: it holds a random number."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "fingerprint.pb")


def _scorer(model: PreRankingModel) -> ScorerSpec | None:
    """The formula of `score` with all its numbers, the bias included."""
    spec = model.scorer_spec() if isinstance(model, TwoTowerModel) else None
    return None if spec is None else replace(spec, weights={**spec.weights, "bias": model.bias.numpy()})


def _exported(outputs: Outputs) -> Outputs:
    """The outputs as a server gets them: float32 of one axis."""
    return {name: tf.reshape(tf.cast(value, tf.float32), [-1]) for name, value in outputs.items()}


def _describe(
    model: PreRankingModel,
    signatures: Mapping[str, Any],
    export_format: Format,
    arguments: Mapping[str, str],
    calibration: Calibrations,
) -> dict[str, Any]:
    """What `features.json` holds: every input, and the specification that the model was built from."""
    inputs = []
    for field in model.spec.fields:
        described: dict[str, Any] = {
            "name": field.name,
            "side": field.side,
            "kind": field.kind,
            "dtype": field.raw_type,
            "shape": list(tensor_spec(field).shape),
        }
        if field.kind == "dense":
            described |= {"missing": "NaN", "default": field.default}
        else:
            missing = "" if field.raw_type == "string" else -1
            described |= {"missing": missing, "vocabulary": field.vocabulary, "vocabulary_size": field.vocabulary_size}
        if arguments[field.name] != field.name:
            described["argument"] = arguments[field.name]
        if field.hash_buckets:
            described["hash_buckets"] = field.hash_buckets
        if field.limit:
            described["limit"] = field.limit
        if field.separator:
            described["separator"] = field.separator
        if field.kind == "sequence":
            described |= {
                "trained_length": field.max_length,
                "order": "oldest first, padded on the right",
                "default": [],
            }
        inputs.append(described)
    outputs = {
        name: {key: list(value.shape) for key, value in signature.structured_outputs.items()}
        for name, signature in signatures.items()
    }
    tasks = _tasks(model, calibration)
    return {
        "model": model.name,
        "format": export_format,
        "format_version": description.FORMAT_VERSION,
        "log_odds": registry.get(model.name).calibrated,
        "calibrated": calibration.ranking is not None,
        **({"calibration": dict(calibration.ranking)} if calibration.ranking is not None else {}),
        **({"tasks": tasks} if tasks else {}),
        "inputs": inputs,
        "outputs": outputs,
        "specification": model.spec.to_dict(),
    }


def _tasks(model: PreRankingModel, calibration: Calibrations) -> list[dict[str, Any]]:
    """What `features.json` says of a model's tasks; nothing of a model with one."""
    if isinstance(model, EntireSpaceModel):
        measured = calibration.ranking is not None
        return [task | {"calibrated": measured and task["log_odds"]} for task in TASKS]
    if not isinstance(model, MultiTaskModel):
        return []
    maps = {task: dict(found) for task, found in calibration.tasks.items() if found is not None}
    return [
        task
        | {"calibrated": task["name"] in maps}
        | ({"calibration": maps[task["name"]]} if task["name"] in maps else {})
        for task in model.described_tasks()
    ]
