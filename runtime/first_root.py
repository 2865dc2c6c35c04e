"""Is this the signed file with which a device's trust can begin? Looked at, not believed."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

import msgspec
from msgspec import Struct

LARGEST = 512_000  # bytes


class Root(Struct, frozen=True, tag="root", tag_field="_type"):
    """What is signed: as much as can be judged without its keys."""

    version: int
    expires: datetime


class Metadata(Struct, frozen=True):
    signed: Root
    signatures: tuple[dict[str, Any], ...]


def complaint_about(path: str) -> str | None:
    """What is wrong with the file and what to do, or None. It may have expired: newer ones follow
    from it."""
    try:
        if not os.path.isfile(path):
            return f"{path}: there is no such file: copy the fleet's root.json there"
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    try:
        if len(content) > LARGEST:
            raise msgspec.ValidationError("it is far too large")
        metadata = msgspec.json.decode(content, type=Metadata)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return f"{path}: is no root metadata ({error}): copy the fleet's root.json there"
    if not metadata.signatures:
        return f"{path}: nobody has signed it: copy the fleet's root.json there"
    return None


def described(path: str) -> str:
    """For people: which root it is."""
    if complaint_about(path) is not None:
        return path
    with open(path, "rb") as file:
        root = msgspec.json.decode(file.read(), type=Metadata).signed
    until = root.expires.astimezone(timezone.utc)
    return f"root {root.version} ({path}, until {until:%Y-%m-%d})"
