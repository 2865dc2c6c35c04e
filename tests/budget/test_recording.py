"""Decoding runs beside inference: a video costs hardly more than the slower of the two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.budget.bill import at_most, bill, mobilenet, ssd
from tests.budget.video import write_mjpeg

ROOM = 0.05  # for a machine that is shared
pytestmark = pytest.mark.budget


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize("model", [mobilenet, ssd], ids=["mobilenet", "ssd"])
def test_mjpeg_720p(model: object, tmp_path: Path) -> None:
    assert callable(model)
    write_mjpeg(tmp_path / "720p.avi", frames=60)
    camera = f"file://{tmp_path}/720p.avi?loop=yes"
    at_most(1.15 + ROOM, lambda: bill(model(), camera, 150)["flow"]["ratio"])
