import pytest

from prerank.errors import InputError
from training.config import parse


def _parse(*argv, **kwargs):
    return parse(argv, program="train.py", description="Train.", **kwargs)


def test_defaults_are_those_of_the_specification():
    assert _parse().run.model_name == "hit"
    config = _parse("--model_name", "dssm")
    assert (config.run.epoch, config.run.batch_size, config.run.lr, config.run.patience) == (30, 2048, 1e-3, 2)
    assert config.data.protocol == "strict"
    assert (config.model.embedding_dim, config.model.dropout, config.model.hidden_units) == (32, 0.3, (300, 300, 32))


def test_flags_of_the_chosen_model_only():
    assert _parse("--model_name", "dssm", "--similarity", "dot").model.similarity == "dot"
    with pytest.raises(InputError, match="--user_heads"):
        _parse("--model_name", "dssm", "--user_heads", "3")


def test_yaml_round_trip(tmp_path):
    config = _parse("--leak", "history,scaler", "--hidden_units", "64,32", "--user_heads", "3", "--mixed_precision")
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    assert _parse("--config", str(file)) == config


def test_flags_come_before_yaml_and_yaml_before_a_data_sets_defaults(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("lr: 0.02\nepoch: 7\n")
    config = _parse("--config", str(file), "--epoch", "5", defaults={"lr": 0.5, "dropout": 0.2, "no_such": 1})
    assert (config.run.lr, config.run.epoch, config.model.dropout) == (0.02, 5, 0.2)


def test_identity_depends_on_what_changes_the_result_and_nothing_else():
    plain = _parse().identity("data")
    assert _parse("--output_dir", "elsewhere", "--overwrite", "--export_dir", "x").identity("data") == plain
    assert _parse("--export_dir", "x", "--export_format", "onnx").identity("data") == plain
    assert _parse("--lr", "0.01").identity("data") != plain
    assert _parse().identity("other data") != plain
    assert _parse("--random_seed", "3").identity("data").startswith("seed3-")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--model_name", "nope"], ["--model_name", "nope", "dssm", "hit"]),
        (["--protocol", "loose"], ["--protocol", "strict", "reference", "loose"]),
        (["--lr", "-1"], ["--lr", "greater than 0", "-1"]),
        (["--epoch", "many"], ["--epoch", "integer", "many"]),
        (["--epo", "3"], ["--epo"]),
        (["--overwrite", "False"], ["False"]),
        (["--lr"], ["--lr", "expected one argument"]),
        (["stray"], ["stray"]),
        (["--protocol", "reference", "--split", "time"], ["--split random"]),
        (["--export_version", "1"], ["--export_dir"]),
        (["--export_format", "onnx"], ["--export_format onnx", "--export_dir"]),
        (["--export_format", "tflite", "--export_dir", "x"], ["--export_format", "saved_model", "onnx", "tflite"]),
        (["--config", "no/such.yaml"], ["--config", "no/such.yaml"]),
    ],
)
def test_wrong_flags_give_one_line(argv, words):
    with pytest.raises(InputError) as caught:
        _parse(*argv)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: -2\n", ["lr", "-2"]),
        ("tempo: 3\n", ["tempo", "no such option"]),
        ("a: [\n", ["YAML"]),
        ("- 1\n", ["keys"]),
    ],
)
def test_wrong_yaml_names_the_file(tmp_path, text, words):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        _parse("--config", str(file))
    assert all(word in str(caught.value) for word in ["broken.yaml", *words]), str(caught.value)


def test_help_lists_every_option(capsys):
    with pytest.raises(SystemExit) as exit_:
        _parse("--help", "--model_name", "hit")
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--model_name", "--generation_loss", "--protocol", "--leak", "--embedding_dim", "--overwrite"):
        assert flag in text
    assert "--config" in text
    assert "target_means" in text
