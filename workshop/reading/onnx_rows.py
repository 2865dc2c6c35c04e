"""Rows as a model of scikit-learn may have seen them: what it is asked to prove its conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workshop.reading.reference import Tensor

SPREADS = 2.0  # to both sides of the mean
STEEP = 4.0  # what a column adds to a score at most, where nothing tells its reach
TINY = 1e-3


def typical_rows(estimator: Any, columns: int, count: int, seed: int) -> Tensor:
    """(count, 1, columns), float32, uniform between what each column is known to reach: by what
    scales it, by its weight, or by where trees divide it; else 0 to 1."""
    low, high = np.zeros(columns), np.ones(columns)
    for one in parts_of(estimator):
        found = _limits(one)
        if found is not None and len(found[0]) == columns:
            low, high = found
            break
    chance = np.random.default_rng(seed)
    return chance.uniform(low, high, (count, 1, columns)).astype(np.float32)


def parts_of(estimator: Any) -> Iterator[Any]:
    """An estimator and all that it is made of, in the order in which they are used."""
    if not hasattr(estimator, "__dict__"):
        return
    yield estimator
    held = [one for _, one in getattr(estimator, "steps", ())]
    held += [one for _, one, _ in getattr(estimator, "transformers_", ())]
    trees = np.asarray(getattr(estimator, "estimators_", ()), object).ravel()
    for one in (*held, *trees):
        yield from parts_of(one)


def _limits(one: Any) -> tuple[Any, Any] | None:
    if getattr(one, "mean_", None) is not None and getattr(one, "scale_", None) is not None:
        spread = SPREADS * np.asarray(one.scale_)
        return np.asarray(one.mean_) - spread, np.asarray(one.mean_) + spread
    if hasattr(one, "data_min_"):
        return np.asarray(one.data_min_), np.asarray(one.data_max_)
    if getattr(one, "coef_", None) is not None:
        reach = STEEP / (np.abs(np.atleast_2d(one.coef_)).max(0) + TINY)
        return -reach, reach
    trees = [each.tree_ for each in parts_of(one) if hasattr(each, "tree_")]
    if not trees:
        return None
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    low, high = np.zeros(trees[0].n_features), np.ones(trees[0].n_features)
    for column in set(features[features >= 0].tolist()):
        at = thresholds[features == column]
        room = max(float(np.ptp(at)), abs(float(at.mean())), 1e-3) / 2
        low[column], high[column] = at.min() - room, at.max() + room
    return low, high
