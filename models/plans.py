"""TensorRT plans that a model brings along: each is for one kind of device, and for exactly that.

A plan is native code: a device takes one from a signed bundle and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from wire.complaints import FLAT_NAME_PATTERN
from wire.names import Digest


@dataclass(frozen=True)
class Key:
    """What a plan depends on. model: sha256 of the model file. shape: of the input, as the manifest
    declares it; () if none does. tensorrt: package and version. architecture: "sm_87". l4t: the
    release of a Jetson's system, "" elsewhere."""

    model: str
    shape: tuple[int, ...]
    tensorrt: str
    architecture: str
    l4t: str


class Plan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One plan in the bundle, and the key of the device that may run it."""

    file: Annotated[str, Meta(pattern=FLAT_NAME_PATTERN)]
    model: Digest
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=8192)], ...], Meta(max_length=8)]
    tensorrt: Annotated[str, Meta(min_length=1, max_length=64)]
    architecture: Annotated[str, Meta(min_length=1, max_length=64)]
    l4t: Annotated[str, Meta(max_length=64)] = ""

    @property
    def key(self) -> Key:
        return Key(self.model, self.shape, self.tensorrt, self.architecture, self.l4t)


def plan_for(plans: Iterable[Plan], key: Key) -> Plan | None:
    """The plan that is exactly for this key, if there is one: one that is nearly, is none."""
    return next((plan for plan in plans if plan.key == key), None)
