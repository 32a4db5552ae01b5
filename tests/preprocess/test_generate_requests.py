"""Generated requests: what is planted holds, the truth agrees with the clicks, and the schema prepares."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from features import UNLABELLED
from preprocess.generate import _request_policy as policy
from preprocess.generate.__main__ import main
from preprocess.generate._request_world import OBSERVABLE, World
from preprocess.generate.requests import MIDNIGHT, generate
from preprocess.generate.truth import FILE, Truth
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError

REQUESTS, USERS, ITEMS = 6_000, 400, 800


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Rows and truth of a mild and of a strong exposure bias."""
    folder = tmp_path_factory.mktemp("requests")
    for bias in policy.BIASES:
        generate(folder / bias, requests=REQUESTS, users=USERS, items=ITEMS, exposure_bias=bias, weights=True, seed=5)
    return {
        bias: (folder / bias, pd.read_parquet(folder / bias / "rows.parquet"), Truth.load(folder / bias))
        for bias in policy.BIASES
    }


def true_probabilities(rows, truth):
    """Of each row's user and item at the first place, from the vectors themselves."""
    users, items = rows.user.to_numpy() - 1, rows.item.to_numpy() - 1
    affinity = (truth.user_vectors[users] * truth.item_vectors[items]).sum(axis=1)
    return expit(truth.offset + 1.3 * affinity + 0.7 * truth.quality[items])


def test_each_request_has_its_stages_and_only_what_is_shown_has_a_label(worlds):
    for _, rows, _ in worlds.values():
        stages = rows.groupby(["request", "stage"], observed=True).size().unstack()
        assert len(stages) == REQUESTS
        expected = {"shown": 10, "ranked": 5, "pre_ranked": 5, "retrieved": 10}
        assert {stage: set(stages[stage]) for stage in stages} == {stage: {n} for stage, n in expected.items()}
        shown = rows.stage == "shown"
        assert (rows.click.notna() == shown).all()
        assert (rows.position.notna() == shown).all()
        assert not rows.duplicated(["request", "item"]).any()
        assert (rows.groupby("request")[["user", "time"]].nunique() == 1).all(axis=None)
        assert rows.time.between(MIDNIGHT, MIDNIGHT + 14 * 86_400 - 1).all()
        assert rows.request.is_monotonic_increasing
        assert rows.time.is_monotonic_increasing
        stands_for = rows.groupby("stage", observed=True).weight.sum() / REQUESTS
        assert stands_for.to_dict() == {"shown": 10, "ranked": 15, "pre_ranked": 35, "retrieved": 140}


def test_the_truth_is_that_of_the_first_place(worlds):
    for _, rows, truth in worlds.values():
        first = rows[rows.position == 1]
        probabilities = true_probabilities(first, truth)
        for part in np.array_split(np.argsort(probabilities), 10):
            p = probabilities[part]
            error = np.sqrt((p * (1 - p)).sum())
            assert abs(first.click.to_numpy()[part].sum() - p.sum()) < 4 * error
        users, items = np.array([7, 3, 7]), np.array([ITEMS, 1])
        pairs = pd.DataFrame({"user": np.repeat(users, 2), "item": np.tile(items, 3)})
        found = truth.probabilities(users, items)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, true_probabilities(pairs, truth).reshape(3, 2), rtol=1e-12)


