import resource

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from preprocess.generate import generator, names
from preprocess.generate.__main__ import main
from preprocess.generate.movielens import GENRES, PROBABILITIES, SAMPLE_ROWS, ceiling_auc, generate
from preprocess.generated import MARKER
from prerank.errors import InputError

ROWS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("generated") / "movielens"
    generate(target, rows=ROWS, seed=5)
    return target


def read(path, columns):
    rows = [line.split("::") for line in path.read_text("latin-1").splitlines()]
    table = pd.DataFrame(rows, columns=columns.split())
    return table.apply(lambda column: pd.to_numeric(column) if column.str.isdigit().all() else column)


@pytest.fixture(scope="module")
def users(folder):
    return read(folder / "users.dat", "user gender age occupation zipcode")


@pytest.fixture(scope="module")
def movies(folder):
    return read(folder / "movies.dat", "movie title genres")


@pytest.fixture(scope="module")
def ratings(folder):
    return read(folder / "ratings.dat", "user movie rating time")


@pytest.fixture(scope="module")
def labelled(folder, ratings):
    """Rows not rated 3, in order of time, with label and true probability."""
    rows = ratings.assign(probability=pd.read_parquet(folder / PROBABILITIES).probability)
    rows = rows[rows.rating != 3].sort_values("time", kind="stable", ignore_index=True)
    return rows.assign(label=(rows.rating > 3).astype(int))


def test_files_have_the_official_layout(folder, users, movies, ratings):
    assert {path.name for path in folder.iterdir()} == {
        "users.dat", "movies.dat", "ratings.dat", PROBABILITIES, MARKER,
    }  # fmt: skip
    assert len(ratings) == ROWS
    assert list(users.user) == list(range(1, len(users) + 1))
    assert set(users.gender) == {"F", "M"}
    assert set(users.age) == {1, 18, 25, 35, 45, 50, 56}
    assert users.occupation.between(0, 20).all()
    assert users.zipcode.astype(str).str.len().le(5).all()
    assert movies.movie.is_unique
    assert movies.title.str.match(r".+ \(\d{4}\)$").all()
    assert set(movies.genres.str.split("|").explode()) == set(GENRES)
    assert any(ord(letter) > 127 for letter in "".join(movies.title))


def test_ratings_name_known_users_and_movies_and_each_pair_once(users, movies, ratings):
    assert set(ratings.user) == set(users.user)
    assert set(ratings.movie) <= set(movies.movie)
    assert not ratings.duplicated(["user", "movie"]).any()
    assert set(ratings.rating) == {1, 2, 3, 4, 5}
    assert ratings.time.between(956_703_932, 1_046_454_590 + 86_400).all()


def test_shares_are_those_asked_for(tmp_path, ratings, labelled):
    assert (ratings.rating == 3).mean() == pytest.approx(0.261, abs=0.01)
    assert labelled.label.mean() == pytest.approx(0.578, abs=0.01)
    generate(tmp_path / "positive", rows=20_000, positives=0.778)
    rating = read(tmp_path / "positive" / "ratings.dat", "user movie rating time").rating
    assert (rating[rating != 3] > 3).mean() == pytest.approx(0.778, abs=0.015)


def test_counts_are_heavy_tailed_times_are_tied_and_some_come_late(ratings):
    sizes, popularity = ratings.user.value_counts(), ratings.movie.value_counts()
    assert sizes.min() >= 20
    assert sizes.max() > 5 * sizes.median()
    assert popularity.head(len(popularity) // 10).sum() > 0.3 * ROWS
    assert ratings.duplicated(["user", "time"], keep=False).mean() > 0.4
    late = ratings.time.quantile(0.9)
    assert (ratings.groupby("user").time.min() > late).sum() > 5
    assert (ratings.groupby("movie").time.min() > late).sum() > 5
    spans = ratings.groupby("user").time.agg(np.ptp)
    assert (spans > 30 * 86_400).mean() > 0.2
    assert (spans < 86_400).mean() > 0.2
    in_order = ratings.time.diff()[ratings.user.diff() == 0] >= 0
    assert 0.3 < in_order.mean() < 0.9


def test_probabilities_are_those_of_the_labels(folder, ratings, labelled):
    truth = pd.read_parquet(folder / PROBABILITIES)
    assert [str(kind) for kind in truth.dtypes] == ["int64", "int64", "int64", "float64"]
    assert list(truth.row) == list(range(ROWS))
    assert (truth.user_id == ratings.user).all()
    assert (truth.movie_id == ratings.movie).all()
    by_bin = labelled.groupby((labelled.probability * 10).astype(int)).agg(
        truth=("probability", "mean"), label=("label", "mean"), rows=("label", "size")
    )
    assert (np.abs(by_bin.truth - by_bin.label) < 4 * np.sqrt(0.25 / by_bin.rows)).all()
    assert ceiling_auc(folder) == pytest.approx(roc_auc_score(labelled.label, labelled.probability), abs=1e-12)
    assert 0.85 < ceiling_auc(folder) < 0.91


def test_a_rating_of_three_means_nothing(folder, ratings):
    truth = pd.read_parquet(folder / PROBABILITIES).probability
    assert roc_auc_score(ratings.rating == 3, truth) == pytest.approx(0.5, abs=0.015)


def earlier_mean(rows, keys, prior, weight):
    """Mean label of the same keys at strictly earlier times, smoothed."""
    at_time = rows.groupby([*keys, "time"]).label.agg(["sum", "size"])
    before = at_time.groupby(level=list(range(len(keys)))).cumsum() - at_time
    before = rows[[*keys, "time"]].join(before, on=[*keys, "time"])
    return (before["sum"].to_numpy() + weight * prior) / (before["size"].to_numpy() + weight)


def held_out_auc(rows, *features):
    """AUC on the last tenth of a logistic regression fitted on the first four fifths."""
    values = np.column_stack([(feature - feature.mean()) / feature.std() for feature in features])
    fit, test = slice(int(0.8 * len(rows))), slice(int(0.9 * len(rows)), None)
    model = LogisticRegression().fit(values[fit], rows.label[fit])
    return roc_auc_score(rows.label[test], model.predict_proba(values[test])[:, 1])


def test_means_tell_something_the_interests_clearly_more_and_nothing_reaches_the_ceiling(labelled, movies):
    user = earlier_mean(labelled, ["user"], 0.578, 5)
    movie = earlier_mean(labelled, ["movie"], 0.578, 5)
    with_genres = labelled.assign(place=labelled.index, mean=user).merge(movies[["movie", "genres"]])
    with_genres = with_genres.assign(genre=with_genres.genres.str.split("|")).explode("genre", ignore_index=True)
    taste = earlier_mean(with_genres, ["user", "genre"], with_genres["mean"].to_numpy(), 3) - with_genres["mean"]
    taste = taste.groupby(with_genres.place).mean().sort_index().to_numpy()
    means, genres = held_out_auc(labelled, user, movie), held_out_auc(labelled, user, movie, taste)
    assert 0.64 < means < 0.76
    assert means + 0.05 < genres < roc_auc_score(labelled.label, labelled.probability)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / name, rows=5_000, seed=seed)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
        assert file.read_bytes() != (tmp_path / "c" / file.name).read_bytes() or file.name == MARKER


