"""The devices as they are now."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import FromQuery, QueryParameter

from fleet.concerns import Kind
from fleet.live.answer import answer
from fleet.live.line import Line
from fleet.live.question import Question
from fleet.serve.api.asking import MISHAPS, ApiRequest, DeviceName, Text, known_of
from fleet.serve.api.words import DeviceLine, DevicePage, DeviceWhole, PipelineLine, Worry
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of

Show = Literal["all", "needs", "online", "offline"]
Order = Literal["worst", "name", "model", "board", "fps", "p95", "hot", "heard"]
Page = Annotated[int, QueryParameter(ge=1, le=1_000_000)]


@get("/api/v1/devices", sync_to_thread=True, responses=MISHAPS)
def devices(
    request: ApiRequest,
    search: Text = None,
    show: FromQuery[Show] = "all",
    kind: FromQuery[Kind | None] = None,
    model: Text = None,
    board: Text = None,
    group: Text = None,
    order: FromQuery[Order] = "worst",
    reverse: FromQuery[bool] = False,
    page: Page = 1,
) -> DevicePage:
    """Devices, 100 a page, the worst first. search: words that are all in what is known of it.
    kind: of a concern. model: `NAME VERSION`. A page beyond the last one (`pages`) is empty."""
    question = Question(
        search or "", show, kind or "", model or "", board or "", group or "", order, reverse, page
    )
    found = answer(parts_of(request).live.sight.lines, question)
    lines = tuple(map(device_line, found.lines))
    if page > found.pages:  # the answer for people is the last page
        lines = ()
    return DevicePage(found.found, found.whole, page, found.pages, lines)


@get("/api/v1/devices/{name:str}", sync_to_thread=True, responses=MISHAPS)
def device(request: ApiRequest, name: DeviceName) -> DeviceWhole:
    """One device."""
    known = known_of(request, name)
    line = parts_of(request).live.sight.by_name.get(name)
    if line is None:
        raise NotFoundException("this device was heard a moment ago: ask again")
    return DeviceWhole(
        device_line(line),
        known.first_heard_s,
        known.online_since_s,
        known.clock_off_s,
        known.presence,
        known.state,
        None if known.telemetry is None else known.telemetry.health,
    )


def device_line(line: Line) -> DeviceLine:
    return DeviceLine(
        line.name,
        line.level,
        tuple(Worry(each.kind, each.weight, each.words) for each in line.concerns),
        line.is_online,
        line.board,
        line.groups,
        _pipelines(line),
        line.fps,
        line.p50_us,
        line.p95_us,
        line.p99_us,
        line.hottest_c,
        line.heard_s,
        line.reached_s,
        line.lost,
    )


def _pipelines(line: Line) -> tuple[PipelineLine, ...]:
    return tuple(
        PipelineLine(
            each.pipeline,
            each.phase,
            each.model,
            each.version,
            each.digest,
            each.engine,
            each.restarts,
            None if each.update is None else each.update.phase,
            each.fps,
            each.p50_us,
            each.p95_us,
            each.p99_us,
        )
        for each in line.pipelines
    )


ROUTES = (Route("viewer", devices), Route("viewer", device))
