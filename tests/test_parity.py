"""Raw rows give the logits of the training pipeline, wherever they are served."""

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parity import DATA, MAX_HISTORY, rows_of_test
from raw_rows import perturb, vocabularies

import models
from export.writer import export, target
from features import MISSING, UNSEEN
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.encoding import Indexer
from prerank.items import columns
from prerank.preranker import PreRanker
from training.batches import Batches
from training.callbacks import predict
from training.config import parse
from training.trainer import train

slow = pytest.mark.slow
IN_EVERY_RUN = [
    ("movielens", "hit"),
    ("amazon", "dssm"),
    ("taobao", "lr"),
    ("own-parquet", "lr"),
    ("own-hashed", "dssm"),
]
_TINY = {"embedding_dim": 4, "hidden_units": (8, 8), "head_dim": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A function that gives a data set's raw rows of the test part, and the data as prepared; each is made once."""
    made = {}

    def of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            raw = DATA[name](folder / "raw")
            prepared = raw.prepare(folder / "prepared")
            made[name] = prepared, rows_of_test(raw, prepared)
        return made[name]

    return of


def trained(name, prepared, folder):
    """A model after an epoch, whose weights then differ enough for every value to show."""
    options = models.get(name).options.model_fields
    flags = [f"--{key}={','.join(map(str, np.atleast_1d(value)))}" for key, value in _TINY.items() if key in options]
    asked = ["--model_name", name, "--epoch", "1", "--batch_size", "128", "--output_dir", str(folder), *flags]
    config = parse(asked, program="train.py", description="Train.")
    model = train(config, prepared, lambda line: None).model
    perturb(model)
    return model


def by_field(rows, prepared):
    return {field.name: [row[field.name] for row in rows] for field in prepared.spec.fields}


def saved_model_logits(place, rows, prepared):
    """Of the signature, which takes arrays of the raw types."""
    model = Artefact(place)
    spelt = pa.table({name: pa.array(values) for name, values in by_field(rows, prepared).items()})
    fields = model.inputs()
    values = columns(spelt, fields, place)
    return model.signature("serving_default", [field["name"] for field in fields])(values)["logit"]


def onnx_logits(place, rows, prepared):
    encoded = Indexer(place).encode(by_field(rows, prepared))
    session = onnxruntime.InferenceSession(place / "serving_default.onnx")
    return session.run(["logit"], {value.name: encoded[value.name] for value in session.get_inputs()})[0]


def ranker_logits(place, rows, prepared, tmp_path):
    """Of an index of the rows' items, as each is on its first row, and of these rows; and which rows they are."""
    spec = prepared.spec
    first = {}
    for number, row in enumerate(rows):
        first.setdefault(row[spec.item_id], number)
    chosen = list(first.values())
    items = {field.name: pa.array([rows[number][field.name] for number in chosen]) for field in spec.side("item")}
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    build(Artefact(place), tmp_path / "items.parquet", tmp_path / "index")
    ranker = PreRanker(place, tmp_path / "index")
    users = [{field.name: rows[number][field.name] for field in spec.side("user")} for number in chosen]
    scores = [ranker.score(user, [key], strict=True).scores[0] for user, key in zip(users, first, strict=True)]
    return np.array(scores), chosen


@pytest.mark.parametrize(
    ("name", "model_name"),
    [
        *IN_EVERY_RUN,
        *(
            pytest.param(name, model, marks=slow)
            for name in DATA
            for model in ("hit", "int_tower", "dssm", "deep_fm", "gbdt", "lr")
            if (name, model) not in IN_EVERY_RUN
        ),
    ],
)
def test_raw_rows_give_the_logits_of_training(name, model_name, data, tmp_path):
    prepared, rows = data(name)
    model = trained(model_name, prepared, tmp_path / "runs")
    expected = predict(model, Batches(prepared, "test", 8192).dataset())
    assert len(rows) == len(expected) > 30
    assert np.ptp(expected) > 0.1
    for form, logits in {"saved_model": saved_model_logits, "onnx": onnx_logits}.items():
        place = target(tmp_path / form)
        export(model, vocabularies(prepared), place, {}, form, lambda line: None)
        np.testing.assert_allclose(logits(place, rows, prepared), expected, rtol=0, atol=1e-4, err_msg=form)
        if models.get(model_name).decoupled:
            (tmp_path / "of" / form).mkdir(parents=True)
            found, chosen = ranker_logits(place, rows, prepared, tmp_path / "of" / form)
            assert len(chosen) > 5
            np.testing.assert_allclose(found, expected[chosen], rtol=0, atol=1e-4, err_msg=form)


@pytest.mark.parametrize("name", ["movielens", "amazon", "taobao", "own-parquet", "own-hashed"])
def test_the_rows_hold_what_is_hard(name, data):
    """Or the test above would prove little."""
    prepared, rows = data(name)
    spec = prepared.spec
    histories = {history for history in (spec.history, *spec.behaviours) if history}
    assert all(max(len(row[history]) for row in rows) > 3 * MAX_HISTORY for history in histories)
    table = pa.concat_tables([pq.read_table(path) for path in prepared.parts("test")])
    indices = {index for field in spec.fields if field.kind == "sparse" for index in table[field.name].to_pylist()}
    assert {MISSING, UNSEEN} <= indices
    numbers = [field for field in spec.fields if field.kind == "dense"]
    if name != "movielens":
        assert any(field.scale == 1 or field.scale > 1e37 for field in numbers)  # constants, or extremes
    if name == "own-hashed":
        assert {field.name for field in spec.fields if field.hash_buckets} >= {"who", "what", "liked"}
