"""`vedette doctor` on machines where one thing is missing: the sentence, and the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.examined import Place, shut_out, with_clock
from tests.graphs import tflite
from tests.laws.sources import ROOT
from tests.repository import DAY_S, Repository
from wire import mends
from wire.trust.trust import Trust

LANE = '[pipeline.lane]\ncamera = "synthetic://64x48@30"\nmodel = "{model}"\n'
ALONE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path).make(more=LANE.format(model="digits"))


def in_own_mounts(setup: str) -> Sequence[str]:
    """What starts a process after the shell has mounted something for it alone."""
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    return (*ALONE, f'set -e; {setup}; exec "$@"', "sh")


def test_a_device_that_has_all_but_its_broker(place: Place) -> None:
    found = place.doctor()
    assert [one.section for one in found.findings if one.level == "bad"] == ["broker"]
    (model,) = found.of("models")
    assert "golden samples right" in model.says
    sections = [one.section for one in found.findings]
    assert list(dict.fromkeys(sections)) == [
        "machine", "engines", "cameras", "configuration", "models", "services", "broker", "spool",
        "trust", "clock", "disk", "power", "memory", "watchdog",
    ]  # fmt: skip


def test_it_says_so_to_people_too(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vedette", "doctor", *place.words], cwd=ROOT, text=True,
        capture_output=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == ""
    lines = done.stdout.splitlines()
    told = next(n for n, line in enumerate(lines) if "nothing listens at 127.0.0.1" in line)
    assert lines[told].startswith("  BAD   connection: ")
    assert lines[told + 1].strip() == f"$ {mends.listen()}"
    assert lines[-1].startswith("1 bad, ")


@pytest.mark.slow
def test_a_configuration_that_is_refused(place: Place) -> None:
    place.config.write_text(place.config.read_text().replace("model =", "modle ="))
    told = place.doctor().the_bad("configuration")
    assert f"{place.config}:8: pipeline.lane.modle: there is no such key" in told.says
    assert told.mend == mends.edit(place.config)


@pytest.mark.slow
def test_a_configuration_that_is_not_there(place: Place) -> None:
    place.config.unlink()
    told = place.doctor().the_bad("configuration")
    assert "is not there" in told.says
    assert told.mend is not None and told.mend.startswith("sudo vedette enroll NAME.vedette")
    assert place.check().the_bad("configuration").mend == told.mend


def test_without_proc_nothing_else_is_blamed(place: Place) -> None:
    """As in a chroot that nobody finished."""
    hidden = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
    if subprocess.run([*hidden, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespace of its own can be had here")
    for found in (place.doctor(before=hidden), place.check(before=hidden)):
        (told,) = found.findings
        assert (told.section, told.level) == ("machine", "bad")
        assert told.mend == "sudo mount -t proc proc /proc"


@pytest.mark.slow
def test_a_configuration_that_who_asks_may_not_read(place: Place) -> None:
    if os.geteuid() == 0:
        os.chown(place.config, 65534, 65534)
    place.config.chmod(0o600 if os.geteuid() == 0 else 0)
    told = place.doctor(before=shut_out()).the_bad("configuration")
    assert "Permission denied" in told.says
    assert told.mend == "sudo vedette doctor"


@pytest.mark.slow
def test_a_password_that_everybody_can_read(place: Place) -> None:
    file = place.folder / "password"
    file.write_text("of door")
    file.chmod(0o644)
    place.make(broker=f'password_file = "{file}"', more=LANE.format(model="digits"))
    (told,) = place.doctor().of("configuration", "broker.password_file")[:1]
    assert told.says.endswith("everybody on this machine can read it")
    assert told.mend == f"sudo chmod 640 {file} && sudo chgrp vedette {file}"


def test_a_state_folder_that_who_asks_may_not_enter(place: Place) -> None:
    """As on every device for who asks without sudo."""
    if os.geteuid() == 0:
        os.chown(place.state, 65534, 65534)
    place.state.chmod(0o700 if os.geteuid() == 0 else 0)
    found = place.doctor(before=shut_out())
    place.state.chmod(0o700)
    for section in ("spool", "models"):
        told = found.of(section)[0]
        assert (told.level, told.mend) == ("warning", "sudo vedette doctor"), told
    assert len(found.of("models")) == 2, "what cannot be seen is said once"
    assert found.of("clock") and found.of("power"), "what can be looked at is looked at"


@pytest.mark.slow
def test_models_that_are_missing_or_damaged(place: Place) -> None:
    missing, damaged = place.folder / "missing.tflite", place.folder / "damaged.tflite"
    tflite.colours(damaged)
    content = bytearray(damaged.read_bytes())
    content[40:400] = bytes(360)
    damaged.write_bytes(content)
    other = LANE.format(model=damaged).replace("lane", "other")
    place.make(more=LANE.format(model=missing) + other)
    found = place.doctor()
    gone, broken = found.bad("models")
    assert (gone.about, broken.about) == ("pipeline lane", "pipeline other")
    assert f"there is no model at {missing}" in gone.says
    assert str(damaged) in broken.says
    assert gone.mend is not None and gone.mend.startswith(f"sudoedit {place.config}")
    assert found.of("configuration", ".model") == [], "it is said once"


@pytest.mark.slow
def test_a_camera_that_is_not_there(place: Place) -> None:
    text = place.config.read_text().replace("synthetic://64x48@30", "v4l2:///dev/video97")
    place.config.write_text(text)
    found = place.doctor()
    told = found.the_bad("cameras")
    assert told.about == "pipeline lane (/dev/video97)"
    assert "it is not there" in told.says
    assert told.mend is not None
    assert found.of("configuration", ".camera") == [], "it is said once"


@pytest.mark.slow
def test_a_camera_that_who_asks_may_not_open(place: Place) -> None:
    """A node of another user: who asks may not open it, whatever is behind."""
    node = "/dev/video97"
    text = place.config.read_text().replace("synthetic://64x48@30", f"v4l2://{node}")
    place.config.write_text(text)
    if os.geteuid() != 0:
        pytest.skip("only root can make a device node")
    setup = (
        "mount -t tmpfs none /mnt && mknod /mnt/video97 c 81 97 && chown 65534:65534 /mnt/video97 "
        "&& chmod 600 /mnt/video97 && cp -a /dev/null /dev/urandom /mnt && mount --move /mnt /dev"
    )
    words = ("unshare", "--mount", "sh", "-c", f'{setup} && exec "$@"', "sh", *shut_out())
    if subprocess.run([*words, "true"], capture_output=True).returncode != 0:
        pytest.skip("no device node can be made here")
    told = place.doctor(before=words).the_bad("cameras")
    assert "/dev/video97 may not be opened" in told.says
    assert told.mend == "sudo usermod -aG video $USER, then log in again"


def test_a_state_folder_that_is_not_there(place: Place) -> None:
    place.state.rmdir()
    told = place.check().the_bad("disk")
    assert told.says == "the state folder is not there"
    assert told.mend is not None and told.mend.startswith("sudo install -d -m 750 -o ")


def test_a_state_folder_of_another_user(place: Place) -> None:
    if os.geteuid() == 0:
        os.chown(place.state, 65534, 65534)
    place.state.chmod(0o755 if os.geteuid() == 0 else 0o555)
    found = place.check(before=shut_out())
    assert any("may not write it" in one.says for one in found.bad("disk"))
    mends = {one.mend for one in found.bad("disk")}
    assert all(mend is not None and mend.startswith("sudo chown -R ") for mend in mends)


def test_a_disk_that_is_full(place: Place) -> None:
    state = place.state
    setup = (
        f"mount -t tmpfs -o size=512k none {state}; "
        f"dd if=/dev/zero of={state}/ballast bs=4k 2>/dev/null || true"
    )
    found = place.check(before=in_own_mounts(setup))
    told = found.the_bad("disk")
    assert told.says == "the disk is full: nothing can be kept"
    assert [one.level for one in found.of("disk")] == ["bad"], "and no part of it is well"
    assert told.mend is not None and told.mend.startswith("sudo journalctl --vacuum-size=50M")


def test_a_disk_that_is_nearly_full(place: Place) -> None:
    setup = f"mount -t tmpfs -o size=8m none {place.state}"
    told = place.check(before=in_own_mounts(setup)).the_bad("disk")
    assert "it is nearly full: 8 MiB of 8 MiB are free" in told.says


def test_a_disk_that_is_read_only(place: Place) -> None:
    setup = f"mount -t tmpfs -o ro none {place.state}"
    told = place.check(before=in_own_mounts(setup)).the_bad("disk")
    assert told.says.startswith("it is read-only")
    assert told.mend is not None and "mount -o remount,rw" in told.mend


@pytest.mark.slow
def test_little_memory_and_no_swap(place: Place) -> None:
    """The kernel's own words, as a small board has them, laid over those of this machine."""
    words = place.folder / "meminfo"
    words.write_text("MemTotal: 437908 kB\nMemAvailable: 201000 kB\nSwapTotal: 0 kB\n")
    setup = f"mount --bind {words} /proc/meminfo"
    (told,) = place.doctor(before=in_own_mounts(setup)).of("memory", "")[:1]
    assert (told.level, told.mend) == ("warning", "sudo apt-get install -y zram-tools")
    assert "little memory, and no swap" in told.says