def test_users_drawn_in_several_parts_make_one_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.generate.movielens._CELLS", 20_000)
    generate(tmp_path / "parts", rows=8_000, users=150, movies=500)
    ratings = read(tmp_path / "parts" / "ratings.dat", "user movie rating time")
    assert len(ratings) == 8_000
    assert ratings.user.is_monotonic_increasing
    assert set(ratings.user) == set(range(1, 151))
    assert list(pd.read_parquet(tmp_path / "parts" / PROBABILITIES).row) == list(range(8_000))
    assert 0.8 < ceiling_auc(tmp_path / "parts") < 0.93


def test_the_size_of_the_world_can_be_chosen_to_the_limit(tmp_path):
    generate(tmp_path / "full", rows=1_200, users=40, movies=50)
    assert set(read(tmp_path / "full" / "ratings.dat", "user movie rating time").user.value_counts()) == {30}
    generate(tmp_path / "one", rows=1)
    assert len(read(tmp_path / "one" / "ratings.dat", "user movie rating time")) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": 0}, "rows must be 1 or more. Received: 0"),
        ({"rows": 1_201, "users": 40, "movies": 50}, "can give 40 to 1200 ratings. Received: 1201"),
        ({"rows": 10, "users": 11}, "Received: 10"),
        ({"rows": 10, "users": 0}, "1 user and 2 movies or more"),
        ({"rows": 10, "movies": 1}, "1 user and 2 movies or more"),
        ({"rows": 10, "seed": -1}, "seed must be 0 or more"),
        ({"rows": 10, "positives": 1.0}, "share between 0 and 1"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        generate(tmp_path / "never", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone_unless_empty(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "users.dat").write_text("mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="exists already"):
        generate(tmp_path / "full", rows=100)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["users.dat"]
    generate(tmp_path / "empty", rows=100)
    assert (tmp_path / "empty" / "ratings.dat").exists()


def test_a_disk_that_fills_up_leaves_nothing(tmp_path):
    """A limit on the size of this process's files stands for the full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(InputError, match="cannot be written .*: free or name another place") as failure:
            generate(tmp_path / "never", rows=50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_the_ceiling_of_a_folder_that_was_not_generated_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        ceiling_auc(tmp_path)


def test_data_sets_are_found_by_their_module():
    assert "movielens" in names()
    assert not any(name.startswith("_") for name in names())
    assert generator("movielens").SAMPLE_ROWS == SAMPLE_ROWS
    with pytest.raises(InputError, match="choose from .*movielens"):
        generator("netflix")


def test_the_command_writes_and_prints_the_ceiling(tmp_path, capsys):
    command = ["--dataset", "movielens", "--rows", "3000", "--seed", "4", "--out", str(tmp_path / "data")]
    assert main(command) == 0
    assert (
        f"the ceiling (AUC of the true probabilities): {ceiling_auc(tmp_path / 'data'):.4f}" in capsys.readouterr().out
    )
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [["--rows", "many"], ["--rows", "-5"], ["--dataset", "netflix"], ["--seed", "-1"], ["--wrong"], ["--out"]],
)
def test_a_wrong_flag_is_one_line_and_exit_code_2(tmp_path, capsys, change):
    assert main(["--dataset", "movielens", "--rows", "100", "--out", str(tmp_path / "never"), *change]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
