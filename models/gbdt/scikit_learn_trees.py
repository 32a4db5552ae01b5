"""The trees that scikit-learn has grown, as :class:`models.gbdt.trees.Trees`."""

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from models.gbdt.trees import CATEGORIES, OTHER, SET_THRESHOLD, Trees

_CHECKED_ROWS = 1000
_TOLERANCE = 1e-9


def trees_of(fitted: HistGradientBoostingClassifier, categorical: Sequence[bool], table: np.ndarray) -> Trees:
    """Take the trees out of a fitted classifier of two classes.

    Args:
        fitted: the classifier. Its parts that are read here have no public name, so a version of scikit-learn may
            change them; that is why the result is checked.
        categorical: which of the F columns are categories, each of 0 to 254.
        table: some of the rows that it was fitted on, (n, F) float32.

    Raises:
        ValueError: a category is none of these numbers.
        RuntimeError: the result does not score `table` as the classifier does.
    """
    grown = [tree for (tree,) in fitted._predictors]
    counts = [len(tree.nodes) for tree in grown]
    roots = np.cumsum([0, *counts[:-1]])
    nodes = np.concatenate([tree.nodes for tree in grown])
    of_tree = np.repeat(np.arange(len(grown)), counts)
    children = np.stack([nodes["left"], nodes["right"]], axis=1) + roots[of_tree, np.newaxis]
    order = _by_level(roots, children, nodes["is_leaf"] == 0)
    ordered = nodes[order]
    split = np.flatnonzero(ordered["is_leaf"] == 0)
    bitsets = [grown[tree].raw_left_cat_bitsets for tree in of_tree[order[split]]]
    trees = Trees(
        columns=np.array(len(categorical)),
        baseline=fitted._baseline_prediction.reshape(()).astype(np.float64),
        value=np.where(ordered["is_leaf"], ordered["value"], 0.0),
        split=split.astype(np.int32),
        **_comparisons(fitted, categorical, ordered[split], bitsets),
    )
    rows = table[:_CHECKED_ROWS]
    if not np.allclose(trees.scores(rows), fitted.decision_function(rows), rtol=0, atol=_TOLERANCE):
        raise RuntimeError("the trees do not score as scikit-learn's do: its version is not one that this code knows")
    return trees


def _comparisons(
    fitted: HistGradientBoostingClassifier,
    categorical: Sequence[bool],
    splits: np.ndarray,
    bitsets: Sequence[np.ndarray],
) -> dict[str, np.ndarray]:
    """What each split compares with what: the arrays of :class:`Trees` by name."""
    moved = np.argsort(~np.asarray(categorical, bool), kind="stable")  # scikit-learn puts the categories first
    column = moved[splits["feature_idx"]]
    compared = column + len(moved) * (splits["missing_go_to_left"] != 0)
    threshold = _rounded_down(splits["num_threshold"])
    by_set = np.flatnonzero(splits["is_categorical"])
    compared[by_set] = 2 * len(moved) + np.arange(len(by_set))
    threshold[by_set] = SET_THRESHOLD
    sets = [_set(fitted, splits[place], bitsets[place]) for place in by_set.tolist()]
    return {
        "column": compared.astype(np.int32),
        "threshold": threshold,
        "set_column": column[by_set].astype(np.int32),
        "sets": np.array(sets, bool).reshape(-1, CATEGORIES + 1),
    }


def _by_level(roots: np.ndarray, children: np.ndarray, is_split: np.ndarray) -> np.ndarray:
    """All nodes (N,), level by level."""
    levels = [roots]
    while len(levels[-1]):
        levels.append(children[levels[-1][is_split[levels[-1]]]].reshape(-1))
    return np.concatenate(levels)


def _set(fitted: HistGradientBoostingClassifier, node: np.void, bitsets: np.ndarray) -> np.ndarray:
    """Which of 256 categories a split sends to the left, bool (256,); those that training lacked as missing values."""
    encoder = fitted._preprocessor.named_transformers_["encoder"]
    seen = encoder.categories_[node["feature_idx"]]
    seen = seen[~np.isnan(seen)]
    if not np.isin(seen, np.arange(CATEGORIES)).all():
        raise ValueError(f"categories have to be whole numbers from 0 to {OTHER - 1}. Received: {seen}")
    words = bitsets[node["bitset_idx"]]
    codes = np.arange(len(seen))
    goes_left = np.full(CATEGORIES + 1, bool(node["missing_go_to_left"]))
    goes_left[seen.astype(int)] = words[codes // 32] >> (codes % 32).astype(np.uint32) & 1
    return goes_left


def _rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is at most a threshold: a float32 is at most the one just if it is at most the other."""
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
