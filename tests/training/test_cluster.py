import json

import pytest

from prerank.errors import InputError
from training.cluster import Cluster


def config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_workers_are_numbered_as_tensorflow_numbers_them():
    two = {"worker": ["a:1", "b:1"]}
    assert Cluster.from_environment(config(two)) == Cluster(("worker 0", "worker 1"), 0)
    assert Cluster.from_environment(config(two, index=1)).worker == 1
    with_chief = {"worker": ["a:1", "b:1"], "chief": ["c:1"]}
    assert Cluster.from_environment(config(with_chief, "chief")).worker == 0
    assert Cluster.from_environment(config(with_chief, index=1)) == Cluster(("chief 0", "worker 0", "worker 1"), 2)


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({}, "not set"),
        ({"TF_CONFIG": "{'cluster'"}, "not valid JSON"),
        ({"TF_CONFIG": "[]"}, "'cluster'"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "'task'"),
        (config({"worker": "a:1"}), "host:port"),
        (config({"worker": ["a"]}), "host:port"),
        (config({"worker": ["a:1", "a:1"]}), "each address once"),
        (config({}), "needs a worker"),
        (config({"worker": ["a:1"], "chief": ["b:1", "c:1"]}), "more than one chief"),
        (config({"worker": ["a:1"], "ps": ["b:1"]}), "ps"),
        (config({"worker": ["a:1"]}, index=1), "none of the cluster's"),
        (config({"worker": ["a:1"]}, index="0"), "none of the cluster's"),
        (config({"worker": ["a:1"]}, kind="evaluator"), "none of the cluster's"),
    ],
)
def test_a_wrong_description_is_one_line(environment, word):
    with pytest.raises(InputError, match="TF_CONFIG") as caught:
        Cluster.from_environment(environment)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
