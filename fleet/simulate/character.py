"""What one simulated device is like: made up from its name, so that it is the same every time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Kind:
    """A board, and how it fares. fps, inference_us: as its camera and its model usually are."""

    board: str
    engine: str
    fps: float
    inference_us: float
    sensor: str
    idle_c: float
    hot_c: float  # where it is slowed down
    clock_mhz: float
    memory_bytes: int


@dataclass(frozen=True)
class Character:
    """warmth_c: how much warmer than usual its place is. slowness: of its model, 1 is usual.
    skips: share of the frames that are overtaken. is_weak: its power supply is. is_frail: now and
    then something about it fails. place: 0 to 1, so that not all do the same at one time.
    runs_newest: whether it has the newer of two models."""

    kind: Kind
    groups: tuple[str, ...]
    warmth_c: float
    slowness: float
    skips: float
    is_weak: bool
    is_frail: bool
    place: float
    runs_newest: bool


PI_5 = Kind(
    "Raspberry Pi 5 Model B Rev 1.0", "litert", 30.0, 9_500.0, "cpu-thermal", 52.0, 80.0, 2400.0,
    8 * GIB,
)  # fmt: skip
PI_4 = Kind(
    "Raspberry Pi 4 Model B Rev 1.4", "litert", 30.0, 24_000.0, "cpu-thermal", 54.0, 80.0, 1800.0,
    4 * GIB,
)  # fmt: skip
ZERO_2 = Kind(
    "Raspberry Pi Zero 2 W Rev 1.0", "litert", 10.0, 62_000.0, "cpu-thermal", 51.0, 80.0, 1000.0,
    GIB // 2,
)  # fmt: skip
ORIN = Kind(
    "NVIDIA Jetson Orin Nano Developer Kit", "tensorrt", 60.0, 3_200.0, "cpu-thermal", 48.0, 97.0,
    1510.0, 8 * GIB,
)  # fmt: skip
PC = Kind("OptiPlex 3070", "onnxruntime", 30.0, 4_100.0, "coretemp", 44.0, 90.0, 3600.0, 16 * GIB)
KINDS = (PI_5, PI_5, PI_5, PI_5, PI_4, PI_4, PI_4, ZERO_2, ORIN, PC)
GROUPS = ("entrance", "yard", "hall", "gate")
HOT, SLOW, SKIPPING, WEAK, FRAIL, OLD = 0.03, 0.04, 0.06, 0.02, 0.05, 0.15  # shares of a fleet


def character_of(device: str) -> Character:
    """By its name alone."""
    chances = _Chances(device)
    kind = KINDS[int(chances.next() * len(KINDS))]
    place = chances.next()
    warmth_c = 8.0 * chances.next() - 3.0
    if chances.next() < HOT:
        warmth_c += kind.hot_c - kind.idle_c - 6.0
    return Character(
        kind=kind,
        groups=(GROUPS[int(chances.next() * len(GROUPS))],),
        warmth_c=warmth_c,
        slowness=(2.2 if chances.next() < SLOW else 0.9 + 0.2 * place),
        skips=(0.02 + 0.2 * place if chances.next() < SKIPPING else 0.001 * place),
        is_weak=chances.next() < WEAK and kind.board.startswith("Raspberry"),
        is_frail=chances.next() < FRAIL,
        place=place,
        runs_newest=chances.next() >= OLD,
    )


class _Chances:
    """Numbers from 0 to 1 that follow from a name."""

    def __init__(self, name: str) -> None:
        self._bytes = hashlib.sha512(name.encode()).digest()
        self._next = 0

    def next(self) -> float:
        found = int.from_bytes(self._bytes[self._next : self._next + 4], "big") / 2**32
        self._next += 4
        return found
