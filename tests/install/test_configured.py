"""The installer configures a device by the release's own commands, here or in an image."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from installing import configuring, meaning
from installing.configuring import Wish
from installing.installation import Done, summary
from installing.places import Places
from installing.progress import Progress
from installing.troubles import Trouble, Wrong

from tests.install.devices import Device
from tests.laws.sources import ROOT
from wire.enrolment import Enrolment, to_file

RELEASE = "1.0.0-1"
NOTHING = Wish(None, None, None, None)
CAMERA = 'file:///opt/a "clip".y4m?loop=yes'
PROGRAM = f"""\
import sys
sys.path[:0] = {[str(ROOT), *[path for path in sys.path if path.endswith("site-packages")]]!r}
from vedette import main
sys.exit(main())
"""
GROUP = os.getgid() + 4321


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An image with a release whose program is this checkout's."""
    places = Places(tmp_path / "image")
    folder = places.releases / RELEASE
    (folder / "bin").mkdir(parents=True)
    (folder / "share/vedette").mkdir(parents=True)
    os.symlink(ROOT / "systemd", folder / "share/vedette/systemd")
    os.symlink(sys.executable, folder / "bin/python")
    (folder / "bin/vedette").write_text(PROGRAM)
    places.etc.mkdir(parents=True)
    places.at("/etc/group").write_text(f"root:x:0:\nvedette:x:{GROUP}:\n")
    return places


def enrolment(folder: Path, device: str = "door") -> Path:
    file = folder / f"{device}.vedette"
    told = Enrolment(
        fleet="yard", device=device, url="mqtt://broker.example", username=device, password=device
    )  # fmt: skip
    file.write_bytes(to_file(told))
    return file


def configure(places: Places, wish: Wish) -> Progress:
    progress = Progress(1)
    configuring.configure(places, RELEASE, wish, progress)
    return progress


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files get owners")


@needs_root
def test_enrolled_in_an_image(places: Places, tmp_path: Path) -> None:
    file = enrolment(tmp_path)
    configure(places, Wish(file, "synthetic://160x120@5", "digits", None))
    meant = meaning.read(places, RELEASE)
    assert meant is not None
    assert (meant.fleet, meant.device) == ("yard", "door")
    assert meant.broker == "mqtt://broker.example"
    assert [one.camera for one in meant.pipelines] == ["synthetic://160x120@5"]
    # the image knows nothing of where it was mounted, and its services may read what is theirs
    assert str(places.root) not in places.config.read_text()
    for path in (places.etc, *places.etc.rglob("*")):
        assert path.lstat().st_gid == GROUP
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)


@needs_root
def test_enrolled_again_nothing_changes(places: Places, tmp_path: Path) -> None:
    wish = Wish(enrolment(tmp_path), "synthetic://160x120@5", "digits", None)
    configure(places, wish)
    before = places.config.read_bytes()
    configure(places, wish)
    assert places.config.read_bytes() == before


@needs_root
def test_enrolled_anew_in_an_image_what_was_before_stays_whole(
    places: Places, tmp_path: Path
) -> None:
    """Who puts vedette.toml.before back finds the credentials that it names; older ones go."""
    for device in ("door", "gate", "yard"):
        configure(places, Wish(enrolment(tmp_path, device), None, None, None))
    before = (places.etc / "vedette.toml.before").read_text()
    now = places.config.read_text()
    assert 'device = "gate"' in before and 'device = "yard"' in now
    folders = {path.name for path in places.etc.glob("enrolled-*")}
    assert len(folders) == 2 and all(name in before + now for name in folders)


OLDER = """\
import json, sys
camera = open(sys.argv[3]).read().rpartition('camera = "')[2].partition('"')[0]
config = {"device": "door", "broker": {"url": "x"}, "pipeline": {"a": {"camera": camera}}}
print(json.dumps({"refused": None, "warnings": [], "config": config}))
"""


@needs_root
@pytest.mark.parametrize("program", [PROGRAM, OLDER])
@pytest.mark.parametrize("camera", ["rtsp://u:hush%23p@host.example/live", "synthetic://64x48@5"])
def test_a_password_of_a_camera_is_never_shown(
    places: Places, camera: str, program: str, tmp_path: Path
) -> None:
    configure(places, Wish(enrolment(tmp_path), camera, "digits", None))
    assert camera in places.config.read_text()
    (places.releases / RELEASE / "bin/vedette").write_text(program)
    meant = meaning.read(places, RELEASE)
    lines = "\n".join(summary(Done(RELEASE, meant, ()), Device(places), []))
    assert "hush" not in lines and "23p" not in lines and "hush" not in repr(meant)
    assert f"{camera.partition('://')[0]}://" in lines
    assert (camera in lines) == camera.startswith("synthetic")


@needs_root
def test_begun_from_options(places: Places) -> None:
    configure(places, Wish(None, CAMERA, None, "mqtt://elsewhere"))
    meant = meaning.read(places, RELEASE)
    assert meant is not None
    assert meant.broker == "mqtt://elsewhere" and meant.period_s == 60.0
    assert (places.config.stat().st_gid, places.config.stat().st_mode & 0o777) == (GROUP, 0o640)
    assert [(one.name, one.camera) for one in meant.pipelines] == [("camera", CAMERA)]
    # what is there stays, and that is said
    progress = configure(places, Wish(None, "synthetic://1x1@1", None, None))
    assert progress.notes == [f"{places.config} is there and stays: change it there"]
    assert meaning.read(places, RELEASE) == meant


def test_without_a_wish_nothing_is_written(places: Places) -> None:
    configure(places, NOTHING)
    assert meaning.read(places, RELEASE) is None
    assert list(places.etc.iterdir()) == []


def test_a_file_that_is_no_enrolment_changes_nothing(places: Places, tmp_path: Path) -> None:
    file = tmp_path / "door.vedette"
    file.write_text(json.dumps({"form": 9}))
    with pytest.raises(Wrong, match=r"^nothing is configured, this is refused: \S*door\.vedette: "):
        configure(places, Wish(file, None, None, None))
    assert list(places.etc.iterdir()) == []


@pytest.mark.parametrize(
    ("camera", "why"),
    [
        ("synthetic://640x480@9999", "must be from"),
        ("v4l2:///dev/video0?size=1", "size='1' is no size"),
    ],
)
def test_what_the_release_refuses_is_not_written(
    places: Places, tmp_path: Path, camera: str, why: str
) -> None:
    file = enrolment(tmp_path)
    for wish in (Wish(None, camera, None, None), Wish(file, camera, "digits", None)):
        with pytest.raises(Wrong, match=rf"^nothing is configured, .*: pipeline\.camera.*{why}"):
            configure(places, wish)
    with pytest.raises(Wrong, match=r"this is refused: pipeline\.camera: model is missing"):
        configure(places, Wish(file, "synthetic://64x48", None, None))
    assert list(places.etc.iterdir()) == []


@needs_root
def test_a_release_that_gives_no_answer_is_no_wrong_request(places: Places, tmp_path: Path) -> None:
    (places.releases / RELEASE / "bin/vedette").write_text("raise SystemExit('it is broken')")
    with pytest.raises(Trouble, match="it is broken") as caught:
        configure(places, Wish(enrolment(tmp_path), None, None, None))
    assert caught.value.code == 1


def test_a_refused_configuration_is_the_users_mistake(places: Places) -> None:
    places.config.write_text("[broker]\nurl = 7\n")
    with pytest.raises(Wrong, match=r"vedette\.toml:2: broker\.url"):
        meaning.read(places, RELEASE)