def test_a_clock_that_was_never_set(place: Place) -> None:
    found = place.check(environment=with_clock(f"-{time.time() - 3600:.0f}"))
    told = found.the_bad("clock")
    assert told.says.startswith("it says 1970-01-01")
    assert told.mend is not None and told.mend.endswith("sudo timedatectl set-ntp true")


def test_no_root_of_trust(place: Place) -> None:
    place.make(
        more='[updates]\nroot = "/etc/vedette-nowhere/root.json"\n' + LANE.format(model="digits")
    )
    found = place.check()
    told = found.the_bad("trust")
    assert "/etc/vedette-nowhere/root.json: No such file" in told.says
    assert told.mend == "sudo vedette enroll door.vedette"


def believing(place: Place, signed_s: float) -> None:
    """The device has what its fleet signed at that time."""
    repository = Repository(place.folder, signed_s)
    (place.folder / "root.json").write_bytes(repository.first_root)
    kept = place.state / "updates" / "trust"
    Trust(kept, repository.first_root, repository, lambda: signed_s).refresh()
    table = f'[updates]\nroot = "{place.folder}/root.json"\n'
    place.make(more=table + LANE.format(model="digits"))


def test_metadata_that_is_good(place: Place) -> None:
    believing(place, time.time())
    (told,) = place.check().of("trust")
    assert (told.level, told.mend) == ("ok", None)
    assert told.says.startswith("root 1 and what it vouches for are good until 20")


