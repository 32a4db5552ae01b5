"""Attributes of items: filters, caps and values, against loops over the raw rows."""

import json
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import export_small, users, write_items

from prerank import answering, index, index_command
from prerank.artefact import Artefact
from prerank.attributes import read_attributes
from prerank.build_index import build, remove_items
from prerank.caps import Caps
from prerank.command_line import main
from prerank.errors import ArtefactError, InputError, RequestError
from prerank.filters import mask
from prerank.items import Rows
from prerank.preranker import PreRanker

IDS = list(range(1, 400, 2))
NAMES = ["category", "price", "stock", "genres", "movie_id"]


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    """The commands limit the threads of their own process; in this one TensorFlow may have begun."""
    for module in (answering, index_command):
        monkeypatch.setattr(module, "limit_threads", lambda: None)


def add_columns(path, seed=0):
    """Give a catalogue attributes that the model does not take; some are missing."""
    random, table = np.random.default_rng(seed), pq.read_table(path)
    count = len(table)
    categories = random.choice(["shoes", "boots", "hats", None], count)
    prices = np.where(random.random(count) < 0.1, np.nan, random.integers(1, 100, count) / 4)
    stock = [None if value < 1 else int(value) for value in random.integers(0, 20, count)]
    table = table.append_column("category", pa.array(categories.tolist(), pa.string()))
    table = table.append_column("price", pa.array(prices, pa.float64()))
    pq.write_table(table.append_column("stock", pa.array(stock, pa.int32())), path)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dssm")
    items = add_columns(write_items(folder / "items.parquet", IDS))
    export_small("dssm", folder / "out", catalogue=items, export_format="onnx")
    build(Artefact(folder / "out"), items, folder / "out" / "index", attributes=NAMES)
    return folder / "out"


@pytest.fixture(scope="module")
def rows(place):
    return pq.read_table(place / "catalogue.parquet").to_pylist()


@pytest.fixture(scope="module")
def ranker(place):
    return PreRanker(place)


def number(row, name):
    value = row[name]
    return math.nan if value is None else value


FILTERS = [
    ({"category": ["shoes", "hats"]}, lambda row: row["category"] in ("shoes", "hats")),
    ({"category": "boots"}, lambda row: row["category"] == "boots"),
    ({"category": [None]}, lambda row: row["category"] is None),
    ({"category": {"not": ["shoes", None]}}, lambda row: row["category"] not in ("shoes", None)),
    ({"category": ["wigs"]}, lambda row: False),
    ({"category": []}, lambda row: False),
    ({"price": {"max": 5}}, lambda row: number(row, "price") <= 5),
    ({"price": {"min": 5.25, "max": 5.5}}, lambda row: 5.25 <= number(row, "price") <= 5.5),
    ({"price": {"min": -1}}, lambda row: number(row, "price") >= -1),
    ({"price": [5.25, None]}, lambda row: number(row, "price") == 5.25 or math.isnan(number(row, "price"))),
    ({"stock": {"max": 4}}, lambda row: number(row, "stock") <= 4),
    ({"stock": {"min": 2.5, "not": [7]}}, lambda row: number(row, "stock") >= 2.5 and row["stock"] != 7),
    ({"genres": ["War", "Drama"]}, lambda row: bool({"War", "Drama"} & set(row["genres"]))),
    ({"genres": {"not": "War"}}, lambda row: "War" not in row["genres"]),
    (
        {"genres": {"any": ["Drama"], "not": ["War"]}, "price": {"max": 15}, "category": ["shoes", "boots"]},
        lambda row: "Drama" in row["genres"] and "War" not in row["genres"] and number(row, "price") <= 15
        and row["category"] in ("shoes", "boots"),
    ),
    ({"movie_id": {"min": 100, "max": 9_007_199_254_740_993}}, lambda row: row["movie_id"] >= 100),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "meets"), FILTERS, ids=[json.dumps(wanted) for wanted, _ in FILTERS])
