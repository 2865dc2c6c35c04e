"""`pipeline://NAME`: the camera of another pipeline on this device.

`?crop=person,car&min_score=0.5&most=4&margin=0.1`: what that pipeline finds, each box as a frame of
its own; `crop=*`: whatever it is. `run=FOLDER`: where the sockets are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runtime.cameras import options
from runtime.sharing.crops import Crop
from runtime.sharing.packets import MOST_BOXES, Choice
from wire.folders import usual_run_folder
from wire.names import NAME_PATTERN

KIND = "pipeline:"
KEYS = ("crop", "min_score", "most", "margin", "run")
MOST_LABELS, LONGEST_LABEL = 64, 200
MARGIN = 0.1


@dataclass(frozen=True)
class Source:
    """A parsed URI. run: the folder with the sockets. crop: None: whole frames."""

    uri: str
    pipeline: str
    run: Path
    crop: Crop | None


def parse(uri: str) -> Source:
    """Raises Refused for a URI that cannot be meant."""
    address = options.parse(uri, KEYS)
    name = address.place.rstrip("/")
    if not re.match(NAME_PATTERN, name):
        raise address.refused("names no pipeline: write pipeline://NAME, a [pipeline.NAME]")
    run = Path(address.given.get("run") or usual_run_folder())
    return Source(uri, name, run, _crop(address))


def _crop(address: options.Address) -> Crop | None:
    if "crop" not in address.given:
        for key in ("min_score", "most", "margin"):
            if key in address.given:
                raise address.refused(f"{key} is of crops: say of what, crop=LABEL,LABEL or crop=*")
        return None
    words = address.given["crop"].split(",")
    if not all(words) or len(words) > MOST_LABELS or max(map(len, words)) > LONGEST_LABEL:
        raise address.refused("crop= wants labels with commas between, or * for all")
    most = address.number("most", 1, MOST_BOXES) or 4.0
    if not most.is_integer():
        raise address.refused(f"most={most:g} is no whole number")
    labels = () if words == ["*"] else tuple(words)
    least, margin = address.number("min_score", 0, 1), address.number("margin", 0, 2)
    choice = Choice(labels, least or 0.0, int(most))
    return Crop(choice, MARGIN if margin is None else margin)


def in_folder(uri: str, run_folder: Path) -> str:
    """The same camera; where it is another pipeline's, found by the sockets in `run_folder`.
    Raises Refused, before there is anything in it that nobody wrote."""
    if not uri.startswith(KIND):
        return uri
    parse(uri)
    if "run" in options.parse(uri, KEYS).given:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}run={quote(str(run_folder))}"
