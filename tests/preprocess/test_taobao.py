"""Taobao from each layout: days, fields of the request, numbers, behaviours as of the row, and what is missing."""

import collections
import statistics

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from taobao_files import DAY, MIDNIGHT, make, without_log, write

from features import MISSING
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from prerank.errors import InputError

HISTORY = 7
NAMES = ("hist_cate", "hist_brand", "hist_btag")


@pytest.fixture(scope="module")
def tiny():
    return make()


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A function that prepares the tiny data with some options, and its rows by number."""
    folder = tmp_path_factory.mktemp("taobao")
    tiny.write(folder / "raw")
    return lambda **options: prepare_(folder / "raw", folder / "out", max_history=HISTORY, **options)


def prepare_(data_path, out, said=None, **options):
    report = (lambda line: None) if said is None else said.append
    return prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=out, **options), report)


def day(row):
    return (row[1] - MIDNIGHT) // DAY


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"protocol": "reference"},
        pytest.param({"state": "frozen"}, marks=pytest.mark.slow),
        pytest.param({"split": "user_time"}, marks=pytest.mark.slow),
    ],
)
def test_histories_equal_the_brute_force(tiny, run, samples, options):
    found = run(**options)
    rows = samples(found)
    frozen = found.manifest["options"]["state"] == "frozen"
    end = max(row["timestamp"] for row in rows.values() if row["part"] == "train")
    of_user = collections.defaultdict(list)
    for number, (user, time, btag, cate, brand) in enumerate(tiny.log):
        if not frozen or time <= end:
            of_user[user].append((time, number, cate, None if brand == "NULL" else int(brand), btag))
    longest = 0
    for number, sample in rows.items():
        user, time, *_ = tiny.rows[number]
        known = sorted(entry[:2] + (entry,) for entry in of_user[user] if entry[0] < time)[-HISTORY:]
        longest = max(longest, len(known))
        for place, name in enumerate(NAMES, 2):
            words = set(found.vocabulary(name).tolist())
            expected = [entry[place] if entry[place] in words else entry[place] and "unseen" for *_, entry in known]
            assert sample[name] == expected, (number, name)
    assert longest == HISTORY


def test_vocabularies_of_behaviours_are_what_training_rows_know(tiny, run, samples):
    found = run()
    last = collections.defaultdict(int)
    for sample in samples(found).values():
        if sample["part"] == "train":
            user = tiny.rows[sample["row"]][0]
            last[user] = max(last[user], sample["timestamp"])
    entries = [entry for entry in tiny.log if entry[1] < last[entry[0]]]
    assert found.vocabulary("hist_cate").tolist() == sorted({entry[3] for entry in entries})
    assert found.vocabulary("hist_btag").tolist() == ["buy", "cart", "fav", "pv"]
    assert found.vocabulary("hist_brand").tolist() == [5, 6, 7]
    everything = run(protocol="reference").vocabulary("hist_cate").tolist()
    shown = {row[0] for row in tiny.rows if row[4]}
    assert everything == sorted({entry[3] for entry in tiny.log if entry[0] in shown})
    assert len(everything) > len(found.vocabulary("hist_cate"))


def test_files_may_be_absent_and_the_history_is_one_of_earlier_clicks_then(tiny, tmp_path, samples):
    first, again = [], []
    without_log(tiny).write(tmp_path / "raw", suffix=".gz")
    for name in ("user_profile", "ad_feature"):
        (tmp_path / "raw" / f"{name}.csv.gz").unlink()
    found = prepare_(tmp_path / "raw", tmp_path / "out", first, max_history=HISTORY)
    assert prepare_(tmp_path / "raw", tmp_path / "out", again, max_history=HISTORY) == found
    for said in (first, again):
        assert "no behavior_log.csv: the history is one of earlier clicks" in said
        assert sum(line.startswith("no user_profile.csv: cms_segid") for line in said) == 1
        assert sum(line.startswith("no ad_feature.csv: cate_id") for line in said) == 1
    assert [field.name for field in found.spec.fields] == ["userid", "pid", "hist_adgroup_id", "adgroup_id"]
    assert (found.spec.user_static, found.spec.item_static) == (("pid",), ("adgroup_id",))
    ads = set(found.vocabulary("adgroup_id").tolist())
    for number, sample in samples(found).items():
        user, time, *_ = tiny.rows[number]
        clicks = sorted((row[1], place, row[2]) for place, row in enumerate(tiny.rows) if row[0] == user and row[4])
        known = [ad for moment, _, ad in clicks if moment < time][-HISTORY:]
        assert sample["hist_adgroup_id"] == [ad if ad in ads else "unseen" for ad in known]


def test_the_last_days_in_shanghai_are_held_out(tiny, run, samples):
    parts = {number: sample["part"] for number, sample in samples(run()).items()}
    names = {4: "validation", 5: "test"}
    assert parts == {number: names.get(day(row), "train") for number, row in enumerate(tiny.rows)}
    assert any(row[1] == MIDNIGHT + 5 * DAY for row in tiny.rows)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda row: day(row) != 2, "no row on 2017-05-08 (days of UTC+8), but before it and up to 2017-05-11"),
        (lambda row: day(row) < 2, "needs at least 3 days (days of UTC+8). Received: 2017-05-06, 2017-05-07"),
    ],
)
def test_days_that_do_not_do_are_named(tiny, tmp_path, keep, message):
    data = without_log(tiny)
    kept = [row for row in data.rows if keep(row)]
    type(data)(kept, data.ads, data.users).write(tmp_path / "raw")
    with pytest.raises(InputError) as caught:
        prepare_(tmp_path / "raw", tmp_path / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_fields_and_their_roles(run):
    strict, reference = run().spec, run(protocol="reference").spec
    assert strict["pid"].side == "user"
    assert reference["pid"].side == "item"
    assert strict.context == reference.context == ("pid",)
    assert strict.user_static[-1] == "pid"
    assert strict.item_static == ("cate_id", "customer", "brand")
    assert "pid" not in reference.user_static
    assert reference.item_static == ("cate_id", "customer", "brand", "pid")
    assert (strict.history, strict.behaviours, strict.category) == ("hist_cate", NAMES, "cate_id")
    assert (strict.user_mean, strict.item_mean) == (None, None)


def test_values_missing_ones_and_those_of_unknown_users_and_ads(tiny, run, samples):
    ads, users = {ad[0]: ad for ad in tiny.ads}, {user[0]: user for user in tiny.users}
    spec = run().spec
    rows = {number: sample for number, sample in samples(run()).items() if sample["part"] == "train"}
    assert {row[0] for row in tiny.rows} > users.keys()
    for number, sample in rows.items():
        user, _, ad, pid, clk = tiny.rows[number]
        assert (sample["pid"], sample["label"], sample["userid"]) == (pid, clk, user)
        _, cate, campaign, customer, brand, price = ads.get(ad, (ad, *[None] * 5))
        assert (sample["cate_id"], sample["campaign_id"], sample["customer"]) == (cate, campaign, customer)
        assert sample["brand"] == (None if brand in (None, "NULL") else int(brand))
        assert sample["price"] == pytest.approx(spec["price"].default if price is None else float(price))
        assert sample["price_missing"] == int(price is None)
        profile = users.get(user, (user, *[""] * 8))[1:]
        found = [sample[name] for name in spec.user_static[:-1]]
        assert found == [None if value == "" else int(value) for value in profile]


def test_a_missing_price_is_the_mean_of_the_training_ads(tiny, run, samples):
    found = run()
    prices = {ad[0]: float(ad[5]) for ad in tiny.ads}
    training = {sample["adgroup_id"] for sample in samples(found).values() if sample["part"] == "train"}
    field = found.spec["price"]
    assert field.default == pytest.approx(statistics.fmean(prices[ad] for ad in training if ad in prices), rel=1e-7)
    shown = [sample["price"] for sample in samples(found).values() if sample["part"] == "train"]
    assert field.mean == pytest.approx(statistics.fmean(shown), rel=1e-7)
    assert field.scale == pytest.approx(statistics.pstdev(shown), rel=1e-7)


@pytest.mark.parametrize("protocol", ["strict", "reference"])
def test_the_catalogue_has_every_ad_and_nothing_of_the_request(tiny, run, protocol):
    catalogue = pq.read_table(run(protocol=protocol).catalogue)
    assert "pid" not in catalogue.column_names
    lines = {line["adgroup_id"]: line for line in catalogue.to_pylist()}
    assert set(lines) == {row[2] for row in tiny.rows} | {ad[0] for ad in tiny.ads}
    assert lines[4]["brand"] is None
    assert lines[5]["price"] == float(tiny.ads[4][5])
    assert lines[40] == {"adgroup_id": 40, **dict.fromkeys(list(lines[5])[1:]), "price_missing": 1}


def test_reference_drops_users_without_any_click(tiny, run, samples):
    clicking = {row[0] for row in tiny.rows if row[4]}
    expected = {number for number, row in enumerate(tiny.rows) if row[0] in clicking}
    rows = samples(run(protocol="reference"))
    assert rows.keys() == expected
    assert len(expected) < len(tiny.rows)


def test_the_share_out_of_vocabulary_of_the_test_part(run, samples):
    found = run()
    tested = [sample for sample in samples(found).values() if sample["part"] == "test"]
    shares = found.manifest["out_of_vocabulary"]
    assert shares["userid"] == sum(sample["userid"] == "unseen" for sample in tested) / len(tested) > 0
    elements = [element for sample in tested for element in sample["hist_cate"]]
    assert shares["hist_cate"] == elements.count("unseen") / len(elements)
    assert "price" not in shares


def test_clicks_alone_need_a_random_split_and_negatives(tiny, tmp_path):
    tiny.write_clicks(tmp_path / "raw")
    with pytest.raises(InputError, match="--split time: the taobao data given have no time, only --split random"):
        prepare_(tmp_path / "raw", tmp_path / "out")
    with pytest.raises(InputError, match="hold positives only: --negatives N"):
        prepare_(tmp_path / "raw", tmp_path / "out", split="random")
    found = prepare_(tmp_path / "raw", tmp_path / "out", split="random", negatives=2)
    assert found.spec.history is None
    assert found.spec.item_static == ("cate_id", "brand")
    assert found.vocabulary("pvalue_level").tolist() == [2]


def joined_line(user, ad, clk, filled):
    """267 columns; the last `filled` behaviours have the categories 11, 12, ..., and the last of them no brand."""
    pad = [0] * (50 - filled)
    behaviours = [*pad, *[1] * filled], [*pad, *range(11, 11 + filled)], [*pad, *range(21, 20 + filled), 0][:50]
    profile, features = [user % 3, 2, 1, 3, 0, 2, 0, 0], [5, ad * 2, 9, 0, 0.5 + ad / 100]
    return [*(value for column in behaviours for value in column), *[1] * 100, user, *profile, ad, *features, 1, clk]


@pytest.mark.slow
def test_the_joined_file(tmp_path):
    users = [*range(1, 31)] * 4
    lines = [joined_line(user, place % 9 + 1, place % 2, filled=user % 4 + 1) for place, user in enumerate(users)]
    write(tmp_path / "raw" / "alimama_sampled_train.txt", "", lines)
    with pytest.raises(InputError, match="no time, only --split random"):
        prepare_(tmp_path / "raw", tmp_path / "out")
    found = prepare_(tmp_path / "raw", tmp_path / "out", split="random")
    assert (found.spec.history, found.spec.behaviours) == ("hist_cate", ())
    assert found.spec["hist_cate"].max_length == 4
    table = pa.concat_tables(pq.read_table(file) for part in ("train", "test") for file in found.parts(part))
    for row in table.to_pylist():
        filled = users[row["row"]] % 4 + 1
        assert len(row["hist_cate"]) == len(row["hist_brand"]) == len(row["hist_btag"]) == filled
        assert [found.vocabulary("hist_cate")[index - 2] for index in row["hist_cate"]] == list(range(11, 11 + filled))
        assert row["hist_brand"][-1] == MISSING
        assert row["brand"] == row["pvalue_level"] == MISSING
        assert row["occupation"] != MISSING
