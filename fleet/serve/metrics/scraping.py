"""/metrics: what a Prometheus asks for, in the format that it takes."""

from __future__ import annotations

import threading
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from fleet.serve.metrics import protobuf, text
from fleet.serve.metrics.gathering import each_device, whole
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of

Per = Annotated[Literal["device", "fleet"], QueryParameter(description="fleet: no devices")]
_ONE_AT_A_TIME = threading.Lock()
NATIVE = "application/vnd.google.protobuf"


@get("/metrics", sync_to_thread=True)
def metrics(request: Request[Any, Any, State], per: Per = "device") -> Response[bytes]:
    """Everything, or (per=fleet) the whole without each device."""
    parts = parts_of(request)
    parts.meter.is_wanted = True
    form = protobuf if NATIVE in request.headers.get("accept", "") else text
    with _ONE_AT_A_TIME:  # of a large fleet it is large
        sight = parts.live.sight
        families = whole(sight, parts.crew.states(), parts.meter)
        if per == "device":
            families += each_device(sight)
        return Response(form.exposed(families), media_type=form.KIND)


ROUTES = (Route("viewer", metrics),)
