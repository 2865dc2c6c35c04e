"""Each camera, tried with a real frame; those that the pipelines name are the ones that matter."""

from __future__ import annotations

import grp
import importlib.util
import os
import shlex
import stat
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

from msgspec.structs import replace

from runtime.cameras import NETWORK, Sparse, make_camera, v4l2_uri
from runtime.cameras.csi import is_jetson
from runtime.cameras.picamera_setting import IN_USE
from runtime.cameras.v4l2_list import Listed, survey, tried
from runtime.doctor.holders import holders
from runtime.doctor.machine import text
from runtime.doctor.network import look_at_network
from runtime.frames import ROW, Layout
from runtime.locating import ZOO
from runtime.readers import READ, USER, may
from wire.config import Config
from wire.finding import Finding, Level
from wire.troubles import Trouble

OWN_CAMERAS = ("synthetic://64x48", f"file://{ZOO / 'digits' / 'tflite'}")
CSI = "csi:"
FRAME_S = 5.0
RAW_DRIVERS = ("unicam", "rp1-cfe", "rkisp1", "tegra-video")  # CSI: a sensor's raw values
WRITE = 2  # of a mode, as it stands for others
JOIN_VIDEO = "sudo usermod -aG video $USER, then log in again"
GIVE_TO_VIDEO = (
    """echo 'SUBSYSTEM=="video4linux", GROUP="video", MODE="0660"' | sudo tee """
    "/etc/udev/rules.d/60-vedette-video.rules && sudo udevadm control --reload && "
    "sudo udevadm trigger --subsystem-match=video4linux"
)
LAST_WORDS = "sudo dmesg | grep -iE 'video|usb|camera' | tail"


def look_at_cameras(config: Config | None, root: Path = Path("/")) -> Iterator[Finding]:
    yield from map(_try_own, OWN_CAMERAS)
    yield look_at_network(one.camera for one in (config.pipeline if config else {}).values())
    there, wanted = survey(), _wanted(config)
    for listed in there:
        name = wanted.pop(os.path.realpath(listed.node), None)
        yield from judged(listed, name, "warning" if name is None else "bad", root)
    for node, name in wanted.items():
        yield _missing(node, name, root)
    yield from starmap(_try_own, _named(config, (*NETWORK, "rows:")))
    yield from map(_try_csi, _named(config, (CSI,)))
    if not there and not wanted:
        yield from _none_at_all(config, root)


