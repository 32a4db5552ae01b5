import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from preprocess.generate.__main__ import main
from preprocess.generate._counters import Counters
from preprocess.generate.taobao import CLICKS, PROBABILITIES, ceiling_auc, generate
from prerank.errors import InputError

ROWS = 60_000
MIDNIGHT, DAY = 1_494_000_000, 86_400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("generated") / "taobao"
    generate(target, rows=ROWS, seed=5, behaviours=40_000)
    return target


@pytest.fixture(scope="module")
def ads(folder):
    return pd.read_csv(folder / "ad_feature.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def rows(folder):
    """raw_sample.csv, with the true probabilities and the day of Asia/Shanghai, 0 to 7."""
    table = pd.read_csv(folder / "raw_sample.csv")
    table = table.assign(probability=pd.read_parquet(folder / PROBABILITIES).probability)
    local = pd.to_datetime(table.time_stamp, unit="s", utc=True).dt.tz_convert("Asia/Shanghai")
    return table.assign(day=(local.dt.tz_localize(None).dt.normalize() - pd.Timestamp("2017-05-06")).dt.days)


def test_files_have_the_official_layout(folder, ads, rows):
    def header(name):
        return (folder / name).read_bytes().split(b"\n")[0].decode()

    assert header("raw_sample.csv") == "user,time_stamp,adgroup_id,pid,nonclk,clk"
    assert header("ad_feature.csv") == "adgroup_id,cate_id,campaign_id,customer,brand,price"
    assert header("user_profile.csv").endswith(",pvalue_level,shopping_level,occupation,new_user_class_level ")
    assert header("behavior_log.csv") == "user,time_stamp,btag,cate,brand"
    assert len(rows) == ROWS
    assert rows.adgroup_id.is_monotonic_increasing
    assert set(rows.adgroup_id) == set(ads.adgroup_id) == set(range(1, len(ads) + 1))
    assert set(rows.pid) == {"430548_1007", "430539_1007"}
    assert (rows.clk + rows.nonclk == 1).all()
    assert set(rows.day) == set(range(8))


def test_what_is_missing_is_written_as_in_the_official_files(folder, ads, rows):
    assert (ads.brand == "NULL").mean() == pytest.approx(0.29, abs=0.08)
    assert ads[ads.brand != "NULL"].brand.astype(int).gt(0).all()
    profiles = pd.read_csv(folder / "user_profile.csv")
    assert profiles.pvalue_level.isna().mean() == pytest.approx(0.54, abs=0.04)
    assert profiles["new_user_class_level "].isna().mean() == pytest.approx(0.32, abs=0.04)
    assert profiles.userid.is_monotonic_increasing
    assert profiles.drop(columns=["pvalue_level", "new_user_class_level "]).notna().all(axis=None)
    assert (~rows.user.drop_duplicates().isin(profiles.userid)).mean() == pytest.approx(0.07, abs=0.02)


def test_probabilities_are_those_of_the_clicks(folder, rows):
    truth = pd.read_parquet(folder / PROBABILITIES)
    assert list(truth.row) == list(range(ROWS))
    assert (truth[["user", "adgroup_id", "clk"]] == rows[["user", "adgroup_id", "clk"]]).all(axis=None)
    assert rows.clk.mean() == pytest.approx(CLICKS, abs=0.004)
    by_bin = rows.groupby((rows.probability * 20).astype(int)).agg(
        truth=("probability", "mean"), clicks=("clk", "mean"), rows=("clk", "size")
    )
    assert (np.abs(by_bin.truth - by_bin.clicks) < 4 * np.sqrt(by_bin.truth / by_bin.rows)).all()
    assert ceiling_auc(folder) == pytest.approx(roc_auc_score(rows.clk, rows.probability), abs=1e-5)
    assert 0.78 < ceiling_auc(folder) < 0.88


def test_ids_are_heavy_tailed_times_are_tied_and_some_come_late(rows):
    users, ads = rows.user.value_counts(), rows.adgroup_id.value_counts()
    assert users.max() > 8 * users.median()
    assert ads.max() > 50 * ads.median()
    assert rows.duplicated(["user", "time_stamp"], keep=False).mean() > 0.1
    last = rows[rows.day == 7]
    earlier = rows[rows.day < 6]
    assert 0.02 < (~last.user.isin(earlier.user)).mean() < 0.3
    assert 0.005 < (~last.adgroup_id.isin(earlier.adgroup_id)).mean() < 0.2
    assert rows.day.value_counts(normalize=True).between(0.08, 0.18).all()


def test_earlier_behaviour_tells_what_will_be_clicked(folder, ads, rows):
    log = pd.read_csv(folder / "behavior_log.csv")
    assert len(log) == 40_000
    assert (log[["cate", "brand"]].drop_duplicates().groupby("cate").size() > 1).any()
    assert log.cate.is_monotonic_increasing
    assert set(log.btag) == {"pv", "cart", "fav", "buy"}
    assert log.time_stamp.between(MIDNIGHT - 14 * DAY, MIDNIGHT + 8 * DAY - 1).all()
    before = log[log.time_stamp < MIDNIGHT][["user", "cate"]].drop_duplicates().rename(columns={"cate": "cate_id"})
    shown = rows[rows.user.isin(before.user)].merge(ads[["adgroup_id", "cate_id"]])
    known = shown.merge(before.assign(viewed=1), how="left").viewed.notna()
    assert shown.clk[known].mean() > 2 * shown.clk[~known].mean()


def test_the_same_seed_gives_the_same_bytes_whatever_the_size_of_the_pieces(tmp_path, monkeypatch):
    generate(tmp_path / "whole", rows=5_000, seed=1, behaviours=2_000)
    generate(tmp_path / "other", rows=5_000, seed=2, behaviours=2_000)
    monkeypatch.setattr("preprocess.generate.taobao._BLOCK", 777)
    generate(tmp_path / "pieces", rows=5_000, seed=1, behaviours=2_000)
    for path in sorted((tmp_path / "whole").glob("*.csv")):
        assert path.read_bytes() == (tmp_path / "pieces" / path.name).read_bytes()
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()
    assert ceiling_auc(tmp_path / "pieces") == ceiling_auc(tmp_path / "whole")


def test_counters_depend_on_seed_stream_and_place_alone():
    places = np.arange(200_000)
    drawn = Counters(3).uniform("a", places)
    assert (Counters(3).uniform("a", places[5:9]) == drawn[5:9]).all()
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    for other in (Counters(4).uniform("a", places), Counters(3).uniform("b", places), drawn[np.r_[1 : len(drawn), 0]]):
        assert np.corrcoef(drawn, other)[0, 1] == pytest.approx(0, abs=0.01)
    assert Counters(3).normal("a", places).std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": 0}, "rows must be 1 or more. Received: 0"),
        ({"rows": 10, "users": 0}, "1 user and 1 to 10 ads"),
        ({"rows": 10, "ads": 11}, "1 user and 1 to 10 ads. Received: 1 and 11"),
        ({"rows": 10, "behaviours": -1}, "behaviours must be 0 or more"),
        ({"rows": 10, "seed": -1}, "seed must be 0 or more"),
        ({"rows": 10, "clicks": 0.0}, "share between 0 and 1"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        generate(tmp_path / "never", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_single_row_can_be_generated(tmp_path):
    generate(tmp_path / "one", rows=1, behaviours=1)
    assert (tmp_path / "one" / "raw_sample.csv").read_text().count("\n") == 2
    assert (tmp_path / "one" / "behavior_log.csv").read_text().count("\n") == 2


def test_the_command_takes_behaviours_for_taobao_alone(tmp_path, capsys):
    command = ["--rows", "2000", "--behaviours", "500", "--out", str(tmp_path / "data")]
    assert main(["--dataset", "movielens", *command]) == 2
    assert "--behaviours: movielens has no such thing" in capsys.readouterr().err
    assert main(["--dataset", "taobao", *command]) == 0
    assert f"{ceiling_auc(tmp_path / 'data'):.4f}" in capsys.readouterr().out