def test_filters_keep_what_a_loop_keeps(wanted, meets, ranker, rows):
    user = users(1)[0]
    scores = dict(zip(IDS, ranker.score(user, IDS).scores.tolist(), strict=True))
    kept = sorted((row["movie_id"] for row in rows if meets(row)), key=lambda key: -scores[key])
    found = ranker.top(user, 1000, filter=wanted)
    assert sorted(found.ids.tolist()) == sorted(kept)
    assert [scores[key] for key in found.ids.tolist()] == pytest.approx([scores[key] for key in kept], abs=1e-5)
    among = IDS[::3]
    found = ranker.top(user, 7, filter=wanted, candidates=[*among, 2], exclude=kept[:2])
    expected = [key for key in kept if key in among and key not in kept[:2]][:7]
    assert found.scores.tolist() == pytest.approx([scores[key] for key in expected], abs=1e-5)
    assert found.unknown == (2,)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], "filter: expected conditions by attribute"),
        ({"colour": "red"}, r"filter.colour: the index has no attribute 'colour', choose of \['category'"),
        ({"category": 1.5}, "filter.category: a value has to be a text. Received: 1.5"),
        ({"category": {"max": "shoes"}}, "filter.category: min and max are for numbers"),
        ({"price": ["dear"]}, "filter.price: a value has to be a number. Received: 'dear'"),
        ({"price": {"max": None, "min": "dear"}}, "filter.price.min: expected a number. Received: 'dear'"),
        ({"price": {"max": math.nan}}, "filter.price.max: expected a number. Received: nan"),
        ({"price": {"most": 4}}, "filter.price: expected values, or any, not, min, max. Received: 'most'"),
        ({"price": {}}, "filter.price: expected values, or any, not, min, max. Received: {}"),
        ({"stock": [2**63]}, "filter.stock: a value has to be an integer of 64 bits"),
    ],
)
def test_a_wrong_filter_is_named(wanted, message, ranker):
    if not wanted:
        with pytest.raises(RequestError, match=message):
            mask({}, wanted, 3)
        return
    with pytest.raises(RequestError, match=message) as error:
        ranker.top(users(1)[0], 3, filter=wanted)
    assert error.value.field == message.partition(":")[0]


def test_an_index_without_attributes_says_how_to_get_them(place, tmp_path):
    build(Artefact(place), place / "catalogue.parquet", tmp_path / "index")
    ranker = PreRanker(place, tmp_path / "index")
    assert json.loads((tmp_path / "index/v000001/manifest.json").read_text())["format"] == 2
    for wanted in ({"filter": {"price": 1}}, {"value": "price"}, {"at_most": {"price": 1}}):
        with pytest.raises(RequestError, match="build it with prerank index --attributes"):
            ranker.top(users(1)[0], 3, **wanted)


def test_values_rank_by_probability_times_value(ranker, rows):
    user = users(1)[0]
    scores = ranker.score(user, IDS).scores.astype(np.float64)
    prices = np.array([0 if math.isnan(number(row, "price")) else row["price"] for row in rows])
    expected = prices / (1 + np.exp(-scores))
    found = ranker.top(user, 25, value="price")
    order = np.argsort(-expected, kind="stable")[:25]
    assert found.ids.tolist() == [IDS[place] for place in order]
    np.testing.assert_allclose(found.values, expected[order], rtol=1e-5)
    np.testing.assert_allclose(found.scores, scores[order], rtol=0, atol=1e-5)
    assert found.ids.tolist() != ranker.top(user, 25).ids.tolist()
    shown = found.to_dict()["items"][0]
    assert shown == {
        "id": int(found.ids[0]), "logit": float(found.scores[0]), "probability": float(found.probabilities[0]),
        "value": float(found.values[0]),
    }  # fmt: skip
    among = ranker.top(user, 5, value="stock", candidates=IDS[:40], filter={"category": "shoes"})
    stock = {row["movie_id"]: row["stock"] or 0 for row in rows if row["category"] == "shoes"}
    worth = {key: stock[key] / (1 + np.exp(-scores[IDS.index(key)])) for key in IDS[:40] if key in stock}
    np.testing.assert_allclose(among.values, sorted(worth.values(), reverse=True)[:5], rtol=1e-5)
    with pytest.raises(RequestError, match="value: expected an attribute with one number an item. Received: 'genres'"):
        ranker.top(user, 5, value="genres")


