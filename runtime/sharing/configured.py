"""Which pipelines share a camera, and the camera of one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.cameras import Camera, make_camera, options
from runtime.cameras.patient import PatientCamera
from runtime.cameras.shared_uri import in_folder, parse
from runtime.loop import Result
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import make_shareable, shared
from wire.config import Config
from wire.consistency import shared_pipeline
from wire.troubles import Refused

GUESTS = 1  # readers more than are configured: somebody who looks by hand
BY_HAND = 3  # readers of `vedette run --share`


def readers_of(config: Config, name: str) -> int:
    """How many other pipelines are configured to read this one's camera."""
    return sum(shared_pipeline(one.camera) == name for one in config.pipeline.values())


@contextmanager
def service_camera(config: Config, name: str, run_folder: Path) -> Iterator[Camera]:
    """The camera of a pipeline, not yet started; shared if another pipeline names it. One that is
    missing is reported absent. Raises Refused."""
    uri = config.pipeline[name].camera
    readers = readers_of(config, name)
    camera = make_camera(in_folder(uri, run_folder))
    if not readers:
        yield PatientCamera(camera)
        return
    others = [one.camera for one in config.pipeline.values()]
    cascades = sum(shared_pipeline(one) == name and parse(one).crop is not None for one in others)
    readers += GUESTS
    check_pace(uri)
    make_shareable(camera, readers, cascades)
    with shared(PatientCamera(camera), name, run_folder, readers) as own:
        yield own


@contextmanager
def camera_by_hand(uri: str, share: str | None, run_folder: Path) -> Iterator[Camera]:
    """The camera that a user names, not yet started. share: as which pipeline it is shared.
    Raises Refused."""
    camera = make_camera(in_folder(uri, run_folder))
    if share is None:
        yield camera
        return
    check_pace(uri)
    make_shareable(camera, BY_HAND, 1)
    with shared(camera, share, run_folder, BY_HAND) as own:
        yield own


def offering(camera: Camera) -> Callable[[Result], None]:
    """What gives each result of a shared camera's owner to those who look at it more closely."""
    return camera.offer if isinstance(camera, OwnCamera) else nobody


def nobody(result: Result) -> None:
    """Takes what a camera found that nobody shares."""


def check_pace(uri: str) -> None:
    """Raises Refused for a camera that cannot be shared: one without times of its own would be
    read as fast as the processor can, and one that is shared already has another owner."""
    kind, _, rest = uri.partition("://")
    if kind == "pipeline":
        raise Refused(f"{uri}: is another pipeline's camera: those who want it name that pipeline")
    if kind == "synthetic" and "@" not in rest.partition("?")[0]:
        raise Refused(f"{uri}: to be shared it needs a rate: write @30 behind its size")
    if kind == "file" and options.parse(uri, ("pace", "loop")).given.get("pace", "fast") == "fast":
        raise Refused(f"{uri}: to be shared it needs a pace of its own: add pace=real, or pace=10")
