import pytest
from run_folders import write_run

from experiments.cascade.chosen import Wanted, lines, parse_all
from experiments.runs import read_all
from prerank.errors import InputError


def test_names_options_seeds_and_values_with_commas():
    found = parse_all(["dssm,hit:user_units=128,64:seed=2", "dcn_v2:epoch=3"], "--prerankers")
    assert [(one.model, dict(one.options), one.seed) for one in found] == [
        ("dssm", {}, None),
        ("hit", {"user_units": "128,64"}, 2),
        ("dcn_v2", {"epoch": "3"}, None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dsm", "--prerankers: .*dsm"),
        ("dssm:epoch", "expected name:key=value"),
        ("dssm:epoch=1:epoch=2", "expected name:key=value"),
        ("dssm:seed=x", "--prerankers: "),
        ("runs/nothing", "no such folder of a run"),
        ("dssm,dssm", "named twice"),
        ("", "--prerankers"),
    ],
)
def test_wrong_names(text, message):
    with pytest.raises(InputError, match=message):
        parse_all([text], "--prerankers")


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 0):
        write_run(tmp_path, "dssm", seed, 0.8)
    write_run(tmp_path, "dssm", 0, 0.8, options={"epoch": "3"})
    write_run(tmp_path, "hit", 0, 0.8, options={"epoch": "3"})
    for epochs in ("3", "4"):
        write_run(tmp_path, "dcn_v2", 0, 0.8, options={"epoch": epochs})
    return read_all(tmp_path)


def _found(text, runs):
    return [(run.seed, dict(run.variant)) for run in Wanted.parse(text, "--ranker").find(runs, "--ranker")]


def test_default_options_come_first_and_seeds_in_order(runs):
    assert _found("dssm", runs) == [(0, {}), (1, {})]
    assert _found("dssm:seed=1", runs) == [(1, {})]
    assert _found("dssm:epoch=3", runs) == [(0, {"epoch": 3})]


def test_the_only_options_need_not_be_named(runs):
    assert _found("hit", runs) == [(0, {"epoch": 3})]


def test_several_options_have_to_be_named(runs):
    with pytest.raises(InputError, match="--ranker dcn_v2: runs with several further options.*epoch=3, epoch=4"):
        _found("dcn_v2", runs)
    assert _found("dcn_v2:epoch=4", runs) == [(0, {"epoch": 4})]


def test_what_is_not_there_is_told_with_what_is(runs):
    with pytest.raises(
        InputError, match="--ranker dssm:epoch=9: no finished run. There are runs with: default options"
    ):
        _found("dssm:epoch=9", runs)
    with pytest.raises(InputError, match="There is no run of this model"):
        _found("mind", runs)


def test_a_folder_names_one_run(runs, tmp_path):
    folder = next(run.folder for run in runs if run.model == "hit")
    assert [run.folder for run in Wanted.parse(str(folder), "--ranker").find(runs, "--ranker")] == [folder]
    with pytest.raises(InputError, match="not a finished run"):
        Wanted.parse(str(tmp_path), "--ranker").find(runs, "--ranker")


def test_each_ranker_meets_all_prerankers(runs):
    by_name = {name: Wanted.parse(name, "--ranker").find(runs, "--ranker") for name in ("dssm", "hit")}
    found = lines(by_name["hit"], [by_name["dssm"]], [by_name["hit"], by_name["dssm"]], match_seeds=False)
    assert [(line.ranker.model, line.ranker.seed, len(line.prerankers)) for line in found] == [
        ("hit", 0, 2),
        ("dssm", 0, 2),
    ]


def test_matched_seeds(runs):
    dssm = Wanted.parse("dssm", "--ranker").find(runs, "--ranker")
    found = lines(dssm, [dssm], [dssm], match_seeds=True)
    assert [(line.retrieval.seed, line.ranker.seed, [run.seed for run in line.prerankers]) for line in found] == [
        (0, 0, [0]),
        (1, 1, [1]),
    ]
    hit = Wanted.parse("hit", "--ranker").find(runs, "--ranker")
    with pytest.raises(InputError, match="--match_seeds: hit has no finished run of seed 1"):
        lines(dssm, [dssm], [hit], match_seeds=True)
