from dataclasses import replace

import numpy as np
import pytest

import models
from training import scoring
from training.cascade import CascadeRecall
from training.requests import Requests
from training.scoring import NOT_AN_ITEM, Scorer, top_items


@pytest.fixture(scope="module")
def requests(prepared):
    return Requests.of(prepared, "test", 12)


def _logits(model, requests, request, places):
    """A whole forward pass of one user with some items."""
    users = {name: np.repeat(values[request : request + 1], len(places), 0) for name, values in requests.users.items()}
    return model({**users, **{k: v[places] for k, v in requests.items.items()}}, training=False).numpy()


@pytest.mark.parametrize("rows_a_call", [65_536, 300])
@pytest.mark.parametrize("name", ["fit", "cold"])
def test_scores_are_those_of_the_whole_forward_pass(prepared, requests, name, rows_a_call, monkeypatch):
    monkeypatch.setattr(scoring, "_ITEMS_A_CALL", rows_a_call)
    monkeypatch.setattr(scoring, "_ROWS_A_CALL", rows_a_call)
    model = models.build(name, prepared.spec, seed=3)
    scorer = Scorer(model, requests)
    every = np.arange(requests.item_count)
    expected = {request: _logits(model, requests, request, every) for request in (0, 7)}
    np.testing.assert_allclose(scorer.all_items(7), expected[7], atol=1e-5)
    pools = [np.array([5, 2, 90]), np.array([1, 40])]
    for found, request, pool in zip(scorer.of([7, 0], pools), (7, 0), pools, strict=True):
        np.testing.assert_allclose(found, expected[request][pool], atol=1e-5)
    best = top_items(model, requests, 20)
    for request, logits in expected.items():
        logits[requests.left_out[request]] = -np.inf
        np.testing.assert_allclose(logits[best[request]], np.sort(logits)[::-1][:20], atol=1e-5)
        assert not set(best[request]) & set(requests.left_out[request])


@pytest.mark.parametrize("name", ["fit", "cold"])
def test_pools_without_an_item_have_no_scores(prepared, requests, name):
    scorer = Scorer(models.build(name, prepared.spec, seed=3), requests)
    nothing = np.array([], int)
    assert [found.shape for found in scorer.of([0, 7], [nothing, nothing])] == [(0,), (0,)]
    assert [found.shape for found in scorer.of([0, 7], [nothing, np.array([4, 1])])] == [(0,), (2,)]


def test_a_request_with_few_items_left_has_no_more(prepared, requests):
    model = models.build("target_means", prepared.spec)
    some = replace(
        requests,
        users={name: values[:1] for name, values in requests.users.items()},
        items={name: values[:5] for name, values in requests.items.items()},
        left_out=[np.array([0, 3])],
    )
    # untrained, it gives all the same score
    assert top_items(model, some, 10).tolist() == [[1, 2, 4, *[NOT_AN_ITEM] * 7]]
    assert top_items(model, some, 2).tolist() == [[1, 2]]


def test_value_of_a_cascade_is_the_recall_of_later_positives(prepared):
    model = models.build("lr", prepared.spec, seed=5)
    requests = Requests.of(prepared, "validation", 40)
    recalls = []
    for request, positives in enumerate(requests.positives):
        logits = _logits(model, requests, request, np.arange(requests.item_count))
        logits[requests.left_out[request]] = -np.inf
        if len(positives):
            best = sorted(range(len(logits)), key=lambda item: (-logits[item], item))[:50]
            recalls.append(len(set(best) & set(positives)) / len(positives))
    found = CascadeRecall(prepared, requests=40)
    assert found(model) == pytest.approx(np.mean(recalls), abs=1e-6)
    assert found(model) == found(model)
    assert 0 <= CascadeRecall(prepared, "test", cutoff=10)(model) <= 1
