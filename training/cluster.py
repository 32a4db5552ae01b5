"""The workers of a distributed training, as TensorFlow's environment variable TF_CONFIG names them."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prerank.errors import InputError
from prerank.reading import parse_json

VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")
_ADDRESS = re.compile(r"[!-~]{1,255}:[0-9]{1,5}")
_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        names: job and index of every worker, as TF_CONFIG has them, such as "worker 0"; the chief's comes first.
        worker: the number of this process among them.
    """

    names: tuple[str, ...]
    worker: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Cluster":
        """What TF_CONFIG says.

        Raises:
            InputError: it is not set, or not of the form that TensorFlow documents, with workers and at most one chief.
        """
        text = environment.get(VARIABLE, "")
        if not text:
            raise _wrong("is not set")
        try:
            config = parse_json(text)
        except InputError as error:
            raise _wrong(f"is not valid JSON ({error})") from error
        cluster, task = _mapping(config, "cluster"), _mapping(config, "task")
        if unknown := sorted(set(cluster) - set(_JOBS)):
            raise _wrong(f"names jobs other than chief and worker: {', '.join(map(str, unknown))}")
        jobs = {job: _addresses(cluster, job) for job in _JOBS}
        if len(jobs["chief"]) > 1:
            raise _wrong("names more than one chief")
        addresses = tuple(jobs["chief"] + jobs["worker"])
        if len(set(addresses)) < len(addresses) or not addresses:
            raise _wrong("needs a worker, and each address once")
        kind, index = task.get("type"), task.get("index")
        if kind not in _JOBS or type(index) is not int or not 0 <= index < len(jobs[kind]):
            raise _wrong(f"has a task that is none of the cluster's: {json.dumps(task)}")
        names = tuple(f"{job} {number}" for job in _JOBS for number in range(len(jobs[job])))
        return cls(names, names.index(f"{kind} {index}"))


def _wrong(what: str) -> InputError:
    return InputError(f"--strategy multi_worker: the environment variable {VARIABLE} {what}. Expected: {_EXAMPLE}")


def _mapping(config: Any, key: str) -> dict[str, Any]:
    value = config.get(key) if isinstance(config, dict) else None
    if not isinstance(value, dict):
        raise _wrong(f"has no {key!r} with keys and values")
    return value


def _addresses(cluster: dict[str, Any], job: str) -> list[str]:
    addresses = cluster.get(job, [])
    if not isinstance(addresses, list) or not all(
        isinstance(address, str) and _ADDRESS.fullmatch(address) and int(address.rpartition(":")[2]) < 2**16
        for address in addresses
    ):
        raise _wrong(f"needs a list of host:port for {job!r}")
    return addresses