def test_metadata_that_has_expired(place: Place) -> None:
    believing(place, time.time() - 19 * DAY_S)
    found = place.check()
    told = found.bad("trust")
    assert "timestamp" in {one.about for one in told}
    assert all("expired on 20" in one.says for one in told)
    clock = found.of("clock")[0]
    depot = "sudo systemctl restart vedette-depot"
    assert {one.mend for one in told} == {clock.mend if clock.level != "ok" else depot}


def test_a_root_of_which_nothing_came_yet(place: Place) -> None:
    believing(place, time.time())
    shutil.rmtree(place.state / "updates")
    (told,) = place.check().of("trust")
    assert (told.level, told.mend) == ("warning", "vedette fleet status")


def test_a_root_that_is_none(place: Place) -> None:
    believing(place, time.time())
    (place.folder / "root.json").write_text("{}")
    told = place.check().the_bad("trust")
    assert "the first root is no root metadata" in told.says
    assert told.mend == "sudo vedette enroll door.vedette"


@pytest.mark.slow
def test_without_systemd(place: Place) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    (told,) = place.doctor().of("services")
    assert told.level == "warning" and told.says.startswith("systemd does not run here")


def test_no_device_at_all() -> None:
    """Where nobody made this machine a device, only what runs a model by hand is looked at."""
    folders = ("/etc/systemd/system", "/usr/lib/systemd/system")
    installed = any(Path(folder, "vedette-agent.service").exists() for folder in folders)
    if installed or Path("/etc/vedette/vedette.toml").exists():
        pytest.skip("this machine is a device")
    done = subprocess.run(
        [sys.executable, "-m", "vedette", "doctor"], cwd=ROOT, text=True, capture_output=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0
    assert "this machine is no device of a fleet yet" in done.stdout
    assert "broker" not in done.stdout.splitlines()
