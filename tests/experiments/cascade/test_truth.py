"""Generated requests: what the judge asks of them, and the planted truth of lists."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import write_untrained_run

from experiments.cascade import records, stages
from experiments.cascade.bench import Asked, Bench
from experiments.cascade.metrics import judge
from experiments.cascade.truth import ROWS, Planted
from experiments.command_line import main
from features import UNLABELLED
from preprocess.generate.requests import generate
from preprocess.generate.truth import FILE, Truth
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.requests import Requests

_ASKED = Asked(pool=50, quotas=(20,), requests=30, part="test", ends=())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "requests"
    generate(folder, requests=1_500, users=150, items=300, seed=3)
    return folder


@pytest.fixture(scope="module")
def data(folder, tmp_path_factory):
    options = OwnDataOptions(
        data_path=folder, schema=folder / "schema.yaml", prepared_dir=tmp_path_factory.mktemp("prepared")
    )
    return prepare(NoSchema(), options, lambda _: None)


@pytest.fixture(scope="module")
def bench(data, folder):
    return Bench(data, folder, _ASKED)


@pytest.fixture(scope="module")
def raw(folder):
    return pd.read_parquet(folder / "rows.parquet")


def test_requests_are_those_of_the_test_part(data, bench, raw):
    lines = np.concatenate([pq.read_table(path)["row"].to_numpy() for path in data.parts("test")])
    test = raw.iloc[lines]
    asked = raw.iloc[bench.requests.user_lines]
    assert bench.requests.count == asked.request.nunique() == 30
    assert set(asked.request) <= set(test.request)


def test_positives_are_clicks_from_the_request_on(data, bench, raw):
    parts = {
        part: raw.iloc[np.concatenate([pq.read_table(path)["row"].to_numpy() for path in data.parts(part)])]
        for part in ("train", "test")
    }
    items = raw.item.to_numpy()[bench.requests.item_lines]
    shown = parts["train"][parts["train"].click.notna()]
    for place, asked in enumerate(raw.iloc[bench.requests.user_lines].itertuples()):
        test = parts["test"]
        later = test[(test.user == asked.user) & (test.time >= asked.time) & (test.click == 1)]
        known = set(shown.item[shown.user == asked.user])
        assert set(items[bench.requests.left_out[place]]) == known & set(items)
        assert set(items[bench.requests.positives[place]]) == set(later.item) - known
    counts = shown.item.value_counts()
    assert bench.requests.training_rows.tolist() == [int(counts.get(item, 0)) for item in items]
    assert (parts["train"].click.isna()).any()


def test_what_is_not_shown_has_no_label(data):
    labels = np.concatenate([pq.read_table(path)["label"].to_numpy() for path in data.parts("test")])
    assert UNLABELLED in labels


def test_values_of_lists_are_sums_of_the_planted_probabilities(bench, folder, raw):
    requests, truth = bench.requests, Truth.load(folder)
    users = raw.user.to_numpy()[requests.user_lines]
    items = raw.item.to_numpy()[requests.item_lines]
    places = [found[::4][:50] for found in stages.whole(requests)]
    pools = bench.pools(places)
    random = np.random.default_rng(0)
    scores, ranked = ([random.random(len(found)) for found in places] for _ in range(2))
    found = judge(pools, scores, ranked, (20,))
    for request, pool in enumerate(places):
        p = truth.probabilities([users[request]], items)[0]
        allowed = [item for item in range(len(items)) if item not in set(requests.left_out[request])]
        passed = pool[np.argsort(-scores[request])[:20]]
        by_ranker = dict(zip(pool, ranked[request], strict=True))
        final = sorted(passed, key=lambda item: -by_ranker[item])[:10]
        value = p[final].sum()
        assert found["true_positives@10"][request, 0] == pytest.approx(value)
        assert found["regret@10"][request, 0] == pytest.approx(sum(sorted(p[allowed])[-10:]) - value)
        assert found["pool_regret@10"][request, 0] == pytest.approx(sum(sorted(p[pool])[-10:]) - value)
        assert found["regret@50"][request, 0] >= found["pool_regret@50"][request, 0] >= 0


def test_the_truth_as_the_only_stage_has_no_regret(bench):
    places = stages.whole(bench.requests)
    pools = bench.pools(places)
    perfect = [found.astype(np.float64) for found in pools.truth.pools]
    found = judge(pools, perfect, perfect, (50,))
    np.testing.assert_allclose(found["regret@10"], 0, atol=1e-9)
    np.testing.assert_allclose(found["regret@50"], 0, atol=1e-9)
    chance = judge(pools, stages.Chance().of(range(30), places), perfect, (50,))
    assert chance["regret@50"].mean() > 1


def test_other_data_have_no_truth(bench, tmp_path):
    assert Planted.read(tmp_path, bench.requests) is None


def test_rows_of_other_data_are_told(bench, folder, tmp_path):
    (tmp_path / FILE).write_bytes((folder / FILE).read_bytes())
    assert Planted.read(tmp_path, bench.requests) is None  # a generated layout of others
    pq.write_table(pa.table({"user": [1], "item": [1]}), tmp_path / ROWS)
    with pytest.raises(InputError, match=r"rows.parquet: not the rows that truth.npz is of"):
        Planted.read(tmp_path, bench.requests)


def test_rows_with_sampled_negatives_have_no_truth(bench, folder):
    with pytest.raises(InputError, match="--negatives 0 expected. Received: 4"):
        Planted.read(folder, bench.requests, negatives=4)


def test_a_privileged_mean_is_no_floor(bench, data):
    assert stages.floor(data) is not None
    hidden = replace(data, spec=replace(data.spec, privileged=(data.spec.item_mean,)))
    assert stages.floor(hidden) is None


def test_labels_from_a_request_on_reach_no_input(data, folder, raw, tmp_path):
    """All clicks from a time in the test part on are permuted: inputs of items and of users until then stay."""
    before = Requests.of(data, "test", 60)
    times = raw.time.to_numpy()[before.user_lines]
    cut = np.median(times)
    later = np.flatnonzero(raw.click.notna().to_numpy() & (raw.time.to_numpy() >= cut))
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = pq.read_table(folder / "rows.parquet")
    clicks = table["click"].to_pandas().astype("Int8")
    clicks.iloc[later] = np.random.default_rng(0).permutation(clicks.iloc[later].to_numpy())
    place = table.schema.get_field_index("click")
    column = pa.array(clicks, type=table.schema.field("click").type)
    pq.write_table(table.set_column(place, table.schema.field("click"), column), tmp_path / "rows.parquet")
    options = OwnDataOptions(data_path=tmp_path, schema=tmp_path / "schema.yaml", prepared_dir=tmp_path / "prepared")
    after = Requests.of(prepare(NoSchema(), options, lambda _: None), "test", 60)
    until = times <= cut
    assert 20 < until.sum() < 60
    for name, values in before.users.items():
        np.testing.assert_array_equal(after.users[name][until], values[until], err_msg=name)
    for name, values in before.items.items():
        np.testing.assert_array_equal(after.items[name], values, err_msg=name)
    assert any(set(a) != set(b) for a, b in zip(after.positives, before.positives, strict=True))


def test_the_command_judges_data_of_ones_own(data, folder, tmp_path, capsys):
    """From runs of a schema to records with a regret, by the command line."""
    for model in ("youtube_dnn", "dssm", "lr"):
        flags = (f"--schema={folder / 'schema.yaml'}", f"--data_path={folder}")
        write_untrained_run(tmp_path / "runs", data, model, 0, *flags, options=OwnDataOptions)
    argv = ["cascade", "--dataset=own", f"--data_path={folder}", f"--output_dir={tmp_path / 'runs'}"]
    argv += [f"--out={tmp_path / 'out'}", "--retrieval=youtube_dnn", "--prerankers=dssm", "--rankers=lr,dssm"]
    main([*argv, "--pool=60", "--quotas=55,20", "--requests=20", "--ends=random,ranker"])
    printed = capsys.readouterr().out
    assert "-> 60 -> lr" in printed
    assert "-> 60 -> dssm" in printed
    assert "regret@50 as a share of `dssm`'s" in printed
    found = records.read_all(tmp_path / "out")
    assert len(found) == 6
    for record in found:
        quotas = {row["quota"]: row["metrics"] for row in record.fields["values"]}
        assert quotas[20]["regret@10"]["mean"] > 0
        assert quotas[55]["true_positives@50"]["mean"] > quotas[20]["true_positives@50"]["mean"]
