"""The fleet as a whole, what it runs, and how this server is."""

from __future__ import annotations

from litestar import get

from fleet.live.summary import Summary
from fleet.registry.words import Sizes
from fleet.serve.api.asking import MISHAPS, ApiRequest
from fleet.serve.api.words import PartLine, RunningModel
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of


@get("/api/v1/summary", sync_to_thread=True, responses=MISHAPS)
def summary(request: ApiRequest) -> Summary:
    """The fleet in a few numbers: who needs somebody and why, how fast it is, what it runs."""
    return parts_of(request).live.sight.summary


@get("/api/v1/models", sync_to_thread=True, responses=MISHAPS)
def models(request: ApiRequest) -> list[RunningModel]:
    """Which model versions run now, those of most pipelines first."""
    found = []
    for release in parts_of(request).live.sight.summary.releases:
        model, _, version = release.name.partition(" ")
        found.append(RunningModel(model, version, release.count, release.trial))
    return found


@get("/api/v1/parts", sync_to_thread=True, responses=MISHAPS)
def parts(request: ApiRequest) -> list[PartLine]:
    """How the parts of this server are."""
    return [
        PartLine(each.name, each.status, each.words, each.since_s)
        for each in parts_of(request).crew.states()
    ]


@get("/api/v1/sizes", sync_to_thread=True, responses=MISHAPS)
def sizes(request: ApiRequest) -> Sizes:
    """What the registry takes, by table."""
    return parts_of(request).registry.sizes()


ROUTES = (
    Route("viewer", summary),
    Route("viewer", models),
    Route("viewer", parts),
    Route("viewer", sizes),
)
