"""Stands for the module `libcamera` of a Raspberry Pi, as far as it is used: names and values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace


@dataclass(frozen=True)
class Transform:
    hflip: int = 0
    vflip: int = 0


@dataclass(frozen=True)
class ColorSpace:
    name: str

    @classmethod
    def Smpte170m(cls) -> ColorSpace:
        return cls("SMPTE170M")


class AfModeEnum(IntEnum):
    Manual = 0
    Auto = 1
    Continuous = 2


controls = SimpleNamespace(AfModeEnum=AfModeEnum)
