"""What the options name is judged before minutes go by; what a release takes is let through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from installing import uris
from installing.troubles import Wrong

from runtime.cameras import KINDS, make_camera
from tests.install.systems import INSTALL, bare, install, tree
from wire.mqtt.url import PORTS, address_of
from wire.troubles import Trouble

CAMERAS = [
    "synthetic://640x480", "synthetic://640x480@30?digits=1", "file:///a b/[c]#d.y4m?loop=yes",
    "file://clips/a.y4m", "v4l2:///dev/video0?size=640x480&fps=30", "v4l2://?bus=usb-0000:01:00.0-1",
    "csi://0?size=1280x720&fps=30", "csi://1", "rtsp://camera/1", "rtsp://u:p@[fe80::1]:554/live",
    "rtsps://camera/1", "http://camera", "https://camera:8443/mjpeg#fps=5", "pipeline://door?crop=*",
    "rows:///a/b.csv?rate=5", "rows+synthetic://4@30", "rows+mqtt://broker/shop/scales",
    "rows+mqtts://broker:8883/shop/scales",
]  # fmt: skip


def test_every_kind_is_known() -> None:
    ours = [kind for kind, home in KINDS.items() if home.startswith("runtime.")]  # no twin of tests
    assert sorted(uris.CAMERAS) == sorted(ours)
    assert sorted(uris.BROKERS) == sorted(PORTS)


@pytest.mark.parametrize("uri", CAMERAS)
def test_what_a_runtime_takes_is_let_through(uri: str) -> None:
    try:
        make_camera(uri)
    except Trouble as trouble:  # a package or a board that is not here is no matter of form
        assert type(trouble).__name__ == "Unavailable"
    uris.check_camera(uri)


@pytest.mark.parametrize("form", [*uris.CAMERAS.values(), *uris.BROKERS.values()])
def test_the_example_is_right(form: uris.Form) -> None:
    if form in uris.BROKERS.values():
        address_of(form.example)
        uris.check_broker(form.example)
    else:
        uris.check_camera(form.example)


@pytest.mark.parametrize(
    "uri",
    [
        "", "/dev/video0", "gopher://x", "rtsp:/u:hush@camera", "hush", "synthetic://bad",
        "v4l2://dev/video0", "csi://", "csi://front", "rtsp:///live", "http://", "file://",
        "rows://", "rows+mqtt://broker", "rows+synthetic://few",
    ],
)  # fmt: skip
def test_what_no_camera_can_be_is_said_without_repeating_it(uri: str) -> None:
    with pytest.raises(Wrong, match="--camera") as caught:
        uris.check_camera(uri)
    assert "hush" not in str(caught.value)
    with pytest.raises(Trouble):
        make_camera(uri)


def test_a_broker_may_be_written_in_capitals() -> None:
    address_of("MQTT://Broker")
    uris.check_broker("MQTT://Broker")


@pytest.mark.parametrize("url", ["broker.example", "http://broker", "mqtt://", "mqtts:broker"])
def test_what_no_broker_can_be(url: str) -> None:
    with pytest.raises(Wrong, match="--broker"):
        uris.check_broker(url)


@pytest.mark.parametrize("content", [b"", b"root:x:0:0", b"[1]", b"{}", b"\xff" * 9, b"[" * 99999])
def test_what_is_no_enrolment(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "door.vedette"
    file.write_bytes(content)
    with pytest.raises(Wrong, match=r"door\.vedette is no enrolment.*vedette fleet enroll NAME"):
        uris.check_enrolment(file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--camera", "gopher://x"], "--camera names no camera"),
        (["--camera", "synthetic://bad"], "written as synthetic://640x480@30"),
        (["--camera", "synthetic://64x48", "--broker", "x"], "--broker names no broker"),
        (["--enroll", str(INSTALL)], "is no enrolment"),
    ],
)
def test_it_is_said_before_anything_is_made(tmp_path: Path, words: list[str], said: str) -> None:
    root = bare(tmp_path / "root")
    before = tree(root)
    done = install(root, *words, "--json")
    assert done.returncode == 2
    assert said in json.loads(done.stdout)["trouble"] and said in done.stderr
    assert done.stderr.count("\n") == 1  # not even a first step
    assert tree(root) == before
