import pytest

from prerank.errors import InputError
from training.config import parse
from training.objective_options import ObjectiveOptions, used


def config(*argv):
    return parse(argv, program="train.py", description="Train.")


def test_runs_that_use_none_of_the_options_keep_their_identity():
    """Computed at dc77fcd, before there was any of them."""
    assert config().identity("fingerprint") == "seed0-9cff29c7ac"
    assert config("--model_name", "dssm", "--random_seed", "3").identity("fingerprint", 2) == "seed3-f82ca1619d"


@pytest.mark.parametrize(
    "argv",
    [
        ["--candidates_per_row", "2"],
        ["--list_by", "user"],
        ["--list_by", "user", "--loss", "pairwise"],
        ["--teacher", "data"],
        ["--select_by", "cascade_recall@50"],
        ["--entire_space"],
    ],
)
def test_each_option_is_part_of_the_identity(argv):
    assert config(*argv).identity("x") != config().identity("x")


def test_defaults_are_left_out_whatever_their_type():
    values = ObjectiveOptions().model_dump(mode="json")
    assert used(values) == {}
    assert used(values | {"teacher": ["data"], "lr": 1}) == {"teacher": ["data"], "lr": 1}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--loss", "pairwise"], "--loss pairwise needs lists: --list_by"),
        (["--loss", "full_stage", "--candidates_per_row", "2"], "--loss full_stage compares rows .* --list_by"),
        (["--teacher", "data,runs/x"], "--teacher data stands by itself"),
        (["--teacher_on", "both"], "--teacher_on both needs --candidates_per_row"),
        (["--teacher_on", "both", "--candidates_per_row", "1"], "--teacher_on both needs a --teacher"),
        (["--teacher", "data", "--teacher_on", "candidates", "--candidates_per_row", "1"], "data knows no candidates"),
        (["--teacher", "x", "--teacher_loss", "listwise"], "--teacher_loss listwise on rated rows needs --list_by"),
        (["--list_size", "9", "--candidates_per_row", "1"], "--list_size needs --list_by"),
        (["--loss_k", "2"], "--loss_k needs --loss top_k"),
        (["--loss_k", "2", "--list_by", "user", "--loss", "softmax"], "--loss_k needs --loss top_k"),
        (["--loss_weight", "2"], "--loss_weight needs a --loss over lists, or candidates as negatives"),
        (["--loss_weight", "2", "--list_by", "user"], "--loss_weight needs a --loss over lists"),
        (
            ["--loss_weight", "2", "--teacher", "x", "--teacher_on", "both", "--candidates_per_row", "1"],
            "--loss_weight needs a --loss over lists",
        ),
        (["--candidates_from", "batch"], "--candidates_from needs --candidates_per_row of at least 1"),
        (["--candidates_per_row", "1", "--teacher_loss", "listwise"], "--teacher_loss needs a --teacher"),
        (["--teacher_weight", "2"], "--teacher_weight needs a --teacher"),
        (["--teacher_temperature", "2"], "--teacher_temperature needs a --teacher"),
        (
            ["--teacher", "data", "--list_by", "user", "--teacher_loss", "pairwise", "--teacher_temperature", "2"],
            "--teacher_temperature needs a --teacher_loss other than pairwise",
        ),
        (["--select_by", "recall"], "--select_by"),
        (["--with_privileged", "--export_dir", "x"], "--with_privileged trains a teacher"),
    ],
)
def test_options_that_do_not_go_together(argv, message):
    with pytest.raises(InputError, match=message):
        config(*argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["--list_size", "50", "--loss_k", "1", "--loss_weight", "1", "--candidates_from", "catalogue"],
        ["--list_by", "user", "--list_size", "9", "--loss", "top_k", "--loss_k", "2", "--loss_weight", "0.5"],
        ["--candidates_per_row", "2", "--candidates_from", "batch", "--loss_weight", "0.5"],
        ["--teacher", "data", "--teacher_weight", "2", "--teacher_temperature", "2"],
        ["--teacher", "data", "--list_by", "user", "--teacher_loss", "listwise", "--teacher_temperature", "2"],
    ],
)
def test_options_that_go_together(argv):
    config(*argv)
