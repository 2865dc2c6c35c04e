"""What tracks did in zones and at lines: of one device hour by hour, and of the fleet in sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream

from fleet.registry.words import PassedInHour, Scope, Span
from fleet.serve.api.asking import (
    MISHAPS,
    SPAN,
    ApiRequest,
    DeviceName,
    Names,
    Text,
    known_of,
)
from fleet.serve.api.exports import CSV, SHEET
from fleet.serve.api.history import check_was_heard
from fleet.serve.api.sheets import Cell, moment, sheet
from fleet.serve.api.words import PassedLine
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of
from wire.troubles import Refused

Line = TypeVar("Line")
MOST_LINES = 20_000
HEADS = ("start", "pipeline", "kind", "where", "way", "label", "count")


@get(
    "/api/v1/devices/{name:str}/passages",
    sync_to_thread=True,
    responses=MISHAPS,
    dependencies=SPAN,
)
def passages(
    request: ApiRequest, name: DeviceName, span: NamedDependency[Span], pipeline: Text = None
) -> list[PassedInHour]:
    """What zones and lines of a device counted, in whole hours."""
    known = known_of(request, name)
    found = parts_of(request).registry.passed(span, Scope([known.name], pipeline or None))
    return list(_bounded(found))


@get(
    "/api/v1/devices/{name:str}/passages.csv",
    sync_to_thread=True,
    responses=SHEET,
    media_type=CSV,
    dependencies=SPAN,
)
def passages_sheet(
    request: ApiRequest, name: DeviceName, span: NamedDependency[Span], pipeline: Text = None
) -> Stream:
    """What zones and lines of a device counted, in whole hours."""
    known = known_of(request, name)
    found = parts_of(request).registry.passed(span, Scope([known.name], pipeline or None))
    return sheet(f"{known.name}-zones-lines", HEADS, map(_row, found))


@get("/api/v1/passages", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN)
def passages_over(
    request: ApiRequest,
    span: NamedDependency[Span],
    device: Names = None,
    pipeline: Text = None,
) -> list[PassedLine]:
    """Sums of zones and lines over the hours of a time, of any devices (device=NAME, as often as
    wanted; none: all)."""
    for name in device or ():
        check_was_heard(request, name)
    found = parts_of(request).registry.passed(span, Scope(device or None, pipeline or None))
    sums: dict[tuple[str, str, str, str, str, str], int] = {}
    for each in found:
        what = (each.device, each.pipeline, each.kind, each.where, each.way, each.label)
        sums[what] = sums.get(what, 0) + each.count
    return [PassedLine(*what, count) for what, count in _bounded(sorted(sums.items()))]


def _bounded(lines: Sequence[Line]) -> Sequence[Line]:
    """Raises Refused: there are too many."""
    if len(lines) > MOST_LINES:
        raise Refused(
            f"these are {len(lines)} lines, {MOST_LINES} are the most: ask for fewer devices, or "
            "a shorter time"
        )
    return lines


def _row(each: PassedInHour) -> tuple[Cell, ...]:
    return (
        moment(each.start_s), each.pipeline, each.kind, each.where, each.way, each.label,
        each.count,
    )  # fmt: skip


ROUTES = (
    Route("viewer", passages),
    Route("viewer", passages_sheet),
    Route("viewer", passages_over),
)
