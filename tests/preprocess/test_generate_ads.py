"""Generated logs of ads: what a night changes, and that days fit each other."""

import pandas as pd

from preprocess.generate.__main__ import main
from preprocess.generate.ads import generate


def test_days_fit_each_other_and_the_same_seed_gives_the_same(tmp_path, capsys):
    generate(tmp_path / "a", days=3, rows=2_000, users=100, ads=150, seed=4)
    flags = ["--days", "3", "--rows", "2000", "--users", "100", "--ads", "150", "--seed", "4"]
    assert main(["ads", str(tmp_path / "b"), *flags]) == 0
    assert "3 days of 2000 impressions" in capsys.readouterr().out
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    for day in (2, 3):
        before, after, changed = (
            pd.read_parquet(tmp_path / "a" / f"{name}.parquet").set_index("ad_id")
            for name in (f"items{day - 1}", f"items{day}", f"changed{day}")
        )
        removed = (tmp_path / "a" / f"removed{day}.txt").read_text().split()
        assert set(removed) == set(before.index) - set(after.index)
        assert set(after.index) - set(before.index) <= set(changed.index)
        rest = after.index.difference(changed.index)
        pd.testing.assert_frame_equal(before.loc[rest], after.loc[rest])
        pd.testing.assert_frame_equal(changed, after.loc[changed.index])
        shown = pd.read_parquet(tmp_path / "a" / f"day{day}.parquet")
        assert set(shown["ad_id"]) <= set(after.index)
        assert 0.05 < shown["clicked"].mean() < 0.5
        assert shown["shown_at"].is_monotonic_increasing


def test_too_few_ads_are_refused(tmp_path, capsys):
    assert main(["ads", str(tmp_path / "x"), "--ads", "50"]) == 2
    assert capsys.readouterr().err == "error: it takes 100 ads at least. Received: 50\n"
