"""Fields of any legal name are prepared as fields of plain names are: nothing is reserved."""

import keyword

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare

ROLES = (
    *("user_id", "country", "visits", "wishes", "page", "load", "item_id", "brand", "price", "tags"),
    *("history", "user_mean", "item_mean", "vocabulary"),
)
PYTHON = [*(word.lower() for word in keyword.kwlist), "self", "cls", "args", "kwargs", "name", "print", "type"]
SQL = """select from where group order by table join union having limit offset null row rows values index key
distinct exists case then end cast default current_date user array struct list all any rowid"""
OURS = """label row group item_group timestamp part index weight value place times user item rows one liked embedded
request stage teacher query logit probability planned known count first last"""
TENSORFLOW = "inputs training mask dtype shape features labels sample_weight signature_name instances x y"
WORDS = [*PYTHON, *SQL.split(), *OURS.split(), *TENSORFLOW.split()]
NAMES = list(dict.fromkeys(word for word in WORDS if word[0].isalpha()))
legal = st.one_of(st.sampled_from(NAMES), st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True))


def write(folder, names, label, time):
    """The same rows and schema by other names; each column is called as its field, or label and time as given."""
    named = dict(zip(ROLES, names, strict=True))
    random = np.random.default_rng(0)
    rows = 90
    user, item = random.integers(0, 9, rows), random.integers(0, 7, rows)
    columns = {
        "user_id": [f"u{number}" for number in user],
        "country": [("de", None, "fr")[number % 3] for number in user],
        "visits": user / 3,
        "wishes": [[number % 7, 3, None] for number in user.tolist()],
        "page": [("a", "b", "")[number] for number in random.integers(0, 3, rows)],
        "load": random.random(rows),
        "item_id": item,
        "brand": [f"b{number % 3}" for number in item],
        "price": [None if number == 2 else 1.5 * number for number in item.tolist()],
        "tags": ["x|y" if number % 2 else "" for number in item],
    }
    table = {named[role]: pa.array(values) for role, values in columns.items()}
    table |= {label: pa.array(random.random(rows) < 0.5), time: pa.array(np.arange(rows) * 100 + 10**9)}
    pq.write_table(pa.table(table), folder / "rows.parquet")
    sides = {role: "user" if place < 6 else "item" for place, role in enumerate(columns)}
    kinds = {"visits": "dense", "load": "dense", "price": "dense", "wishes": "sequence", "tags": "sequence"}
    fields = {named[role]: {"side": sides[role], "kind": kinds.get(role, "sparse")} for role in columns}
    fields[named["item_id"]] |= {"type": "int64", "vocabulary": named["vocabulary"]}
    fields[named["wishes"]] |= {"type": "int64", "vocabulary": named["vocabulary"]}
    fields[named["tags"]] |= {"separator": "|"}
    roles = {role: named[role] for role in ("user_id", "item_id", "history", "user_mean", "item_mean")}
    schema = {
        "dataset": named["brand"],
        **roles,
        "label": label,
        "time": time,
        "static": [named["country"], named["brand"]],
        "context": [named["page"], named["load"]],
        "category": named["brand"],
        "fields": fields,
    }
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema))
    return named


def prepared(folder, names, label="bought", time="at"):
    """What is prepared, by role: of each part the columns, and the catalogue's."""
    folder.mkdir()
    named = write(folder, names, label, time)
    options = OwnDataOptions(
        schema=folder / "schema.yaml", data_path=folder / "rows.parquet", prepared_dir=folder / "out", max_history=4
    )
    data = prepare(NoSchema(), options, lambda line: None)
    fields = {field.name for field in data.spec.fields}
    roles = {role: name for role, name in named.items() if name in fields and role != "vocabulary"}
    beside = {key: data.spec.beside(key) for key in ("row", "timestamp", "group", "item_group")}
    columns = roles | beside | {"label": data.spec.label}
    found = {}
    for part in ("train", "validation", "test"):
        table = pa.concat_tables([pq.read_table(path) for path in data.parts(part)])
        assert sorted(table.column_names) == sorted(columns.values())
        found[part] = {role: table[name].to_pylist() for role, name in columns.items()}
    catalogue = pq.read_table(data.catalogue)
    found["catalogue"] = {
        role: catalogue[name].to_pylist() for role, name in roles.items() if name in catalogue.column_names
    }
    found["vocabulary"] = data.vocabulary(named["vocabulary"]).tolist()
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("plain") / "data", ROLES)


@pytest.mark.parametrize("start", range(0, len(NAMES), 28))
def test_every_word_that_means_something_elsewhere(start, plain, tmp_path):
    names = [*NAMES[start:], *NAMES][: len(ROLES)]
    assert prepared(tmp_path / "data", names, "Label", "self") == plain


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(legal, min_size=len(ROLES), max_size=len(ROLES), unique=True), others=st.tuples(legal, legal))
def test_any_legal_names(names, others, plain, tmp_path_factory):
    label, time = (other if other not in names else f"A {place}" for place, other in enumerate(others))
    time = time if time != label else "B"
    assert prepared(tmp_path_factory.mktemp("names") / "data", names, label, time) == plain
