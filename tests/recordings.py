"""Recordings made on the spot: every picture shows its own number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

BITS = 10


def numbered(number: int, width: int = 640, height: int = 480) -> Picture:
    """A smooth BGR picture whose top half shows `number` as black and white bars."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.linspace(40, 200, width, dtype=np.uint8)[None, :, None]
    for bit in range(BITS):
        bar = slice(width * bit // BITS, width * (bit + 1) // BITS)
        picture[: height // 2, bar] = 255 if number >> bit & 1 else 0
    return picture


def number_of(pixels: Picture) -> int:
    """The number that a picture of `numbered` shows, at any size."""
    height, width = pixels.shape[:2]
    row = pixels[height // 4]
    return sum(int(row[width * (2 * bit + 1) // (2 * BITS), 0] > 127) << bit for bit in range(BITS))


def write_video(
    path: Path, code: str, count: int, size: tuple[int, int] = (640, 480), fps: float = 30.0
) -> Path:
    """A video. code: four letters, such as MJPG or mp4v."""
    fourcc = int.from_bytes(code.encode("ascii"), "little")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
    assert writer.isOpened(), f"this OpenCV writes no {code}"
    for number in range(count):
        writer.write(numbered(number, *size))
    writer.release()
    return path


def write_pictures(folder: Path, names: list[str], size: tuple[int, int] = (640, 480)) -> Path:
    """Picture files with these names, numbered in this order."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered(number, *size))
    return folder
