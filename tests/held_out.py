"""Pictures of held-out digits as files: a folder such as an operator has, drawn by the camera."""

from __future__ import annotations

from pathlib import Path

import cv2

from runtime.cameras import open_camera

CLASSIFY = "synthetic://160x120?format=BGR3&seed=7"
DETECT = "synthetic://320x240?format=BGR3&digits=3&seed=7"


def draw(folder: Path, count: int, uri: str = CLASSIFY, ending: str = ".png") -> Path:
    """Write `count` frames of the synthetic camera into a new folder."""
    folder.mkdir(parents=True)
    with open_camera(uri) as camera:
        for number in range(count):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                assert cv2.imwrite(str(folder / f"{number:03}{ending}"), frame.pixels.copy())
    return folder
