"""Scores of several users at once are those of each by itself, to the last bit."""

import numpy as np
import pytest

from prerank.calibration import Probabilities
from prerank.item_states import ItemStates
from prerank.kernels import make_kernel
from prerank.lookup import lookup_of
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray

COUNT, WIDTH, USERS = 9_001, 16, 5  # more than two chunks
SCALE, BIAS = 2.0, -0.5


def scores_by_hand(kind, users, items):
    """Of users (U, 2, D / 2) and items (N, 2, D / 2), in 64 bits."""
    users, items = users.astype(np.float64), items.astype(np.float64)
    if kind == "dot":
        found = users.reshape(USERS, -1) @ items.reshape(COUNT, -1).T
    else:
        found = np.einsum("uhd,nkd->unhk", users, items).max(axis=3).sum(axis=2)
    return SCALE * found + BIAS


@pytest.mark.parametrize("kind", ["dot", "max_sim"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float16", 2e-2), ("int8", 0.5)])
@pytest.mark.parametrize("some", [False, True])
def test_several_users_at_once(kind, dtype, tolerance, some):
    random = np.random.default_rng(0)
    items = random.normal(size=(COUNT, 2, WIDTH // 2)).astype(np.float32)
    users = random.normal(size=(USERS, 2, WIDTH // 2)).astype(np.float32)
    kernel = make_kernel(kind, {"scale": np.array(SCALE, np.float32), "bias": np.array(BIAS, np.float32)})
    arrays = {name: StoredArray.encode(array, dtype) for name, array in kernel.arrange({"state": items}).items()}
    ids = np.arange(COUNT)
    snapshot = Snapshot("v1", (0, 0), ItemStates(ids, arrays, dtype), lookup_of(ids))
    positions = random.permutation(COUNT)[:6_000] if some else None
    chosen = ids if positions is None else positions
    value = (np.array([0.0, 3.0], np.float32), ids % 2)
    prepared = [kernel.prepare({"state": user}) for user in users]
    found = snapshot.answers(kernel, prepared, positions, value, Probabilities())
    assert found.shape == (USERS, 2, len(chosen))
    wanted = scores_by_hand(kind, users, items)[:, chosen]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=tolerance)
    worth = np.where(chosen % 2, 3.0, 0.0) / (1 + np.exp(-found[:, 0].astype(np.float64)))
    np.testing.assert_allclose(found[:, 1], worth, rtol=1e-5)
    for user, of_user in zip(prepared, found, strict=True):
        np.testing.assert_array_equal(of_user, snapshot.answer(kernel, user, positions, value))
