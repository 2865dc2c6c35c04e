"""What a request to the JSON API may say: names, texts, times and how many."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from fleet.registry.words import Known, Span
from fleet.serve.api.words import Mishap
from fleet.serve.scope import parts_of
from wire.names import NAME_PATTERN
from wire.troubles import Refused, one_line

HOUR_S = 3600.0
LATEST_S = 1e11
NAME = re.compile(NAME_PATTERN)
# PostgreSQL takes no NUL, and nobody looks for one
PLAIN = r"^[^\x00]*$"

Text = Annotated[str | None, QueryParameter(max_length=200, pattern=PLAIN)]
Moment = Annotated[float | None, QueryParameter(ge=0, le=LATEST_S)]
Number = Annotated[int | None, QueryParameter(ge=0, le=2**53)]
DeviceName = Annotated[str, PathParameter(description="of the device")]
Names = Annotated[list[str] | None, QueryParameter(description="devices", max_items=1000)]
ApiRequest = Request[Any, Any, State]

MISHAPS = {
    400: ResponseSpec(Mishap, description="what was asked for makes no sense"),
    401: ResponseSpec(Mishap, description="no session and no token that counts"),
    403: ResponseSpec(Mishap, description="not for this role"),
    404: ResponseSpec(Mishap, description="there is no such thing"),
    503: ResponseSpec(Mishap, description="the database does not answer now"),
}


def span_of(from_s: Moment = None, to_s: Moment = None) -> Span:
    """The stretch of time that is meant: the last hour, if nothing is said. Raises Refused."""
    end_s = time.time() if to_s is None else to_s
    begin_s = max(0.0, end_s - HOUR_S) if from_s is None else from_s
    if not begin_s < end_s:
        raise Refused("from_s comes before to_s")
    return Span(begin_s, end_s)


def maybe_span_of(from_s: Moment = None, to_s: Moment = None) -> Span | None:
    """None: all the time that there is."""
    if from_s is None and to_s is None:
        return None
    end_s = LATEST_S if to_s is None else to_s
    begin_s = 0.0 if from_s is None else from_s
    if not begin_s < end_s:
        raise Refused("from_s comes before to_s")
    return Span(begin_s, end_s)


SPAN = {"span": Provide(span_of, sync_to_thread=False)}
MAYBE_SPAN = {"span": Provide(maybe_span_of, sync_to_thread=False)}


def known_of(request: ApiRequest, name: str) -> Known:
    """The device of a path. Raises NotFoundException."""
    known = parts_of(request).registry.device(name) if NAME.match(name) else None
    if known is None or known.is_removed:
        raise NotFoundException(f"no such device: {one_line(name)[:64]}: none of it was heard")
    return known
