"""The V4L2 cameras of this machine: what each offers, and whether a frame really comes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import quote

from runtime.cameras.v4l2 import make
from runtime.cameras.v4l2_choice import FORMATS, Offer, unusable
from runtime.cameras.v4l2_device import identify, links, nodes, open_node, read_offers
from runtime.probe import Probe
from wire.troubles import Refused, Trouble

FIRST_FRAME_S = 3.0  # a webcam that wakes up takes one second


@dataclass(frozen=True)
class Listed:
    """One camera. names: other paths of it, which stay the same when it is plugged in again.

    trouble: why it cannot be used, in one line with what to do, as far as can be told without
    starting it; None otherwise.
    """

    node: str
    card: str
    driver: str
    bus: str
    names: tuple[str, ...]
    offers: tuple[Offer, ...]
    trouble: str | None

    @property
    def uri(self) -> str:
        return f"v4l2://{quote(self.node)}"

    @property
    def known(self) -> tuple[Offer, ...]:
        """The offers that can be used, cheapest format first."""
        able = [offer for offer in self.offers if offer.format in FORMATS]
        return tuple(sorted(able, key=lambda offer: FORMATS.index(offer.format)))


def survey() -> list[Listed]:
    """Every camera that is there now, busy or not. Nodes that are no cameras (metadata, encoders,
    image processors) are left out."""
    found = []
    for node in nodes():
        try:
            found.append(_look_at(node))
        except Refused:
            continue
        except (Trouble, OSError) as error:
            found.append(Listed(node, "", "", "", (), (), str(error)))
    return found


def _look_at(node: str) -> Listed:
    fd = open_node(node)
    try:
        card = identify(fd, node)
        offers = tuple(read_offers(fd, card.kind))
    finally:
        os.close(fd)
    able = any(offer.format in FORMATS for offer in offers)
    trouble = None if able else f"it offers no format that can be used: {unusable(offers)}"
    return Listed(node, card.card, card.driver, card.bus, tuple(links(node)), offers, trouble)


def probe() -> list[Probe]:
    """Start every V4L2 camera in turn and wait for a frame of it: for `vedette doctor`."""
    there = survey()
    if not there:
        return [Probe("v4l2", False, "no camera at /dev/video*: plug one in")]
    return [tried(listed) for listed in there]


def tried(listed: Listed) -> Probe:
    """Start one camera and wait for a frame of it."""
    if listed.trouble is not None:
        return Probe(listed.uri, False, listed.trouble)
    camera = make(listed.uri)
    try:
        camera.start()
        frame = camera.read(FIRST_FRAME_S)
        if frame is not None:
            frame.release()
            return Probe(listed.uri, True, camera.describe())
        reason = camera.absent or f"it starts, but sends no frame in {FIRST_FRAME_S:g} s"
        return Probe(listed.uri, False, reason)
    except Trouble as trouble:
        return Probe(listed.uri, False, str(trouble))
    finally:
        camera.stop()
