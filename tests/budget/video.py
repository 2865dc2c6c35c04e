"""A 1280x720 MJPEG video of the synthetic scene: what a cheap webcam would send."""

from __future__ import annotations

from pathlib import Path

import cv2

from runtime.cameras import open_camera


def write_mjpeg(path: Path, frames: int) -> None:
    """Write an AVI file."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (1280, 720))
    with open_camera("synthetic://1280x720?digits=6&format=BGR3") as camera:
        for _ in range(frames):
            frame = camera.read(5)
            assert frame is not None
            with frame:
                writer.write(frame.pixels)
    writer.release()