@pytest.mark.parametrize("caps", [{"category": 2}, {"genres": 3}, {"category": 4, "genres": 2}])
@pytest.mark.parametrize("n", [3, 10, 150])
def test_caps_take_the_best_that_have_room(caps, n, ranker, rows):
    user, of = users(1)[0], {row["movie_id"]: row for row in rows}
    counts, expected = {}, []
    for key in ranker.top(user, 1000).ids.tolist():
        row = of[key]
        own = [("category", row["category"])] * ("category" in caps and row["category"] is not None)
        own += [("genres", genre) for genre in dict.fromkeys(row["genres"])] * ("genres" in caps)
        if all(counts.get(one, 0) < caps[one[0]] for one in own):
            expected.append(key)
            counts |= {one: counts.get(one, 0) + 1 for one in own}
    found = ranker.top(user, n, at_most=caps)
    assert found.ids.tolist() == expected[:n]
    assert ranker.top(user, n, at_most=caps, candidates=IDS).ids.tolist() == expected[:n]


@pytest.mark.parametrize(
    ("caps", "message"),
    [
        ({"category": 0}, "at_most.category: expected a positive integer. Received: 0"),
        ({"category": True}, "at_most.category: expected a positive integer. Received: True"),
        ({"colour": 1}, "at_most.colour: the index has no attribute"),
        ([3], "at_most: expected numbers by attribute"),
    ],
)
def test_a_wrong_cap_is_named(caps, message, ranker):
    with pytest.raises(RequestError, match=message):
        ranker.top(users(1)[0], 3, at_most=caps)


def test_of_no_conditions_and_no_caps_all_items_are_taken(ranker):
    user = users(1)[0]
    found = ranker.top(user, 5, filter={}, at_most={})
    assert found.ids.tolist() == ranker.top(user, 5).ids.tolist()


@pytest.mark.parametrize("wrong", [[], "", 0, False])
@pytest.mark.parametrize("name", ["filter", "at_most"])
def test_what_is_empty_and_no_mapping_is_refused(name, wrong, ranker):
    with pytest.raises(RequestError, match=f"{name}: expected"):
        ranker.top(users(1)[0], 5, **{name: wrong})


@pytest.mark.parametrize("flag", ["--filter", "--at_most"])
def test_an_empty_condition_is_named(flag, place, capsys):
    flags = ["top", "--model", str(place), "--user", json.dumps(users(1)[0]), flag, ""]
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag}: ")


def test_attributes_are_read_by_the_contract(tmp_path):
    table = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "money": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(5, 2)),
            "kind": pa.array(["a", "", None]).dictionary_encode(),
            "tags": pa.array([["x", "y"], None, []]),
            "coded": pa.array(["7", "-1", "9"]),
            "when": pa.array([1, 2, 3], pa.timestamp("s")),
        }
    )
    fields = [{"name": "coded", "dtype": "int64", "kind": "sparse"}]
    found = read_attributes(Rows(((tmp_path, table),)), ["flag", "money", "kind", "tags", "coded"], fields, tmp_path)
    assert {name: one.kind for name, one in found.items()} == {
        "flag": "int", "money": "number", "kind": "text", "tags": "text", "coded": "int",
    }  # fmt: skip
    assert found["flag"].values[found["flag"].codes].tolist() == [1, -1, 0]
    assert found["kind"].values[found["kind"].codes].tolist() == ["a", "", ""]
    assert found["coded"].values[found["coded"].codes].tolist() == [7, -1, 9]
    np.testing.assert_array_equal(found["money"].values[found["money"].codes], np.float32([1.5, np.nan, -2.25]))
    assert found["tags"].codes_of(np.arange(3)) == [[0, 1], [], []]
    assert found["kind"].codes_of(np.arange(3)) == [[1], [], []]
    assert found["money"].numbers()[found["money"].codes].tolist() == [1.5, 0.0, -2.25]
    for name, message in (("when", "when has to be texts, numbers or lists"), ("none", "there is no column 'none'")):
        with pytest.raises(InputError, match=f"--attributes: {message}"):
            read_attributes(Rows(((tmp_path, table),)), [name], fields, tmp_path)


