"""Devices, events, windows and vitals as CSV."""

from __future__ import annotations

from collections.abc import Iterator

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery
from litestar.response import Stream
from msgspec.structs import asdict, replace

from fleet.live.answer import chosen, ordered
from fleet.live.line import Line
from fleet.live.question import Question, question_of
from fleet.registry.registry import Registry
from fleet.registry.words import EventQuery, EventRow, Span, Stretch, Vital
from fleet.serve.api.asking import (
    MAYBE_SPAN,
    MISHAPS,
    SPAN,
    ApiRequest,
    DeviceName,
    Text,
    known_of,
)
from fleet.serve.api.history import Pipeline, checked
from fleet.serve.api.sheets import Cell, moment, ms, sheet
from fleet.serve.complaining import TAKES
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of
from wire.messages import EventKind

CSV = "text/csv"
SHEET = MISHAPS | {200: ResponseSpec(str, description="a table", media_type=CSV)}
PAGE, MOST_EVENTS = 1000, 100_000
MOST_WINDOWS = MOST_VITALS = 2000
STAGES = ("queue", "preprocess", "inference", "postprocess", "end_to_end")
SHARES = (0.50, 0.95, 0.99)
DEVICE_HEADS = (
    "device", "level", "online", "board", "groups", "models", "fps", "p50_ms", "p95_ms", "p99_ms",
    "hottest_c", "heard", "lost", "concerns",
)  # fmt: skip
EVENT_HEADS = ("id", "at", "heard", "device", "kind", "subject", "pipeline", "text", "update")
WINDOW_HEADS = (
    "start", "seconds", "model", "version", "frames", "fps", "skipped", "driver", "decode",
    "refused", "restarts",
    *(f"{stage}_p{round(share * 100)}_ms" for stage in STAGES for share in SHARES),
)  # fmt: skip
VITAL_HEADS = (
    "start", "hottest_c", "cpu_percent", "memory_percent", "disk_percent", "throttled",
)  # fmt: skip


@get(
    "/api/v1/devices.csv", sync_to_thread=True, responses=SHEET, media_type=CSV,
    opt={TAKES: Question.__struct_fields__},
)  # fmt: skip
def devices_sheet(request: ApiRequest) -> Stream:
    """The devices that the same question finds on the fleet's page, all of them."""
    question = question_of(dict(request.query_params))
    lines = ordered(chosen(parts_of(request).live.sight.lines, question), question)
    return sheet("devices", DEVICE_HEADS, map(_device, lines))


@get(
    "/api/v1/events.csv", sync_to_thread=True, responses=SHEET, media_type=CSV,
    dependencies=MAYBE_SPAN,
)  # fmt: skip
def events_sheet(
    request: ApiRequest,
    span: NamedDependency[Span | None],
    device: Text = None,
    kind: FromQuery[EventKind | None] = None,
    subject: Text = None,
    text: Text = None,
) -> Stream:
    """Events, the newest first, 100,000 at most."""
    query = EventQuery(device or None, kind, subject or None, text or None, span, most=PAGE)
    return sheet("events", EVENT_HEADS, _events(parts_of(request).registry, query))


@get(
    "/api/v1/devices/{name:str}/windows.csv", sync_to_thread=True, responses=SHEET, media_type=CSV,
    dependencies=SPAN,
)  # fmt: skip
def windows_sheet(
    request: ApiRequest, name: DeviceName, pipeline: Pipeline, span: NamedDependency[Span]
) -> Stream:
    """What a pipeline counted."""
    known = known_of(request, name)
    found = parts_of(request).registry.windows(known.name, checked(pipeline), span, MOST_WINDOWS)
    return sheet(f"{known.name}-{pipeline}", WINDOW_HEADS, map(_window, found))


@get(
    "/api/v1/devices/{name:str}/vitals.csv", sync_to_thread=True, responses=SHEET, media_type=CSV,
    dependencies=SPAN,
)  # fmt: skip
def vitals_sheet(request: ApiRequest, name: DeviceName, span: NamedDependency[Span]) -> Stream:
    """How the board was."""
    known = known_of(request, name)
    found = parts_of(request).registry.vitals(known.name, span, MOST_VITALS)
    return sheet(f"{known.name}-board", VITAL_HEADS, map(_vital, found))


def _device(line: Line) -> tuple[Cell, ...]:
    online = None if line.is_online is None else "yes" if line.is_online else "no"
    return (
        line.name, line.level, online, line.board, " ".join(line.groups),
        "; ".join(each.release for each in line.pipelines), line.fps, ms(line.p50_us),
        ms(line.p95_us), ms(line.p99_us), line.hottest_c, moment(line.heard_s), line.lost,
        "; ".join(each.words for each in line.concerns),
    )  # fmt: skip


def _events(registry: Registry, query: EventQuery) -> Iterator[tuple[Cell, ...]]:
    for _ in range(MOST_EVENTS // PAGE):
        page = registry.events(query)
        yield from map(_event, page.events)
        if page.before_id is None:
            return
        query = replace(query, before_id=page.before_id)


def _event(row: EventRow) -> tuple[Cell, ...]:
    event, update = row.event, row.event.update
    told = None if update is None else f"{update.phase} {update.model} {update.version}"
    return (
        row.id, moment(row.at_s), moment(row.heard_s), row.device, event.kind, event.subject,
        event.pipeline, event.text, told,
    )  # fmt: skip


def _window(stretch: Stretch) -> tuple[Cell, ...]:
    stages = asdict(stretch.stages)
    losses = stretch.losses
    return (
        moment(stretch.start_s), stretch.seconds, stretch.model, stretch.version, stretch.frames,
        stretch.fps, losses.skipped, losses.driver, losses.decode, losses.refused, stretch.restarts,
        *(ms(stages[stage].percentile(share)) for stage in STAGES for share in SHARES),
    )  # fmt: skip


def _vital(vital: Vital) -> tuple[Cell, ...]:
    return (
        moment(vital.start_s), vital.hottest_c, vital.cpu_percent, vital.memory_percent,
        vital.disk_percent, " ".join(vital.throttled),
    )  # fmt: skip


ROUTES = (
    Route("viewer", devices_sheet),
    Route("viewer", events_sheet),
    Route("viewer", windows_sheet),
    Route("viewer", vitals_sheet),
)
