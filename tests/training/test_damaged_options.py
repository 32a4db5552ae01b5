"""Options that no script takes: flags and YAML as a careless or hostile hand writes them."""

import os

import pytest
import yaml
from damaged import EXAMPLES, ODD_TEXTS, damaged_json, survives
from hypothesis import strategies as st

from prerank.errors import InputError
from training.config import parse
from training.options import RunOptions


def _parse(*argv):
    return parse(argv, program="train.py", description="Train.")


@pytest.mark.parametrize("examples", EXAMPLES)
def test_yaml(tmp_path, examples):
    whole = _parse("--leak", "history,scaler", "--model_name", "hit").values()
    file = tmp_path / "config.yaml"

    def read(damaged):
        file.write_bytes(damaged)
        _parse("--config", str(file))

    survives(damaged_json(whole, yaml.safe_dump), read, examples)


_VALUES = [
    *ODD_TEXTS, "1e400", "+5", "-5", "５", "0b1", "1:30", "2020-02-30", "[", "{", "[[1]]", '"', ",", "1,", "1,nan",
    "null", "None", "true", "1e-3", "300,32", "history", "strict", "9" * 5000, "[" * 5000, "s3://[x", "zz://x",
]  # fmt: skip
_NAMES = [
    *RunOptions.model_fields,
    "hidden_units",
    "leak",
    "data_path",
    "sample_rate",
    "spark_conf",
    "_env_file",
    "no_such",
]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_flags(examples):
    name = st.sampled_from(_NAMES)
    flag = st.one_of(
        st.builds("--{}={}".format, name, st.one_of(st.sampled_from(_VALUES), st.text(max_size=20))),
        st.builds("--{}".format, name),
        st.sampled_from(_VALUES),
    )
    survives(st.lists(flag, min_size=1, max_size=3), lambda argv: _parse(*argv), examples)


@pytest.mark.parametrize("text", ["1_0", " 5", "５", "+5", "0x10", "1e1", "5.0", "", "9" * 5000, "true", "nan"])
@pytest.mark.parametrize("flag", ["epoch", "batch_size", "random_seed", "embedding_dim", "hidden_units"])
def test_an_integer_is_spelt_in_decimal(flag, text, tmp_path):
    with pytest.raises(InputError, match=flag) as error:
        _parse(f"--{flag}={text}", "--model_name=dssm")
    assert len(str(error.value)) < 300
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"model_name": "dssm", flag: [text] if flag == "hidden_units" else text}))
    with pytest.raises(InputError, match=flag):
        _parse("--config", str(file))


@pytest.mark.parametrize(
    "text", ["1_0", " 5", "٣", "nan", "inf", "-inf", "1e999", "0x1p3", "", "1" * 5000, "true", "None"]
)
@pytest.mark.parametrize("flag", ["lr", "embedding_l2", "sample_rate", "dropout"])
def test_a_number_is_decimal_and_finite(flag, text):
    with pytest.raises(InputError, match=flag):
        _parse(f"--{flag}={text}")


def test_a_number_has_bounds(tmp_path):
    assert _parse("--random_seed", "4294967295").run.random_seed == 2**32 - 1
    file = tmp_path / "config.yaml"
    for name, value in (("random_seed", "4294967296"), ("epoch", "2147483648"), ("epoch", "true"), ("lr", "-.inf")):
        with pytest.raises(InputError, match=f"--{name}"):
            _parse(f"--{name}={value}")
        file.write_text(f"{name}: {value}\n")
        with pytest.raises(InputError, match=f"config.yaml: {name}"):
            _parse("--config", str(file))


@pytest.mark.parametrize("key", ["_env_file", "_build_sources", "_cli_parse_args", "__pydantic_self__", "self", "args"])
def test_no_key_becomes_an_argument_of_the_settings(key, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"{key}: 5\n")
    with pytest.raises(InputError, match=f"config.yaml: {key}: there is no such option"):
        _parse("--config", str(file))


@pytest.mark.parametrize("value", ["{a: 1}", "[a]", "5", "true", "'" + "x" * 256 + "'", "'" + "x/" * 2048 + "'"])
@pytest.mark.parametrize("key", ["data_path", "output_dir", "prepared_dir", "export_dir"])
def test_a_path_is_a_path(key, value, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"{key}: {value}\n")
    with pytest.raises(InputError, match=f"{key}: (expected a path|no path)"):
        _parse("--config", str(file))


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(InputError, match="expected a regular file, found a pipe"):
        _parse("--config", str(tmp_path / "config.yaml"))
