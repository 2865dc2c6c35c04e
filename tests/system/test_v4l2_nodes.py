"""Which device nodes are cameras, and what `vedette cameras` and `vedette run` say of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from runtime.cameras import open_camera
from runtime.cameras.v4l2 import V4l2Camera
from runtime.cameras.v4l2_list import probe, survey
from tests.system import vivid
from wire.troubles import Refused

pytestmark = [
    pytest.mark.skipif(not vivid.there(), reason="no vivid driver here: use scripts/vm-test"),
    pytest.mark.slow,
]

# capture, output, metadata in and out, touch: as many kinds of node as one driver can make
EVERY_KIND = "node_types=0xe0101"
MULTIPLANAR = "multiplanar=2"


@pytest.fixture(scope="module")
def many_nodes() -> Iterator[None]:
    with vivid.reloaded(EVERY_KIND, MULTIPLANAR):
        yield


def vedette(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vedette", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it said on stderr, but for numpy's wonder about an emulated processor."""
    return [line for line in done.stderr.splitlines() if "OpenBLAS WARNING" not in line]


@pytest.mark.usefixtures("many_nodes")
def test_only_cameras_are_listed() -> None:
    assert len(vivid.cards()) >= 5
    assert [listed.node for listed in survey()] == [vivid.NODE]


@pytest.mark.usefixtures("many_nodes")
def test_another_node_is_refused_as_no_camera() -> None:
    others = [node for node in vivid.cards() if node != vivid.NODE]
    for node in others:
        with pytest.raises(Refused, match="is no camera"), open_camera(f"v4l2://{node}"):
            pass


@pytest.mark.usefixtures("many_nodes")
@pytest.mark.parametrize("code", ["YUYV", "NV12", "GREY", "BGR3"])
def test_a_multiplanar_camera_with_one_plane_streams(code: str) -> None:
    uri = f"v4l2://{vivid.NODE}?size=320x180&format={code}"
    with open_camera(uri) as camera:
        assert isinstance(camera, V4l2Camera)
        last = -1
        for _ in range(10):
            frame = camera.read(5.0)
            assert frame is not None
            with frame:
                assert frame.seq > last and frame.pixels.any()
                address = frame.pixels.ctypes.data
                assert any(first <= address < end for first, end in vivid.mapped())
                last = frame.seq
    assert vivid.mapped() == []


def test_cameras_lists_what_to_type() -> None:
    done = vedette("cameras")
    assert (done.returncode, complaints(done)) == (0, [])
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["v4l2:///dev/video0", "vivid", "(vivid,", "platform:vivid-000)"]
    assert "    YUYV  320x180@60, 640x360@40, 640x480@25" in done.stdout
    assert f"also {vivid.BY_PATH}" in done.stdout
    assert "synthetic://640x480@30" in done.stdout


def test_cameras_as_json() -> None:
    camera = json.loads(vedette("cameras", "--json").stdout)["cameras"][0]
    assert camera["uri"] == "v4l2:///dev/video0" and camera["works"] is True
    small = {"format": "NV12", "known": True, "width": 320, "height": 180}
    offer = next(offer for offer in camera["offers"] if small.items() <= offer.items())
    assert max(offer["fps"]) == 60
    assert any(not offer["known"] for offer in camera["offers"])


def test_the_probe_takes_a_frame() -> None:
    assert [(one.name, one.works) for one in probe()] == [("v4l2:///dev/video0", True)]
    with open_camera(f"v4l2://{vivid.NODE}"):
        (busy,) = probe()
    assert not busy.works and "in use by another program" in busy.reason


@pytest.mark.parametrize(
    ("camera", "code", "says"),
    [
        ("v4l2:///dev/video77", 1, "there is no camera at /dev/video77"),
        ("v4l2:///dev/video0?size=1x1", 2, "it offers 320x180"),
        ("v4l2:///dev/video0?speed=9", 2, "there is no option 'speed'"),
    ],
)
def test_bad_requests_end_in_one_line(camera: str, code: int, says: str) -> None:
    done = vedette("run", "--camera", camera, "--model", "digits", "--frames", "1")
    (complaint,) = complaints(done)
    assert done.returncode == code and says in complaint


def test_runs_a_model_on_the_camera() -> None:
    camera = f"v4l2://{vivid.NODE}?size=320x180"
    done = vedette("run", "--camera", camera, "--model", "digits", "--frames", "8", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["frames"] == 8