def test_caps_look_further_until_the_list_is_full():
    """Of 10,000 items only the last ten have another category: each is found, though none is among the first."""
    codes = pa.array(["same"] * 9990 + [f"other{number}" for number in range(10)])
    rows = Rows((("items", pa.table({"category": codes})),))
    attributes = read_attributes(rows, ["category"], [], "items")
    asked = []

    def best(count):
        asked.append(count)
        return np.arange(min(count, 10_000))

    found = Caps(attributes, {"category": 1}).choose(best, None, 11)
    assert found.tolist() == [0, *range(9990, 10_000)]
    assert asked[-1] >= 10_000


def top_ids(place, folder, **wanted):
    return PreRanker(place, folder).top(users(1)[0], 1000, **wanted).ids.tolist()


def test_removed_items_are_gone_and_most_files_are_linked(place, tmp_path):
    model, out, items = Artefact(place), tmp_path / "index", place / "catalogue.parquet"
    build(model, items, out, attributes=NAMES)
    whole = top_ids(place, out)
    gone = whole[:5]
    inode = (out / "v000001/ids.npy").stat().st_ino
    built, count = remove_items(model, out, np.array([*gone, 4]))
    assert (built.version, count, len(built.states)) == ("v000002", 5, len(IDS) - 5)
    assert (out / "v000002/ids.npy").stat().st_ino == inode
    assert [path.name for path in out.iterdir() if path.name.startswith("v")] == ["v000002"]
    ranker = PreRanker(place, out)
    assert (len(ranker), ranker.about_index()[2]) == (len(IDS) - 5, len(IDS) - 5)
    assert top_ids(place, out) == whole[5:]
    assert top_ids(place, out, exclude=whole[5:9]) == whole[9:]
    assert top_ids(place, out, candidates=whole[:7]) == whole[5:7]
    assert gone[0] not in top_ids(place, out, filter={"price": {"not": [-3]}})
    found = ranker.score(users(1)[0], [whole[0], whole[6]])
    assert (found.unknown, np.isnan(found.scores).tolist()) == ((whole[0],), [True, False])
    remove_items(model, out, np.array(whole[5:8]))
    assert top_ids(place, out) == whole[8:]
    many = np.array(whole[8:60])  # more than a fifth in all: written without them
    assert remove_items(model, out, many)[0].version == "v000004"
    assert len(np.load(out / "v000004/ids.npy")) == len(IDS) - 60
    assert top_ids(place, out) == whole[60:]
    with pytest.raises(InputError, match="--remove: no item would be left"):
        remove_items(model, out, np.array(whole))
    assert top_ids(place, out) == whole[60:]


@pytest.mark.parametrize("name", ["fit", "hit"])
def test_update_and_remove_are_one_version_and_compute_what_changed_only(name, tmp_path):
    folder = tmp_path / "out"
    first = add_columns(write_items(tmp_path / "first.parquet", IDS[:50]))
    changes = add_columns(write_items(tmp_path / "changes.parquet", [IDS[3], 500, 502], seed=1), seed=1)
    export_small(name, folder, catalogue=first, export_format="onnx")
    model, out = Artefact(folder), folder / "index"
    build(model, first, out, attributes=NAMES)
    remove_items(model, out, np.array(IDS[10:12]))
    computed = []
    tower = model.item_tower
    model.__dict__["item_tower"] = lambda inputs: computed.append(len(inputs[0])) or tower(inputs)
    build(model, changes, out, update=True, remove=np.array([IDS[4], 777]))
    assert computed == [3]
    assert index.current(out) == "v000003"
    left = {*IDS[:50], 500, 502} - {IDS[4], *IDS[10:12]}
    assert set(top_ids(folder, out)) == left
    rows = {row["movie_id"]: row for path in (first, changes) for row in pq.read_table(path).to_pylist()}
    cheap = {key for key in left if number(rows[key], "price") <= 10 and "War" not in rows[key]["genres"]}
    assert set(top_ids(folder, out, filter={"price": {"max": 10}, "genres": {"not": ["War"]}})) == cheap
    with pytest.raises(InputError, match="--remove: the item 500 is also one to update"):
        build(model, changes, out, update=True, remove=np.array([500]))
    with pytest.raises(InputError, match="--attributes: the index has category, genres, movie_id, price, stock"):
        build(model, changes, out, update=True, attributes=["price"])
    bare = write_items(tmp_path / "bare.parquet", [500])
    with pytest.raises(InputError, match="--attributes: there is no column 'category'"):
        build(model, bare, out, update=True)
    assert index.current(out) == "v000003"


