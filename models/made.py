"""How a model was made: inputs, steps, tools and options, so that anybody can make it again."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Line = Annotated[str, Meta(max_length=300)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Origin(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that went in. file: its name, not where it lay. sha256: of its bytes; of a folder,
    of the names and digests of all files in it."""

    role: Line
    file: Line
    sha256: Sha256


class Made(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Written by `vedette model convert`. No device looks at it.

    by: what made it. options: as they were in force, defaults included. tools: packages and their
    versions. steps: what was done, in order.
    """

    by: Line
    origins: Annotated[tuple[Origin, ...], Meta(max_length=64)] = ()
    options: Annotated[dict[Line, Line], Meta(max_length=64)] = {}
    tools: Annotated[dict[Line, Line], Meta(max_length=64)] = {}
    steps: Annotated[tuple[Line, ...], Meta(max_length=256)] = ()
