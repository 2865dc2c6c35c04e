"""What was heard, read: before a transaction, since it is most of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.registry.measured import Measured, measured
from fleet.registry.naming import Release, is_name, short
from fleet.registry.packed import pack
from fleet.registry.words import Heard
from wire.happenings import Passage
from wire.messages import Event, Presence, State, Telemetry, Window, parse
from wire.troubles import Refused

MOST = 1 << 40  # of what is counted: sums of it stay exact
MOST_S = 1e7  # of one window
MOST_PIPELINES = 64  # of one device


@dataclass(frozen=True)
class Cut:
    """A window, ready to be stored. counted: seconds, frames, four losses, restarts, histograms.
    passed: what tracks did."""

    pipeline: str
    release: Release
    counted: tuple[float, int, int, int, int, int, int, bytes]
    passed: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Said:
    """A message that can be read. message: None: a retained one was taken away."""

    heard: Heard
    message: Presence | State | Telemetry | Event | None
    cuts: tuple[Cut, ...] = ()
    vital: Measured | None = None


@dataclass(frozen=True)
class Reading:
    """Of a batch. why: of one that was refused."""

    said: tuple[Said, ...]
    refused: int
    why: str | None


def read(heard: Sequence[Heard]) -> Reading:
    said: list[Said] = []
    refused, why = 0, None
    for each in heard:
        try:
            said.append(_read(each))
        except Refused as error:
            refused, why = refused + 1, f"{each.device[:64]}, {each.kind}: {error}"
    return Reading(tuple(said), refused, why)


def _read(heard: Heard) -> Said:
    if not is_name(heard.device):
        raise Refused("that is no name of a device")
    if heard.kind == "telemetry":
        record = parse(heard.payload, Telemetry)
        if len(record.pipelines) > MOST_PIPELINES or not all(map(is_name, record.pipelines)):
            raise Refused("pipelines have other names, and are not so many")
        cuts = tuple(_cut(name, window) for name, window in record.pipelines.items())
        return Said(heard, record, cuts, measured(record))
    if heard.kind == "event":
        return Said(heard, parse(heard.payload, Event))
    if not heard.payload:
        return Said(heard, None)
    if heard.kind == "presence":
        return Said(heard, parse(heard.payload, Presence))
    return Said(heard, parse(heard.payload, State))


def _cut(pipeline: str, window: Window) -> Cut:
    losses = window.losses
    counts = (losses.skipped, losses.driver, losses.decode, losses.refused, window.restarts)
    skipped, driver, decode, refused, restarts = (min(count, MOST) for count in counts)
    return Cut(
        pipeline,
        (short(window.model), short(window.version)),
        (
            max(0.0, min(MOST_S, window.seconds)),
            min(window.frames, MOST),
            skipped,
            driver,
            decode,
            refused,
            restarts,
            pack(window.stages),
        ),
        window.places.passed if window.places else (),
    )
