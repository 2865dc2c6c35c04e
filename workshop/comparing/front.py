"""Models that nobody would change for another: the Pareto front of accuracy, latency, size."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from workshop.comparing.results import Compared


def worth(row: Compared, reference: str) -> float | None:
    """By what a model is ranked: its accuracy; where nobody knows the truth, how often it agrees
    with the reference."""
    if row.accuracy is not None:
        return row.accuracy.value
    return row.agreement.get(reference)


def with_front(rows: Sequence[Compared], reference: str) -> tuple[Compared, ...]:
    """The rows, with those marked that are on the front: no other is at least as accurate, as quick
    (median of the whole frame) and as small, and better in one of these."""
    known: dict[str, tuple[float, ...]] = {}
    is_judged = any(row.accuracy is not None for row in rows)
    for row in rows:
        value = worth(row, reference) if not is_judged or row.accuracy is not None else None
        if row.trouble is None and row.latency is not None and value is not None:
            known[row.name] = (value, -row.latency.end_to_end_us.p50, -float(row.size_bytes))
    front = {
        name for name, mine in known.items()
        if not any(_beats(other, mine) for other in known.values())
    }  # fmt: skip
    return tuple(replace(row, on_front=row.name in front) for row in rows)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
