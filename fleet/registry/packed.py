"""The five histograms of a window in few bytes, and sums over very many of them at once.

A head of 16 bytes for each stage (sum, least, most as float32; offset; how many buckets, and how
wide they are), then the buckets, each of 1, 2, 4 or 8 bytes. Little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from wire.histogram import BUCKETS, Counts
from wire.messages import StageCounts

STAGES = ("queue", "preprocess", "inference", "postprocess", "end_to_end")
WIDTH_SHIFT, MOST_LENGTH = 14, (1 << 14) - 1
MOST_COUNT = 1 << 40  # of one bucket: what is added up stays exact
ROWS_AT_ONCE = 1000  # of which the buckets are in memory as numbers: more do not fit a cache
GROUPS_AT_ONCE = 1000
_HEAD = struct.Struct("<" + "fffHH" * len(STAGES))
_CODES = "BHIQ"
_HEAD_TYPE = np.dtype(
    [("sum", "<f4"), ("least", "<f4"), ("most", "<f4"), ("offset", "<u2"), ("size", "<u2")]
)
CELLS = len(STAGES) * BUCKETS
EMPTY = bytes(_HEAD.size)
TORN = "a histogram is torn"

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


def pack(stages: StageCounts) -> bytes:
    """What contradicts itself is made right: the buckets say how many there were."""
    head: list[float] = []
    body: list[bytes] = []
    for counts in (
        stages.queue, stages.preprocess, stages.inference, stages.postprocess, stages.end_to_end,
    ):  # fmt: skip
        offset, buckets = counts.offset, counts.counts
        least, most = counts.minimum_us, counts.maximum_us
        if offset + len(buckets) > BUCKETS:
            offset, buckets = min(offset, BUCKETS), buckets[: max(0, BUCKETS - offset)]
        if least is None or most is None or not any(buckets):
            head += (0.0, 0.0, 0.0, 0, 0)
            continue
        width, packed = _buckets(buckets)
        head += (counts.sum_us, least, most, offset, len(buckets) | width << WIDTH_SHIFT)
        body.append(packed)
    return _HEAD.pack(*head) + b"".join(body)


def _buckets(counts: tuple[int, ...]) -> tuple[int, bytes]:
    try:
        return 0, bytes(counts)
    except ValueError:
        highest = max(counts)
    if highest > MOST_COUNT:
        counts = tuple(min(count, MOST_COUNT) for count in counts)
    width = 1 if highest < 1 << 16 else 2 if highest < 1 << 32 else 3
    return width, struct.pack(f"<{len(counts)}{_CODES[width]}", *counts)


def unpack(packed: bytes) -> StageCounts:
    """Raises struct.error: that was never packed."""
    found, place = [], _HEAD.size
    head = _HEAD.unpack_from(packed)
    for start in range(0, len(head), 5):
        sum_us, least, most, offset, size = head[start : start + 5]
        length, width = size & MOST_LENGTH, size >> WIDTH_SHIFT
        counts = struct.unpack_from(f"<{length}{_CODES[width]}", packed, place)
        place += length << width
        if length:
            found.append(Counts(sum(counts), sum_us, offset, counts, least, most))
        else:
            found.append(Counts(0, 0.0, 0, ()))
    return StageCounts(*found)


def merged(packed: Sequence[bytes]) -> bytes:
    """All of them in one."""
    if len(packed) < 2:
        return packed[0] if packed else EMPTY
    sums = Sums(1)
    for start in range(0, len(packed), ROWS_AT_ONCE):
        rows = packed[start : start + ROWS_AT_ONCE]
        sums.add(rows, np.zeros(len(rows), np.int64))
    return sums.packed()[0]


def merged_by(packed: Sequence[bytes], groups: Sequence[int], count: int) -> list[bytes]:
    """Those of each group in one. groups: of each, below count."""
    order = sorted(range(len(packed)), key=groups.__getitem__)
    found = [EMPTY] * count
    for _, places in groupby(order, key=lambda place: groups[place] // GROUPS_AT_ONCE):
        block = list(places)
        first = groups[block[0]] // GROUPS_AT_ONCE * GROUPS_AT_ONCE
        sums = Sums(min(GROUPS_AT_ONCE, count - first))
        for start in range(0, len(block), ROWS_AT_ONCE):
            rows = block[start : start + ROWS_AT_ONCE]
            of = np.fromiter((groups[place] - first for place in rows), np.int64, len(rows))
            sums.add([packed[place] for place in rows], of)
        found[first : first + GROUPS_AT_ONCE] = sums.packed()
    return found


class Sums:
    """Histograms of several groups that grow."""

    def __init__(self, groups: int) -> None:
        self._groups = groups
        stages = groups * len(STAGES)
        self._cells: Real = np.zeros(groups * CELLS)
        self._sum: Real = np.zeros(stages)
        self._least: Real = np.full(stages, np.inf)
        self._most: Real = np.zeros(stages)

    def add(self, packed: Sequence[bytes], groups: Whole) -> None:
        """groups: of each. Raises struct.error: one of them was never packed."""
        joined = np.frombuffer(b"".join(packed), np.uint8)
        sizes = np.fromiter(map(len, packed), np.int64, len(packed))
        if len(sizes) and int(sizes.min()) < _HEAD.size:
            raise struct.error(TORN)
        starts = np.cumsum(sizes) - sizes
        heads = joined[starts[:, None] + np.arange(_HEAD.size)].view(_HEAD_TYPE)
        length = (heads["size"] & MOST_LENGTH).astype(np.int64)
        width = (heads["size"] >> WIDTH_SHIFT).astype(np.int64)
        taken = length << width
        whole = _HEAD.size + taken.sum(axis=1) == sizes
        if not (whole.all() and (heads["offset"] + length <= BUCKETS).all()):
            raise struct.error(TORN)
        begins = starts[:, None] + _HEAD.size + np.cumsum(taken, axis=1) - taken
        stage = groups[:, None] * len(STAGES) + np.arange(len(STAGES))
        used = length > 0
        self._sum += np.bincount(stage[used], heads["sum"][used], len(self._sum))
        np.minimum.at(self._least, stage[used], heads["least"][used].astype(np.float64))
        np.maximum.at(self._most, stage[used], heads["most"][used].astype(np.float64))
        cells = stage * BUCKETS + heads["offset"]
        for each in range(len(_CODES)):
            chosen = used & (width == each)
            if chosen.any():
                self._count(joined, begins[chosen], length[chosen], cells[chosen], each)

    def _count(
        self, joined: NDArray[np.uint8], begins: Whole, length: Whole, cells: Whole, width: int
    ) -> None:
        """Add the buckets that are so wide."""
        before = np.cumsum(length) - length
        count = np.arange(int(length.sum()), dtype=np.int32)
        within = count - np.repeat(before.astype(np.int32), length)
        place = np.repeat(begins.astype(np.int32), length) + (within << width)
        value = joined[place].astype(np.float64)
        for byte in range(1, 1 << width):
            value += joined[place + byte] * float(1 << 8 * byte)
        cell = np.repeat(cells.astype(np.int32), length) + within
        if self._groups == 1:
            self._cells += np.bincount(cell, value, CELLS)
        else:
            first, last = int(cell.min()), int(cell.max()) + 1
            self._cells[first:last] += np.bincount(cell - first, value)

    def packed(self) -> list[bytes]:
        """Of each group."""
        cells = self._cells.reshape(self._groups * len(STAGES), BUCKETS)
        filled = cells > 0
        first = filled.argmax(axis=1)
        behind = BUCKETS - filled[:, ::-1].argmax(axis=1)
        highest = cells.max(axis=1)
        width = (highest >= 1 << 8).astype(int) + (highest >= 1 << 16) + (highest >= 1 << 32)
        found = []
        columns = zip(
            self._sum.tolist(), self._least.tolist(), self._most.tolist(),
            first.tolist(), behind.tolist(), width.tolist(), (highest > 0).tolist(),
            strict=True,
        )  # fmt: skip
        head: list[float] = []
        body: list[bytes] = []
        for row, (total, least, most, start, end, wide, is_used) in enumerate(columns):
            if is_used:
                head += (total, least, most, start, (end - start) | wide << WIDTH_SHIFT)
                body.append(cells[row, start:end].astype(f"<u{1 << wide}").tobytes())
            else:
                head += (0.0, 0.0, 0.0, 0, 0)
            if row % len(STAGES) == len(STAGES) - 1:
                found.append(_HEAD.pack(*head) + b"".join(body))
                head, body = [], []
        return found
