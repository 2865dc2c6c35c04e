"""`pipeline://NAME?run=FOLDER`: the camera of another pipeline on this device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runtime.cameras import options
from wire.folders import usual_run_folder
from wire.names import NAME_PATTERN

KIND = "pipeline:"


@dataclass(frozen=True)
class Source:
    """A parsed URI. run: the folder with the sockets."""

    uri: str
    pipeline: str
    run: Path


def parse(uri: str) -> Source:
    """Raises Refused for a URI that cannot be meant."""
    address = options.parse(uri, ("run",))
    name = address.place.rstrip("/")
    if not re.match(NAME_PATTERN, name):
        raise address.refused("names no pipeline: write pipeline://NAME, a [pipeline.NAME]")
    return Source(uri, name, Path(address.given.get("run") or usual_run_folder()))


def in_folder(uri: str, run_folder: Path) -> str:
    """The same camera; where it is another pipeline's, found by the sockets in `run_folder`."""
    if not uri.startswith(KIND) or "run" in options.parse(uri, ("run",)).given:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}run={quote(str(run_folder))}"
