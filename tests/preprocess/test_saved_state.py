"""A chain of preparations, each from the state of the one before, knows what one preparation of all rows knows."""

import collections
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from taobao_files import DAY, MIDNIGHT, make, without_log

from preprocess.options import DataOptions
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from prerank.errors import InputError

HISTORY = 7
BEHAVIOURS = ("hist_cate", "hist_brand", "hist_btag")
DATES = ["2017-05-06", "2017-05-07", "2017-05-08", "2017-05-09"]


def day(row):
    return (row[1] - MIDNIGHT) // DAY


def of_days(data, first, last):
    """The rows of some days, and the behaviours of the same days; the first days have what was before, too."""
    inside = lambda row: (first == 0 or day(row) >= first) and day(row) <= last  # noqa: E731
    return replace(data, rows=[row for row in data.rows if inside(row)], log=[row for row in data.log if inside(row)])


def chained(data, folder, **last):
    """Prepared data of days 0 and 1, 1 and 2, 2 and 3, each with the later day as its test part."""
    found = []
    for start in range(3):
        raw = of_days(data, start, start + 1).write(folder / f"raw{start}")
        more = {"state_from": found[-1].path} if found else {}
        more |= last if start == 2 else {}
        options = DataOptions(
            data_path=raw, prepared_dir=folder / "out", max_history=HISTORY, test_from=DATES[start + 1],
            save_state="before_test", **more,
        )  # fmt: skip
        found.append(prepare(ADAPTER, options, lambda _: None))
    return found


@pytest.fixture(scope="module")
def with_log(tmp_path_factory):
    """Data in which user 3 and ad 5 are of the first day only, and user 4 is not; their chain; and its folder."""
    data, folder = make(days=4), tmp_path_factory.mktemp("chain")
    rows = [row for row in data.rows if (row[0] != 4 if day(row) == 0 else row[0] != 3 and row[2] != 5)]
    data = replace(data, rows=rows)
    return data, chained(data, folder), folder


def training_values(found, samples, name):
    return {row[name] for row in samples(found).values() if row["part"] == "train"}


def test_behaviours_go_on(with_log, samples):
    data, (*_, found), _ = with_log
    of_user = collections.defaultdict(list)
    for number, (user, time, btag, cate, brand) in enumerate(data.log):
        of_user[user].append((time, number, (cate, None if brand == "NULL" else int(brand), btag)))
    longest = 0
    rows = of_days(data, 2, 3).rows
    for number, sample in samples(found).items():
        user, time, *_ = rows[number]
        known = [values for when, _, values in sorted(of_user[user]) if when < time][-HISTORY:]
        longest = max(longest, len(known))
        for place, name in enumerate(BEHAVIOURS):
            words = set(found.vocabulary(name).tolist())
            expected = [value[place] if value[place] in words else value[place] and "unseen" for value in known]
            assert sample[name] == expected, (number, name)
    assert longest == HISTORY


def test_vocabularies_grow(with_log, samples):
    _, found, _ = with_log
    for name in ("userid", "adgroup_id", "pid", "brand"):
        expected = set().union(*(training_values(one, samples, name) for one in found)) - {None}
        assert set(found[-1].vocabulary(name).tolist()) == expected, name
    assert 4 not in found[0].vocabulary("userid")
    assert {3, 4} < set(found[-1].vocabulary("userid").tolist())


def test_histories_of_positives_go_on(tmp_path, samples):
    data = without_log(make(days=4))
    found = chained(data, tmp_path)[-1]
    clicks = collections.defaultdict(list)
    for number, (user, time, ad, _, clk) in enumerate(data.rows):
        if clk:
            clicks[user].append((time, number, ad))
    words, rows, longest = set(found.vocabulary("adgroup_id").tolist()), of_days(data, 2, 3).rows, 0
    for number, sample in samples(found).items():
        user, time, *_ = rows[number]
        known = [ad for when, _, ad in sorted(clicks[user]) if when < time][-HISTORY:]
        longest = max(longest, len(known))
        assert sample["hist_adgroup_id"] == [ad if ad in words else "unseen" for ad in known]
    assert longest == HISTORY


def test_what_no_training_row_has_had_is_forgotten(with_log):
    data, (*_, kept), folder = with_log
    forgot = chained(data, folder, forget_after=1)[-1]  # the first two are the same, and not prepared again
    for name, value in (("userid", 3), ("adgroup_id", 5)):
        assert value in kept.vocabulary(name)
        assert value not in forgot.vocabulary(name)
        assert set(forgot.vocabulary(name).tolist()) < set(kept.vocabulary(name).tolist())
    assert set(forgot.vocabulary("pid").tolist()) == set(kept.vocabulary("pid").tolist())


