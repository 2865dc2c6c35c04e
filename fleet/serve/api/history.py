"""What devices and the fleet counted over time. Percentiles come of merged histograms."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec.structs import asdict

from fleet.registry.words import Gap, Scope, Span, Stretch, Vital
from fleet.serve.api.asking import (
    MISHAPS,
    NAME,
    SPAN,
    ApiRequest,
    DeviceName,
    Names,
    Text,
    known_of,
)
from fleet.serve.api.words import Stages, StretchLine, latency
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of
from wire.messages import StageCounts
from wire.troubles import Refused

Most = Annotated[int, QueryParameter(ge=1, le=2000, description="stretches at most")]
Pipeline = Annotated[str, QueryParameter(min_length=1, max_length=64)]


@get(
    "/api/v1/devices/{name:str}/windows", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN
)
def windows(
    request: ApiRequest,
    name: DeviceName,
    pipeline: Pipeline,
    span: NamedDependency[Span],
    most: Most = 400,
    histograms: FromQuery[bool] = False,
) -> list[StretchLine]:
    """What a pipeline counted, in stretches of one length that fits the time."""
    known = known_of(request, name)
    registry = parts_of(request).registry
    found = registry.windows(known.name, checked(pipeline), span, most)
    return [stretch_line(each, histograms) for each in found]


@get("/api/v1/devices/{name:str}/vitals", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN)
def vitals(
    request: ApiRequest, name: DeviceName, span: NamedDependency[Span], most: Most = 400
) -> list[Vital]:
    """How the board was: temperature, processor, memory, disk, and why it was slowed down."""
    known = known_of(request, name)
    return list(parts_of(request).registry.vitals(known.name, span, most))


@get("/api/v1/devices/{name:str}/gaps", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN)
def gaps(request: ApiRequest, name: DeviceName, span: NamedDependency[Span]) -> list[Gap]:
    """Records that never came."""
    known = known_of(request, name)
    return list(parts_of(request).registry.gaps(known.name, span))


@get("/api/v1/latency", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN)
def latency_over(
    request: ApiRequest,
    span: NamedDependency[Span],
    device: Names = None,
    pipeline: Text = None,
    model: Text = None,
    version: Text = None,
    histograms: FromQuery[bool] = False,
) -> Stages:
    """Every stage over any devices (device=NAME, as often as wanted; none: all) and time."""
    for name in device or ():
        check_was_heard(request, name)
    scope = Scope(device or None, pipeline or None, model or None, version or None)
    return _stages(parts_of(request).registry.latency(span, scope), histograms)


@get("/api/v1/series", sync_to_thread=True, responses=MISHAPS, dependencies=SPAN)
def series(
    request: ApiRequest,
    span: NamedDependency[Span],
    pipeline: Text = None,
    model: Text = None,
    version: Text = None,
    most: Most = 200,
    histograms: FromQuery[bool] = False,
) -> list[StretchLine]:
    """The whole fleet over time, by model version."""
    scope = Scope(None, pipeline or None, model or None, version or None)
    found = parts_of(request).registry.series(span, scope, most)
    return [stretch_line(each, histograms) for each in found]


def stretch_line(stretch: Stretch, with_counts: bool) -> StretchLine:
    return StretchLine(
        stretch.start_s,
        stretch.seconds,
        stretch.model,
        stretch.version,
        stretch.frames,
        stretch.fps,
        stretch.losses,
        stretch.restarts,
        _stages(stretch.stages, with_counts),
    )


def _stages(stages: StageCounts, with_counts: bool) -> Stages:
    return {stage: latency(counts, with_counts) for stage, counts in asdict(stages).items()}


def check_was_heard(request: ApiRequest, name: str) -> None:
    """Raises Refused: this is no name of a device. NotFoundException."""
    if NAME.match(name) is None:
        raise Refused("device: a device's name has 1 to 64 of A-Z, a-z, 0-9, _ and -")
    if name not in parts_of(request).live.sight.by_name:
        known_of(request, name)


def checked(pipeline: str) -> str:
    """Raises Refused: no pipeline is called so."""
    if NAME.match(pipeline) is None:
        raise Refused("pipeline: a name has 1 to 64 of A-Z, a-z, 0-9, _ and -")
    return pipeline


ROUTES = (
    Route("viewer", windows),
    Route("viewer", vitals),
    Route("viewer", gaps),
    Route("viewer", latency_over),
    Route("viewer", series),
)
