"""The container's files, as far as they can be checked without Docker: pins, flags, and who is let in."""

import json
import re
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from prerank.service import command
from prerank.terminal import Parser

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_pins_all_that_the_package_declares():
    found = re.search(r"grep -hE '(.+?)'", DOCKERFILE)[1]
    lines = [
        line for name in ("", "-onnx", "-serve") for line in (ROOT / f"requirements{name}.txt").read_text().split()
    ]
    pins = {Requirement(line).name: Requirement(line) for line in lines if re.match(found, line)}
    project = (ROOT / "pyproject.toml").read_text()
    texts = [re.search(rf"^{name} = (\[.*\])$", project, re.MULTILINE)[1] for name in ("dependencies", "onnx", "serve")]
    needed = [Requirement(text) for one in texts for text in json.loads(one)]
    for one in needed:
        if one.name == "typing-extensions":
            continue  # pydantic pins it
        (pin,) = pins[one.name].specifier
        assert pin.version in one.specifier, one
    assert set(pins) == {one.name for one in needed} - {"typing-extensions"} | {"httptools"}


def test_the_flags_are_those_of_the_command():
    entry = json.loads(re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)[1])
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["prerank"]
    parser = Parser()
    command.add_flags(parser)
    flags = parser.parse_args([*entry[2:], *compose["command"]])
    assert entry[:2] == ["prerank", "serve"]
    assert (flags.host, flags.workers, flags.timeout < 10) == ("0.0.0.0", 2, True)
    assert compose["ports"] == [f"127.0.0.1:{flags.port}:{flags.port}"]
    check = json.loads(re.search(r"CMD (\[\"python\".+)$", DOCKERFILE, re.MULTILINE)[1])
    assert compose["healthcheck"]["test"][1:] == check
    assert f":{flags.port}/readyz" in check[-1]