def _named(config: Config | None, kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(address, what it is called) of cameras of these kinds that pipelines name. On the network
    one more viewer does no harm."""
    for name, pipeline in (config.pipeline if config else {}).items():
        if pipeline.camera.startswith(kinds):
            yield pipeline.camera, f"pipeline {name}"


def _try_csi(named: tuple[str, str]) -> Finding:
    """One on the ribbon cable has one user only, and that may be its own service."""
    found = _try_own(*named)
    return replace(found, level="ok") if found.says.endswith(IN_USE) else found


def _try_own(uri: str, name: str | None = None) -> Finding:
    name = uri.split(":")[0] if name is None else name
    try:
        camera = make_camera(uri)
    except Trouble as trouble:
        return Finding("cameras", "bad", name, str(trouble))
    try:
        camera.start()
        frame = camera.read(FRAME_S)
        if frame is None:
            if isinstance(camera, Sparse) and camera.is_waiting:
                says = f"connected; nothing came within {FRAME_S:g} s"
                return Finding("cameras", "ok", name, says)
            return Finding("cameras", "bad", name, f"no frame came within {FRAME_S:g} s")
        layout = frame.layout
        frame.release()
        return Finding("cameras", "ok", name, in_words(layout))
    except Trouble as trouble:
        return Finding("cameras", "bad", name, str(trouble))
    finally:
        camera.stop()


def in_words(layout: Layout) -> str:
    if layout.format == ROW:
        return f"rows of {layout.width} numbers"
    return f"{layout.width}x{layout.height} {layout.format}"


def _wanted(config: Config | None) -> dict[str, str]:
    """The nodes that pipelines name, as far as they can be told, and whose they are."""
    found: dict[str, str] = {}
    for name, pipeline in (config.pipeline if config else {}).items():
        if pipeline.camera.startswith("v4l2:"):
            try:
                node = v4l2_uri.find(v4l2_uri.parse(pipeline.camera))
            except Trouble:
                node = pipeline.camera
            found.setdefault(os.path.realpath(node) if node.startswith("/") else node, name)
    return found


def judged(listed: Listed, name: str | None, level: Level, root: Path) -> Iterator[Finding]:
    """One camera. name: the pipeline that it is for. level: how bad it is if it does not work."""
    about = listed.uri if name is None else f"pipeline {name} ({listed.node})"
    if not os.access(listed.node, os.R_OK | os.W_OK):
        says = f"{listed.node} may not be opened by who asks"
        yield Finding("cameras", level, about, says, JOIN_VIDEO)
        return
    if name is not None and not _service_may(listed.node):
        says = f"{listed.node} is not of the group video, so the service may not open it"
        yield Finding("cameras", "bad", about, says, GIVE_TO_VIDEO)
        return
    held = holders(listed.node)
    ours = next((one for one in held if one.pipeline is not None), None)
    if ours is not None:
        says = f"in use by the runtime of pipeline {ours.pipeline} (process {ours.pid})"
        yield Finding("cameras", "ok", about, says)
        return
    if _is_raw(listed):
        says, mend = csi(root)
        yield Finding("cameras", level, about, says, mend)
        return
    probe = tried(listed)
    if probe.works:
        yield Finding("cameras", "ok", about, probe.reason)
    elif "in use" not in probe.reason:
        yield Finding("cameras", level, about, probe.reason, LAST_WORDS)
    elif held:
        says = f"in use by {held[0].name} (process {held[0].pid}): end that one first"
        yield Finding("cameras", level, about, says, held[0].mend)
    else:
        says = "in use by a process of another user: end that one first"
        yield Finding("cameras", level, about, says, f"sudo fuser -v {shlex.quote(listed.node)}")


def _service_may(node: str) -> bool:
    """Whether the unit's user may, who is given the group video."""
    found = os.stat(node)
    try:
        video = grp.getgrnam("video").gr_gid
    except KeyError:
        return may(found, USER, READ | WRITE)
    by_group = stat.S_IRGRP | stat.S_IWGRP
    is_of_video = found.st_gid == video and found.st_mode & by_group == by_group
    return is_of_video or may(found, USER, READ | WRITE)


def _is_raw(listed: Listed) -> bool:
    return listed.driver in RAW_DRIVERS and not listed.known


def csi(root: Path) -> tuple[str, str | None]:
    """A camera on the ribbon cable: what is missing, and what mends that."""
    what = f"{_sensor(root) or 'a camera'} is on the ribbon cable (CSI)"
    on_jetson = is_jetson(root / "proc/device-tree/compatible")
    if not on_jetson and importlib.util.find_spec("picamera2") is None:
        mend = "sudo apt-get install -y python3-picamera2 && sudo scripts/install --upgrade"
        return f"{what}, and picamera2 is missing", mend
    return f"{what}: name it csi://0 in the pipeline", None


def _sensor(root: Path) -> str | None:
    """Its name, by the driver of the chip behind the lens."""
    for path in sorted((root / "sys/class/video4linux").glob("v4l-subdev*/name")):
        words = text(path).split()
        if words and words[0].startswith(("imx", "ov", "arducam")):
            return words[0]
    return None


def _missing(node: str, name: str, root: Path) -> Finding:
    about = f"pipeline {name} ({node})"
    if os.path.exists(node):
        return Finding(
            "cameras", "bad", about, f"{node} is no camera: write another", "vedette cameras"
        )
    says, mend = why_nothing(root)
    return Finding("cameras", "bad", about, f"it is not there: {says}", mend)


def _none_at_all(config: Config | None, root: Path) -> Iterator[Finding]:
    if config is not None and config.pipeline:
        yield Finding("cameras", "ok", "v4l2", "none at /dev/video*, and no pipeline needs one")
        return
    says, mend = why_nothing(root)
    yield Finding("cameras", "warning", "v4l2", f"no camera at /dev/video*: {says}", mend)


def why_nothing(root: Path) -> tuple[str, str | None]:
    """What to do where no node is: what is on the bus decides."""
    classes = (root / "sys/bus/usb/devices").glob("*/bInterfaceClass")
    if any(text(path).strip() == "0e" for path in classes):
        return "a USB camera is plugged in, and its driver is not loaded", "sudo modprobe uvcvideo"
    if _sensor(root) is not None:
        return csi(root)
    if "Raspberry Pi" in text(root / "proc/device-tree/model"):
        return (
            "plug in a USB camera; or, with the power off, see to both ends of the ribbon cable",
            "rpicam-hello --list-cameras",
        )
    return "plug one in, and see whether the kernel noticed", LAST_WORDS
