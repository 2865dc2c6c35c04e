"""Which box is which track: by how much they overlap, as well as is possible for all at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]

# A knot of more boxes than this is untied best pair first: the exact way takes time that grows with
# the third power, and a crowd must not cost a frame.
MOST_EXACT = 12


def overlaps(tracks: Floats, boxes: Floats, pad: float) -> Floats:
    """Intersection over union (n, m) of (n, 4) and (m, 4): middle x, middle y, width, height.

    pad: both grow by this share of their size on each side, so that what moved farther than it is
    wide still meets itself (Yang et al. 2023, arXiv:2211.14317).
    """
    grown = 1 + 2 * pad
    half_a, half_b = tracks[:, 2:] * (grown / 2), boxes[:, 2:] * (grown / 2)
    from_a, to_a = (tracks[:, :2] - half_a)[:, None], (tracks[:, :2] + half_a)[:, None]
    from_b, to_b = boxes[:, :2] - half_b, boxes[:, :2] + half_b
    shared = np.minimum(to_a, to_b) - np.maximum(from_a, from_b)
    np.maximum(shared, 0, out=shared)
    both = shared[..., 0] * shared[..., 1]
    area_a, area_b = half_a[:, 0] * half_a[:, 1] * 4, half_b[:, 0] * half_b[:, 1] * 4
    share: Floats = both / (area_a[:, None] + area_b - both)
    return share


def assign(gains: Floats) -> list[Pair]:
    """Pairs (row, column), each in one pair at most, whose gains add up to the most. gains: (n, m);
    what is not above 0 is never paired."""
    may = gains > 0
    rows, columns = may.nonzero()
    lone = (may.sum(axis=1)[rows] == 1) & (may.sum(axis=0)[columns] == 1)  # most are
    chosen: list[Pair] = list(zip(rows[lone].tolist(), columns[lone].tolist(), strict=True))
    if len(chosen) == len(rows):
        return chosen
    tied = ~lone
    for knot in _knots(list(zip(rows[tied].tolist(), columns[tied].tolist(), strict=True))):
        across, down = sorted({r for r, _ in knot}), sorted({c for _, c in knot})
        if min(len(across), len(down)) == 1 or max(len(across), len(down)) > MOST_EXACT:
            chosen += _best_first(knot, gains)
            continue
        part = gains[np.ix_(across, down)].clip(0)
        chosen += [(across[r], down[c]) for r, c in _exact(part.tolist()) if part[r, c] > 0]
    return chosen


def _knots(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """The pairs in groups that share no row and no column."""
    of_row: dict[int, list[Pair]] = {}
    of_column: dict[int, list[Pair]] = {}
    for pair in pairs:
        of_row.setdefault(pair[0], []).append(pair)
        of_column.setdefault(pair[1], []).append(pair)
    while of_row:
        _, left = of_row.popitem()
        knot = set(left)
        while left:
            row, column = left.pop()
            beside = of_column.pop(column, []) + of_row.pop(row, [])
            left += [other for other in beside if other not in knot]
            knot.update(beside)
        yield sorted(knot)


def _best_first(pairs: list[Pair], gains: Floats) -> list[Pair]:
    chosen: list[Pair] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for row, column in sorted(pairs, key=lambda pair: -gains[pair]):
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            chosen.append((row, column))
    return chosen


def _exact(gains: list[list[float]]) -> list[Pair]:
    """Every row or every column of a small matrix in a pair, with the most gain: shortest
    augmenting paths (Jonker and Volgenant 1987, A shortest augmenting path algorithm for dense and
    sparse linear assignment problems)."""
    if len(gains) > len(gains[0]):
        turned = [list(column) for column in zip(*gains, strict=True)]
        return [(row, column) for column, row in _exact(turned)]
    width = len(gains[0])
    potential_of_row = [0.0] * len(gains)
    potential = [0.0] * width
    row_of = [-1] * width  # of each column
    for start in range(len(gains)):
        shortest = [float("inf")] * width
        before = [-1] * width  # the column from which each one is reached
        done = [False] * width
        row, at = start, -1
        while True:
            nearest, following = float("inf"), -1
            for column in range(width):
                if done[column]:
                    continue
                length = -gains[row][column] - potential_of_row[row] - potential[column]
                if length < shortest[column]:
                    shortest[column], before[column] = length, at
                if shortest[column] < nearest:
                    nearest, following = shortest[column], column
            potential_of_row[start] += nearest
            for column in range(width):
                if done[column]:
                    potential_of_row[row_of[column]] += nearest
                    potential[column] -= nearest
                else:
                    shortest[column] -= nearest
            at = following
            done[at] = True
            if row_of[at] < 0:
                break
            row = row_of[at]
        while at >= 0:
            earlier = before[at]
            row_of[at] = start if earlier < 0 else row_of[earlier]
            at = earlier
    return [(row, column) for column, row in enumerate(row_of) if row >= 0]