def test_a_click_needs_a_look_at_its_place(worlds):
    for _, rows, truth in worlds.values():
        shown = rows[rows.position.notna()].assign(p=lambda rows, truth=truth: true_probabilities(rows, truth))
        for place, at in shown.groupby("position"):
            p = at.p * place**-0.6
            assert abs(at.click.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
        means = shown.groupby("position").p.mean()
        assert means.iloc[0] > means.iloc[-1]  # the ranker knows something


def test_exposure_follows_popularity_more_where_the_bias_is_strong(worlds):
    popular, quality = {}, {}
    for bias, (_, rows, truth) in worlds.items():
        shown = rows[rows.stage == "shown"]
        counts = np.bincount(shown.item - 1, minlength=ITEMS)
        popular[bias] = truth.popularity[shown.item - 1].mean()
        quality[bias] = np.corrcoef(np.log1p(counts), truth.quality)[0, 1]
        assert np.corrcoef(np.log1p(counts), truth.popularity)[0, 1] > 0.5
        assert np.corrcoef(truth.popularity, truth.quality)[0, 1] == pytest.approx(0.4, abs=0.1)
    assert popular["strong"] > popular["mild"] + 0.3 > 0.3
    assert quality["strong"] < quality["mild"] - 0.05


def test_attributes_explain_most_of_what_users_like():
    world = World.draw(600, 700, seed=2)
    affinity = (world.user_vectors @ world.item_vectors.T).ravel()
    known = (world.user_observable @ world.item_observable.T).ravel()
    assert affinity.var() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(affinity, known)[0, 1] ** 2 == pytest.approx(OBSERVABLE**2, abs=0.1)
    same = [(world.segment, world.age, world.gender, world.country), (world.category, world.brand, world.price)]
    for attributes, vectors in zip(same, (world.user_observable, world.item_observable), strict=True):
        keys = pd.MultiIndex.from_arrays(attributes).factorize()[0]
        for key in range(5):
            np.testing.assert_allclose(np.ptp(vectors[keys == key], axis=0), 0, atol=1e-12)
    probabilities = expit(world.offset + 1.3 * affinity + 0.7 * np.tile(world.quality, 600))
    assert probabilities.mean() == pytest.approx(0.05, abs=0.01)


def test_each_stage_keeps_what_it_scores_best(worlds):
    """A later stage has seen more of the preference, so what it keeps is liked more."""
    for _, rows, truth in worlds.values():
        liked = rows.assign(p=true_probabilities(rows, truth)).groupby("stage", observed=True).p.mean()
        assert liked["shown"] > liked["ranked"] > liked["pre_ranked"] > liked["retrieved"] > 0.05


def test_the_schema_prepares_without_an_error(worlds, tmp_path):
    folder, rows, _ = worlds["mild"]
    options = OwnDataOptions(schema=folder / "schema.yaml", data_path=folder, prepared_dir=tmp_path)
    prepared = prepare(NoSchema(), options, lambda line: None)
    assert prepared.spec.dataset == "requests_generated"
    assert prepared.spec.row_columns == ("request", "stage", "weight")
    counts = prepared.manifest["parts"]
    assert sum(part["rows"] for part in counts.values()) == len(rows)
    assert sum(part["positives"] for part in counts.values()) == (rows.click == 1).sum()
    assert sum(part["requests"] for part in counts.values()) == REQUESTS
    for part in counts.values():
        assert part["rows"] == 30 * part["requests"] == 3 * part["labelled"]
    assert UNLABELLED == -1


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    sizes = {"requests": 120, "users": 30, "items": 250}
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        generate(tmp_path / name, **sizes, seed=seed)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == [
        "generated.txt",
        "items.parquet",
        "rows.parquet",
        "schema.yaml",
        "truth.npz",
        "users.parquet",
    ]
    same = {name: (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files}
    assert all(same.values()), same
    assert (tmp_path / "one" / "rows.parquet").read_bytes() != (tmp_path / "other" / "rows.parquet").read_bytes()


def test_the_command(tmp_path, capsys):
    arguments = ["--requests", "40", "--users", "9", "--items", "200", "--exposure_bias", "strong", "--seed", "3"]
    assert main(["requests", str(tmp_path / "data"), *arguments]) == 0
    assert "40 requests, 1200 rows, 400 of them shown, of which " in capsys.readouterr().out
    assert "weight" not in (tmp_path / "data" / "schema.yaml").read_text()
    assert main(["requests", str(tmp_path / "data"), *arguments]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["requests", str(tmp_path / "few"), "--items", "199"]) == 2
    assert "1 user and 200 items at least. Received: 20000, 2000 and 199" in capsys.readouterr().err
    assert main(["requests", str(tmp_path / "few"), "--exposure_bias", "huge"]) == 2
    assert "--exposure_bias" in capsys.readouterr().err
    assert not (tmp_path / "few").exists()


def test_what_is_no_truth_is_refused(worlds, tmp_path):
    truth = worlds["mild"][2]
    with pytest.raises(InputError, match="the generated world has no user 401"):
        truth.probabilities([1, 401], [1])
    with pytest.raises(InputError, match="the generated world has no item 0"):
        truth.probabilities([1], [5, 0])
    with pytest.raises(InputError, match="truth.npz: cannot be read"):
        Truth.load(tmp_path)
    np.savez(tmp_path / FILE, user_ids=np.arange(3))
    with pytest.raises(InputError, match="truth.npz: damaged: no item_ids of 1 dimensions"):
        Truth.load(tmp_path)