SHOP = {
    "dataset": "shop",
    "user_id": "user",
    "item_id": "item",
    "label": "bought",
    "time": "at",
    "history": "earlier",
    "user_mean": "user_mean",
    "item_mean": "item_mean",
    "fields": {"user": {"side": "user", "type": "int64"}, "item": {"side": "item", "type": "string"}},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Rows of three days with ties in time, and a function that prepares some of them."""
    folder = tmp_path_factory.mktemp("shop")
    random = np.random.default_rng(5)
    size = 900
    rows = pd.DataFrame(
        {
            "user": random.integers(0, 12, size),
            "item": [f"item {place}" for place in random.integers(0, 20, size)],
            "bought": (random.random(size) < 0.3).astype(int),
            "at": np.sort(random.integers(0, 3 * 24, size) * 3600 + MIDNIGHT + 8 * 3600),
        }
    )
    (folder / "shop.yaml").write_text(yaml.safe_dump(SHOP))

    def prepared(chosen, **options):
        path = folder / str(len(list(folder.iterdir()))) / "rows.parquet"
        path.parent.mkdir()
        chosen.to_parquet(path)
        asked = OwnDataOptions(schema=folder / "shop.yaml", data_path=path, prepared_dir=folder / "out", **options)
        return prepare(NoSchema(), asked, lambda _: None)

    return rows, prepared


def test_means_are_those_of_all_rows_so_far(shop, samples):
    rows, prepared = shop
    day_of = (rows["at"] - rows["at"].min()) // DAY
    first = prepared(rows[day_of == 0], save_state="all")
    second = prepared(rows[day_of == 1], state_from=first.path)  # a state is saved whenever one was read
    third = prepared(rows[day_of == 2], state_from=second.path)
    train = samples(third)
    of_training = rows[day_of == 2].reset_index(drop=True).iloc[[n for n, r in train.items() if r["part"] == "train"]]
    known = pd.concat([rows[day_of < 2], of_training])
    g = known["bought"].mean()
    assert third.manifest["training_mean_label"] == pytest.approx(g, abs=1e-15)
    for number, sample in train.items():
        row = rows[day_of == 2].iloc[number]
        for side in ("user", "item"):
            before = rows[(rows[side] == row[side]) & (rows["at"] < row["at"])]["bought"]
            expected = (before.sum() + 5 * g) / (len(before) + 5)
            assert sample[f"{side}_mean"] == pytest.approx(expected, abs=1e-12)
    catalogue = pd.read_parquet(third.catalogue).set_index("item")
    for item, found in catalogue["item_mean"].items():
        of_item = rows[rows["item"] == item]["bought"]
        assert found == pytest.approx((of_item.sum() + 5 * g) / (len(of_item) + 5), abs=1e-12)


def test_the_same_rows_and_state_are_the_same_data(shop):
    rows, prepared = shop
    early = rows["at"] < rows["at"].iloc[500]
    first = prepared(rows[early], save_state="all")
    again = prepared(rows[~early], state_from=first.path)
    other = prepared(rows[~early])
    assert again.fingerprint != other.fingerprint
    assert prepared(rows[~early], state_from=first.path / "state").fingerprint == again.fingerprint


def test_what_a_state_lacks_is_said(shop, tmp_path):
    rows, prepared = shop
    early = rows["at"] < rows["at"].iloc[500]
    first = prepared(rows[early], save_state="all")
    last = pd.Timestamp(rows[early]["at"].max(), unit="s").strftime("%Y-%m-%d %H:%M:%S UTC")
    with pytest.raises(InputError, match=f"--state_from: the state counts rows up to {last}, and the data begin at"):
        prepared(rows, state_from=first.path)
    with pytest.raises(InputError, match="expected data that were prepared with --save_state"):
        prepared(rows[~early], state_from=prepared(rows[early]).path)
    with pytest.raises(InputError, match="--forget_after needs a state"):
        prepared(rows, forget_after=3)
    options = DataOptions(data_path=make().write(tmp_path / "raw"), prepared_dir=tmp_path, state_from=first.path)
    with pytest.raises(InputError, match="the state is of other fields"):
        prepare(ADAPTER, options, lambda _: None)
    state = first.path / "state"
    whole = (state / "state.json").read_text()
    (state / "state.json").write_text(json.dumps(json.loads(whole) | {"format_version": 9}))
    with pytest.raises(InputError, match="format version 1 expected. Received: 9"):
        prepared(rows[~early], state_from=first.path)
    (state / "state.json").write_text(whole)
    (state / "users.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="missing or damaged"):
        prepared(rows[~early], state_from=first.path)


@pytest.mark.parametrize("option", [{"save_state": "all"}, {"state_from": "x"}, {"forget_after": 2}])
@pytest.mark.parametrize("other", [{"split": "random"}, {"state": "frozen"}, {"leak": ("history",)}])
def test_a_state_needs_time(option, other):
    with pytest.raises(ValueError, match=f"--{next(iter(option))} needs --split time"):
        DataOptions(**option, **other)
