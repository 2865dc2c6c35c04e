"""Made pictures that tell what a preprocessing does: plain colours, slopes and textures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from runtime.frames import Pixels

LANDSCAPE, PORTRAIT = (640, 480), (480, 640)  # width, height
LARGE = (1280, 720)  # shrunk by most: shows how
COLOURS = {
    "black": (0, 0, 0), "white": (255, 255, 255), "middle": (128, 128, 128), "dark": (64, 64, 64),
    "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255),
}  # fmt: skip


@dataclass(frozen=True)
class Probes:
    """All that is shown to a function, by name; uint8 (height, width, 3) RGB."""

    pictures: dict[str, Pixels]

    @property
    def textures(self) -> list[str]:
        return [name for name in self.pictures if name.startswith("texture")]


@cache
def make_probes(seed: int = 0) -> Probes:
    """The same for the same seed."""
    made = {name: plain(colour, LANDSCAPE) for name, colour in COLOURS.items()}
    made |= {f"{name} upright": plain(COLOURS[name], PORTRAIT) for name in ("black", "white")}
    made["across"] = _grey(np.tile(np.linspace(0, 255, LANDSCAPE[0]), (LANDSCAPE[1], 1)))
    made["down"] = _grey(np.tile(np.linspace(0, 255, LANDSCAPE[1])[:, None], (1, LANDSCAPE[0])))
    for number, size in enumerate((LANDSCAPE, PORTRAIT, LARGE)):
        made[f"texture {number}"] = texture(size, seed + number)
    return Probes(made)


def plain(colour: tuple[int, int, int], size: tuple[int, int]) -> Pixels:
    """One colour all over."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


def texture(size: tuple[int, int], seed: int) -> Pixels:
    """Noise whose amplitudes fall as 1 / frequency, as those of photographs do (D. J. Field,
    Relations between the statistics of natural images, 1987); each channel its own."""
    width, height = size
    rng = np.random.default_rng(seed)
    down = np.fft.fftfreq(height)[:, None] * height
    across = np.fft.rfftfreq(width)[None] * width
    falling = 1 / np.maximum(np.hypot(down, across), 1)
    planes = []
    for _ in range(3):
        phases = rng.uniform(0, 2 * np.pi, falling.shape)
        plane = np.fft.irfft2(falling * np.exp(1j * phases), (height, width))
        planes.append(128 + 45 * (plane - plane.mean()) / plane.std())
    return np.ascontiguousarray(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8))


def _grey(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Pixels:
    return np.ascontiguousarray(np.repeat(np.rint(values).astype(np.uint8)[:, :, None], 3, axis=2))