def test_rollback_goes_back_to_what_was_kept(place, tmp_path, capsys):
    out, items, ids = tmp_path / "index", place / "catalogue.parquet", tmp_path / "ids.txt"
    flags = ["--model", str(place), "--out", str(out)]
    ids.write_text("1\n3\n\n4\n")
    assert main(["index", *flags, "--items", str(items), "--attributes", "price,category"]) == 0
    assert main(["index", *flags, "--remove", str(ids), "--keep", "2"]) == 0
    assert "v000002: 2 of 3 ids taken out, 198 items left" in capsys.readouterr().out
    ranker = PreRanker(place, out)
    assert len(ranker) == 198
    assert main(["rollback", *flags]) == 0
    assert "v000001 counts again instead of v000002" in capsys.readouterr().out
    assert (len(ranker.top(users(1)[0], 500).ids), ranker.version) == (200, "v000001")
    assert main(["rollback", *flags]) == 2
    assert "no version before v000001 to go back to: there are v000002" in capsys.readouterr().err
    assert main(["rollback", *flags, "--to", "v000002"]) == 0
    assert len(ranker.top(users(1)[0], 500).ids) == 198
    assert main(["index", *flags, "--items", str(items)]) == 0
    assert main(["rollback", *flags]) == 2
    assert "none was kept, see prerank index --keep" in capsys.readouterr().err


def test_a_damaged_version_is_not_gone_back_to(place, tmp_path):
    out, model = tmp_path / "index", Artefact(place)
    build(model, place / "catalogue.parquet", out, attributes=["price"])
    build(model, place / "catalogue.parquet", out, keep=1)
    damaged = out / "v000001/attribute.price.codes.npy"
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"\1\2\3\4")
    with index.writing(out, keep=5), pytest.raises(ArtefactError, match="price.codes.npy: damaged"):
        index.roll_back(out, model.fingerprint, model.arrays)
    assert index.current(out) == "v000002"


def test_top_on_the_command_line_filters_values_and_caps(place, ranker, capsys):
    user = users(1)[0]
    flags = ["top", "--model", str(place), "--user", json.dumps(user), "--top", "6", "--format", "json"]
    wanted = {"filter": {"category": ["shoes", "hats"]}, "value": "price", "at_most": {"category": 2}}
    texts = ["--filter", json.dumps(wanted["filter"]), "--at_most", json.dumps(wanted["at_most"])]
    assert main([*flags, *texts, "--value", "price"]) == 0
    assert json.loads(capsys.readouterr().out) == ranker.top(user, 6, **wanted).to_dict()
    assert main([*flags, "--filter", "[1]"]) == 2
    assert capsys.readouterr().err == "error: --filter: expected a JSON object. Received: [1]\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--remove", "{ids}", "--dtype", "int8"], "--dtype: needs --update beside --remove"),
        (["--remove", "nowhere.txt"], "nowhere.txt: --remove: cannot be read"),
        (["--remove", "{bad}"], "line 1: an item id has to be an integer. Received: 'x'"),
        (["--attributes", "colour"], "--attributes: there is no column 'colour'"),
        (["--keep", "-1"], "--keep: expected an integer from 0"),
    ],
)
def test_wrong_flags_of_an_index_end_with_one_line(flags, message, place, tmp_path, capsys):
    (tmp_path / "ids").write_text("1\n")
    (tmp_path / "bad").write_text("x\n")
    given = [flag.format(ids=tmp_path / "ids", bad=tmp_path / "bad") for flag in flags]
    assert main(["index", "--model", str(place), *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert index.current(place / "index") == "v000001"
