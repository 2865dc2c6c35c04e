"""Which pipelines share a camera, and the camera of one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.cameras import ROWS, Camera, make_camera, options
from runtime.cameras.patient import PatientCamera
from runtime.cameras.shared_uri import in_folder, parse
from runtime.loop import Model, Result
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import make_shareable, shared
from wire.config import Config
from wire.consistency import shared_pipeline
from wire.folders import usual_run_folder
from wire.masking import masked
from wire.troubles import Refused, Unavailable

GUESTS = 1  # readers more than are configured: somebody who looks by hand
BY_HAND = 3  # readers of `vedette run --share`


@dataclass(frozen=True)
class Demand:
    """The pipelines that are configured to read another one's camera, and those of them that look
    closely at what it finds."""

    readers: frozenset[str]
    cascades: frozenset[str]


def demand_for(config: Config, name: str) -> Demand:
    """For this pipeline's camera."""
    cameras = {one: pipeline.camera for one, pipeline in config.pipeline.items()}
    readers = {one: uri for one, uri in cameras.items() if shared_pipeline(uri) == name}
    cascades = (one for one, uri in readers.items() if _is_cascade(uri))
    return Demand(frozenset(readers), frozenset(cascades))


def _is_cascade(uri: str) -> bool:
    try:
        return parse(uri).crop is not None
    except Refused:  # by that pipeline's own service; the owner's goes on without it
        return False


def unprepared(started: Demand, wanted: Demand) -> list[str]:
    """Pipelines for which an owner that was started for others has no room prepared."""
    return sorted((wanted.readers - started.readers) | (wanted.cascades - started.cascades))


@contextmanager
def service_camera(config: Config, name: str, run_folder: Path) -> Iterator[Camera]:
    """The camera of a pipeline, not yet started; shared if another pipeline names it. One that is
    missing is reported absent. Raises Refused."""
    uri = config.pipeline[name].camera
    demand = demand_for(config, name)
    camera = make_camera(in_folder(uri, run_folder))
    if not demand.readers:
        yield PatientCamera(camera)
        return
    readers = len(demand.readers) + GUESTS
    check_pace(uri)
    make_shareable(camera, readers, len(demand.cascades))
    with shared(PatientCamera(camera), name, run_folder, readers) as own:
        yield own


@contextmanager
def camera_by_hand(uri: str, share: str | None, run_folder: Path) -> Iterator[Camera]:
    """The camera that a user names, not yet started. share: as which pipeline it is shared.
    Raises Refused, and Unavailable where it cannot be shared: nobody would wait for that."""
    camera = make_camera(in_folder(uri, run_folder))
    if share is None:
        yield camera
        return
    check_pace(uri)
    if run_folder != usual_run_folder() and not run_folder.is_dir():
        raise Unavailable(f"--run {run_folder}: there is no such folder: make it, or name another")
    make_shareable(camera, BY_HAND, 1)
    with shared(camera, share, run_folder, BY_HAND, insist=True) as own:
        yield own


def offering(camera: Camera, model: Callable[[], Model]) -> Callable[[Result], None]:
    """What gives each result of a shared camera's owner to those who look at it more closely.
    model: the loop's, when it has found something."""
    if not isinstance(camera, OwnCamera):
        return nobody
    told = ""

    def offer(result: Result) -> None:
        nonlocal told
        if result.digest != told:
            told = result.digest
            camera.say_model(model())
        camera.offer(result)

    return offer


def nobody(result: Result) -> None:
    """Takes what a camera found that nobody shares."""


def check_pace(uri: str) -> None:
    """Raises Refused for a camera that cannot be shared: one without times of its own would be
    read as fast as the processor can, and one that is shared already has another owner."""
    kind, _, rest = uri.partition("://")
    if kind == "pipeline":
        raise Refused(f"{uri}: is another pipeline's camera: those who want it name that pipeline")
    if uri.startswith(ROWS):
        raise Refused(
            f"{masked(uri)}: rows are not shared: each pipeline names their source itself"
        )
    if kind == "synthetic" and "@" not in rest.partition("?")[0]:
        raise Refused(f"{uri}: to be shared it needs a rate: write @30 behind its size")
    if kind == "file" and options.parse(uri, ("pace", "loop")).given.get("pace", "fast") == "fast":
        raise Refused(f"{uri}: to be shared it needs a pace of its own: add pace=real, or pace=10")
