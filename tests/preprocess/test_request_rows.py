"""Rows with a request, a stage, a weight and a teacher's logit, against plain Python; what is wrong names its row."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from request_rows import QUEUE, STAGES, frame

from features import UNLABELLED, FeatureSpec
from preprocess import writing
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.writing import of_whole_groups
from prerank.errors import InputError

PARTS = ("train", "validation", "test")


def changed(**keys):
    return {key: value for key, value in (QUEUE | keys).items() if value is not None}


@pytest.fixture(scope="module")
def rows():
    return frame()


@pytest.fixture(scope="module")
def prepare_queue(tmp_path_factory):
    """A function that prepares rows, a data frame, by a schema."""

    def prepare_rows(table, schema=QUEUE, suffix="parquet", **options):
        folder = tmp_path_factory.mktemp("queue")
        (folder / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False))
        path = folder / f"rows.{suffix}"
        table.to_parquet(path) if suffix == "parquet" else table.to_csv(path, index=False)
        asked = OwnDataOptions(schema=folder / "schema.yaml", data_path=path, prepared_dir=folder / "out", **options)
        return prepare(NoSchema(), asked, lambda line: None)

    return prepare_rows


@pytest.fixture(scope="module")
def by_time(rows, prepare_queue):
    return prepare_queue(rows)


def stored(prepared, part):
    return pa.concat_tables(pq.read_table(file) for file in prepared.parts(part)).to_pandas()


def everything(prepared):
    """All stored rows with their part, by the number of the raw row."""
    parts = [stored(prepared, part).assign(part=part) for part in PARTS]
    return pd.concat(parts).set_index("row").sort_index()


def test_the_columns_are_those_of_the_contract(by_time, rows):
    found = everything(by_time)
    assert by_time.spec.row_columns == ("request", "stage", "weight", "teacher")
    assert by_time.spec.privileged == ("cross",)
    assert len(found) == len(rows)
    types = {name: str(found[name].dtype) for name in ("label", "request", "stage", "weight", "teacher")}
    assert types == {
        "label": "int8",
        "request": "int32",
        "stage": "int8",
        "weight": "float32",
        "teacher": "float32",
    }
    numbers = {name: number for number, name in enumerate(sorted(set(rows.ask)))}
    assert found.request.tolist() == [numbers[name] for name in rows.ask]
    assert found.stage.tolist() == [1 + STAGES.index(name) for name in rows.stage]
    assert found.weight.tolist() == rows.counts.fillna(1).tolist()
    np.testing.assert_array_equal(found.teacher, rows.rank_logit.astype(np.float32))
    assert found.label.tolist() == rows.click.fillna(UNLABELLED).tolist()


def test_counts_are_of_rows_with_a_label(by_time, rows):
    found = everything(by_time)
    for part in PARTS:
        mine = found[found.part == part]
        counts = by_time.manifest["parts"][part]
        assert counts["rows"] == len(mine)
        assert counts["labelled"] == by_time.labelled(part) == (mine.label != UNLABELLED).sum()
        assert counts["positives"] == (mine.label == 1).sum()
        assert counts["requests"] == mine.request.nunique()
        assert counts["stages"] == {str(stage): count for stage, count in mine.stage.value_counts().items()}
    training = found[(found.part == "train") & (found.label != UNLABELLED)]
    assert by_time.manifest["training_mean_label"] == pytest.approx(training.label.mean())


@pytest.mark.parametrize(
    "options", [{}, {"split": "user_time"}, {"split": "random"}, {"split": "time", "state": "frozen"}]
)
def test_no_split_cuts_a_request_and_those_of_training_lie_together(rows, prepare_queue, options, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_PER_FILE", 40)
    prepared = prepare_queue(rows, **options)
    found = everything(prepared)
    assert (found.groupby("request").part.nunique() == 1).all()
    assert set(found.part) == set(PARTS)
    training = stored(prepared, "train")
    changes = (training.request != training.request.shift()).sum()
    assert changes == training.request.nunique()
    assert not training.request.is_monotonic_increasing
    files = [pq.read_table(file).to_pandas() for file in prepared.parts("train")]
    assert len(files) > 2
    assert max(map(len, files)) <= 40
    assert all(set(one.request).isdisjoint(other.request) for one, other in zip(files, files[1:], strict=False))
    for _, request in training.groupby("request"):
        assert request.row.is_monotonic_increasing


@pytest.mark.parametrize("state", ["online", "frozen"])
def test_means_and_histories_know_labelled_rows_of_earlier_requests_only(rows, prepare_queue, state):
    prepared = prepare_queue(rows, state=state)
    found = everything(prepared)
    time = rows.groupby("ask")["at"].transform("min")
    assert found.timestamp.tolist() == time.tolist()
    words = [None, "unseen", *prepared.vocabulary("what").tolist()]
    assert set(words[2:]) == set(rows.what[found.part == "train"])
    for row in found.index:
        known = (time < time[row]) & rows.click.notna()
        if state == "frozen":
            known &= found.part == "train"
        for name, column in (("eagerness", "who"), ("appeal", "what")):
            mine = rows[known & (rows[column] == rows[column][row])]
            prior = prepared.manifest["training_mean_label"]
            expected = (mine.click.sum() + 5 * prior) / (len(mine) + 5)
            assert found[name][row] == pytest.approx(expected)
        liked = rows[known & (rows.who == rows.who[row]) & (rows.click == 1)]
        ordered = sorted(liked.index, key=lambda place: (time[place], place))
        history = [words[index] for index in found.wanted[row]]
        assert history == [rows.what[place] if rows.what[place] in words else "unseen" for place in ordered]


def test_the_reference_protocol_takes_rows_without_a_label(rows, prepare_queue):
    prepared = prepare_queue(rows, protocol="reference")
    found = everything(prepared)
    assert (found.groupby("request").part.nunique() == 1).all()
    of_test = found.part == "test"
    labelled = found.label != UNLABELLED
    for row in found.index:
        mine = found[labelled & (of_test == of_test[row]) & (found.item_group == found.item_group[row])]
        expected = mine.label.mean() if len(mine) else prepared.manifest["training_mean_label"]
        assert found["appeal"][row] == pytest.approx(expected)


def test_csv_gives_the_same(by_time, rows, prepare_queue):
    pd.testing.assert_frame_equal(everything(prepare_queue(rows, suffix="csv")), everything(by_time))


def test_stages_as_integers_and_requests_as_integers(by_time, rows, prepare_queue):
    table = rows.assign(stage=[1 + STAGES.index(name) for name in rows.stage], ask=rows.ask.str[1:].astype(int))
    found = prepare_queue(table, changed(stage="stage", request={"column": "ask", "type": "int64"}))
    pd.testing.assert_series_equal(everything(found).stage, everything(by_time).stage)
    pd.testing.assert_series_equal(everything(found).request, everything(by_time).request)


def test_names_of_stages_may_be_numbers_in_another_order(rows, prepare_queue):
    table = rows.assign(stage=[40 - 10 * STAGES.index(name) for name in rows.stage])
    found = prepare_queue(table, changed(stage={"column": "stage", "order": [40, 30, 20, 10]}))
    assert everything(found).stage.tolist() == [1 + STAGES.index(name) for name in rows.stage]


def test_labels_may_be_optional_without_a_stage(rows, prepare_queue):
    schema = changed(stage=None, weight=None, teacher=None, label={"column": "click", "optional": True})
    found = prepare_queue(rows, schema)
    assert found.spec.row_columns == ("request",)
    assert everything(found).label.tolist() == rows.click.fillna(UNLABELLED).tolist()


def test_a_rule_of_labels_leaves_rows_without_a_label_as_they_are(rows, prepare_queue):
    stars = rows.assign(click=rows.click.map({0.0: 2, 1.0: 5}).mask(rows.index % 11 == 0, 3))
    schema = changed(label={"column": "click", "positive_from": 4, "leave_out": [3]})
    found = everything(prepare_queue(stars, schema))
    kept = rows[rows.index % 11 != 0]
    assert found.index.tolist() == kept.index.tolist()
    assert found.label.tolist() == kept.click.fillna(UNLABELLED).tolist()


def test_fields_of_the_same_names_give_way(rows, prepare_queue):
    table = rows.rename(columns={"page": "request", "cross": "weight"})
    fields = {name: field for name, field in QUEUE["fields"].items() if name not in ("page", "cross")}
    fields |= {"request": {"side": "user"}, "weight": {"side": "item", "kind": "dense"}}
    found = prepare_queue(table, changed(fields=fields, context=["request", "weight"], privileged=None))
    assert everything(found)._weight.tolist() == rows.counts.fillna(1).tolist()
    assert everything(found)._request.nunique() == rows.ask.nunique()


def test_drawn_negatives_belong_to_the_request_of_their_positive(rows, prepare_queue):
    found = everything(prepare_queue(rows, negatives=2))
    drawn = found[found.index % 3 > 0]
    assert len(drawn) > 10
    assert (drawn.label == 0).all()
    assert (drawn.stage == 0).all()
    assert drawn.teacher.isna().all()
    for row in drawn.index:
        source = found.loc[row - row % 3]
        assert source.label == 1
        assert (found.request[row], found.weight[row], found.part[row]) == (
            source.request,
            source.weight,
            source.part,
        )


def test_data_without_the_new_columns_are_described_as_before(rows, prepare_queue):
    keys = dict.fromkeys(("request", "stage", "weight", "teacher", "privileged"))
    prepared = prepare_queue(rows[rows.click.notna()], changed(**keys))
    assert not {"row_columns", "privileged"} & prepared.manifest["spec"].keys()
    columns = {"rows", "positives", "users", "items", "unseen_user_share", "unseen_item_share"}
    assert prepared.manifest["parts"]["train"].keys() == columns
    assert prepared.labelled("train") == prepared.rows("train")
    assert FeatureSpec.from_dict(prepared.manifest["spec"]) == prepared.spec


@pytest.mark.parametrize(
    ("column", "place", "value", "message"),
    [
        ("ask", 6, None, "row 7: ask is null, and may not be missing"),
        ("ask", 6, "", "row 7: ask is empty, and may not be missing"),
        ("stage", 4, None, "row 5: stage is null, and may not be missing"),
        ("stage", 4, "lost", "row 5: stage has to be one of retrieved, pre_ranked, ranked, shown. Received: 'lost'"),
        ("counts", 3, -1.0, "row 4: counts has to be a finite number of 32 bits, 0 or more. Received: -1.0"),
        ("counts", 3, math.inf, "row 4: counts has to be a finite number. Received: inf"),
        ("counts", 3, 1e39, "row 4: counts has to be a finite number of 32 bits, 0 or more. Received: 1e+39"),
        ("rank_logit", 3, -math.inf, "row 4: rank_logit has to be a finite number. Received: -inf"),
        ("rank_logit", 3, -1e39, "row 4: rank_logit has to be a finite number of 32 bits. Received: -1e+39"),
        ("click", 8, 2.0, "row 9: click has to be 0 or 1, or the schema needs label.positive_from. Received: 2.0"),
    ],
)
def test_a_value_that_does_not_fit_is_named(rows, prepare_queue, column, place, value, message):
    table = rows.copy()
    table[column] = [value if row == place else old for row, old in enumerate(table[column])]
    with pytest.raises(InputError, match=f"rows.parquet, {message}".replace(".", r"\.").replace("+", r"\+")):
        prepare_queue(table)


def test_a_wrong_csv_names_its_line(rows, prepare_queue):
    table = rows.assign(ask=rows.ask.where(rows.index != 3, ""))
    with pytest.raises(InputError, match="rows.csv, line 5: ask is empty, and may not be missing"):
        prepare_queue(table, suffix="csv")
    table = rows.assign(counts=rows.counts.where(rows.index != 3, -0.5))
    with pytest.raises(InputError, match="rows.csv, line 5: counts has to be .* 0 or more. Received: -0.5"):
        prepare_queue(table, suffix="csv")


def test_integer_stages_have_bounds(rows, prepare_queue):
    for value, message in ((128, "an integer from 0 to 127"), (-2, "an integer from 0 to 127"), (-1, "missing")):
        table = rows.assign(stage=[value if row == 5 else 1 for row in range(len(rows))])
        with pytest.raises(InputError, match=f"row 6: stage .*{message}"):
            prepare_queue(table, changed(stage="stage"))


def test_a_request_has_one_user(rows, prepare_queue):
    row = int(rows.index[rows.ask == rows.ask[0]][1])
    table = rows.assign(who=rows.who.where(rows.index != row, "somebody"))
    with pytest.raises(InputError, match=f"row {row + 1}: ask {rows.ask[0]} has other values .* \\(who\\)"):
        prepare_queue(table)


def test_a_missing_label_is_refused_where_none_may_be(rows, prepare_queue):
    first = int(rows.index[rows.click.isna()][0])
    for schema in (changed(stage=None), changed(label={"column": "click", "optional": False})):
        with pytest.raises(InputError, match=f"row {first + 1}: click is (null|nan), and may not be missing"):
            prepare_queue(rows, schema)


def test_a_part_without_a_label_is_refused(rows, prepare_queue):
    last = rows["at"] >= rows["at"].quantile(0.85)
    with pytest.raises(InputError, match="too few rows with a label for --split time"):
        prepare_queue(rows.assign(click=rows.click.mask(last)))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (changed(stage={"column": "stage", "order": ["a", "a"]}), "stage.order: 'a' occurs twice"),
        (changed(stage={"column": "stage", "order": []}), "stage.order: Tuple should have at least 1 item"),
        (changed(label=None), "stage: a label is needed too"),
        (changed(privileged=["crossed"]), "privileged: names no field. Received: 'crossed'"),
        (changed(privileged=["what"]), "privileged: 'what' is an id, and every model needs it"),
        (changed(request={"column": "ask", "type": "float"}), "request.type: Input should be 'string' or 'int64'"),
        (changed(weight="heaviness"), "no column heaviness. Received: "),
    ],
)
def test_a_wrong_schema_names_its_key(rows, prepare_queue, schema, message):
    with pytest.raises(InputError) as caught:
        prepare_queue(rows, schema)
    assert message in str(caught.value)


def test_groups_are_kept_whole_whatever_the_size_of_batches():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), random.integers(1, 9, 40))
    for size in (1, 7, 100, 1000):
        batches = [
            pa.RecordBatch.from_pydict({"g": groups[start : start + size]}) for start in range(0, len(groups), size)
        ]
        tables = [table["g"].to_numpy() for table in of_whole_groups(batches, 20, "g")]
        assert np.array_equal(np.concatenate(tables), groups)
        assert all(set(one).isdisjoint(other) for one, other in zip(tables, tables[1:], strict=False))
        assert all(8 < len(table) <= 20 for table in tables[:-1])
    one = [pa.RecordBatch.from_pydict({"g": [5] * 10})] * 3 + [pa.RecordBatch.from_pydict({"g": [6] * 5})]
    assert [len(table) for table in of_whole_groups(one, 7, "g")] == [30, 5]
