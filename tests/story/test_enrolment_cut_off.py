"""fleet broker, enroll and revoke, and a device's enroll, killed at steps of every kind: the same
again brings them to their end, and in between nothing counts that nobody knows of."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.enrolment.authority import open_authority
from fleet.enrolment.book import Book
from fleet.enrolment.certificates import belong_together, told_by
from fleet.enrolment.enrolling import Wish, enrol, hand_out
from fleet.enrolment.setting_up import BrokerWish, set_up
from fleet.folder import open_fleet
from tests.cut_off import MOST_STEPS, STEPS, Mortal, mortal
from tests.depot_folder import make_yard
from tests.laws.sources import ROOT
from wire import config
from wire.enrolment import Enrolment, read, to_file

URL = "mqtts://broker.example:8883"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def commands() -> Iterator[Mortal]:
    with mortal() as commands:
        yield commands


def strays(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name != "."]


def check_broker(path: Path) -> None:
    """All that `fleet broker` makes is there and fits together."""
    fleet = open_fleet(path)
    authority = open_authority(fleet.authority)
    files = {each.name: each.read_text() for each in fleet.broker_files.iterdir()}
    assert belong_together(files["server.pem"], files["server.key"])
    assert authority.certified(files["server.pem"])
    entry = Book(path).find("server")
    identity = (fleet.access / "server.pem").read_text()
    assert entry is not None and entry.serial == told_by(identity).serial
    assert authority.certified(identity) and belong_together(identity, identity)
    assert files["ca.pem"] == authority.certificate_pem == (fleet.access / "ca.pem").read_text()
    assert authority.revocations(sorted(entry.gone), files["crl.pem"]) == files["crl.pem"]
    assert "user server\n" in files["acl"] and "listener 8883\n" in files["vedette.conf"]
    assert fleet.broker.url == URL and fleet.broker.certificate_file is not None
    assert strays(path) == []


def test_fleet_broker(tmp_path: Path, commands: Mortal) -> None:
    for steps in STEPS:
        path = make_yard(tmp_path / str(steps)).place
        words = ["fleet", "broker", "--dir", str(path), "--url", URL]
        code = commands.run(steps, *words)
        assert code in (0, -signal.SIGKILL)
        assert commands.run(MOST_STEPS, *words) == 0
        check_broker(path)
        shutil.rmtree(tmp_path / str(steps))
        if code == 0:
            break
    assert 15 < steps < MOST_STEPS - 1


def serial_in(file: Path) -> str:
    """Of the certificate in a NAME.vedette."""
    pem = read(file).certificate_pem
    assert pem is not None
    return told_by(pem).serial


def yard(tmp_path: Path) -> Path:
    """A fleet with the device `door`, whose file is door.vedette beside it."""
    path = make_yard(tmp_path).place
    set_up(path, BrokerWish(URL), time.time())
    fleet, file = open_fleet(path), tmp_path / "door.vedette"
    enrol(fleet, Book(path), "door", Wish(), lambda told: hand_out(told, file), time.time())
    return path


def test_fleet_enroll(tmp_path: Path, commands: Mortal) -> None:
    """Of a name that counts already: until it is replaced, the old certificate counts."""
    path, file = yard(tmp_path / "a"), tmp_path / "a" / "door.vedette"
    book, seen = Book(path), {serial_in(file)}
    for steps in STEPS:
        before = book.find("door")
        words = ["fleet", "enroll", "door", "--again", "--dir", str(path), "--out", str(file)]
        code = commands.run(steps, *words)
        assert code in (0, -signal.SIGKILL)
        now = book.find("door")
        assert before is not None and now is not None and now.belongs
        seen |= {serial_in(file)}
        assert {now.serial, *now.gone} >= seen, "a certificate that nobody can revoke"
        assert before.serial in (now.serial, *now.gone)
        if code == 0:
            break
    assert 5 < steps < MOST_STEPS - 1
    assert now.serial == serial_in(file) and set(now.gone) >= seen - {now.serial}
    crl = (path / "broker" / "crl.pem").read_text()
    gone = sorted(now.gone)
    assert open_authority(path / "keys" / "authority.pem").revocations(gone, crl) == crl
    assert strays(path) == [] and strays(file.parent) == []


def test_fleet_enroll_of_a_new_name(tmp_path: Path, commands: Mortal) -> None:
    """Until it is done the name does not count, and the same command goes on without --again."""
    path = yard(tmp_path / "a")
    book = Book(path)
    for steps in STEPS:
        file = tmp_path / f"n{steps}.vedette"
        words = ["fleet", "enroll", f"n{steps}", "--dir", str(path), "--out", str(file)]
        code = commands.run(steps, *words)
        entry = book.find(f"n{steps}")
        if file.exists():
            assert entry is not None and serial_in(file) in (entry.serial, *entry.gone)
        if code == 0:
            break
        if entry is None or not entry.belongs:
            assert commands.run(MOST_STEPS, *words) == 0
            entry = book.find(f"n{steps}")
        assert entry is not None and entry.serial == serial_in(file)
    assert 5 < steps < MOST_STEPS - 1


def test_fleet_revoke(tmp_path: Path, commands: Mortal) -> None:
    words = ["fleet", "revoke", "door", "--offline", "--dir"]
    for steps in STEPS:
        place = tmp_path / str(steps)
        path = yard(place)
        code = commands.run(steps, *words, str(path))
        assert code in (0, -signal.SIGKILL)
        assert commands.run(MOST_STEPS, *words, str(path)) == 0
        entry = Book(path).find("door")
        assert entry is not None and not entry.belongs
        assert serial_in(place / "door.vedette") in entry.gone
        assert "user door\ntopic deny #\n" in (path / "broker" / "acl").read_text()
        crl = (path / "broker" / "crl.pem").read_text()
        assert open_authority(path / "keys" / "authority.pem").revocations(entry.gone, crl) == crl
        assert strays(path) == []
        if code == 0:
            break
    assert 5 < steps < MOST_STEPS - 1


def test_a_device(tmp_path: Path, commands: Mortal) -> None:
    """vedette.toml is the old one or the new one, and what it names is there."""
    files = []
    for name in ("old", "new"):
        files.append(tmp_path / f"{name}.vedette")
        told = Enrolment(
            fleet="yard", device=name, url="mqtt://broker.example", username=name, password=name,
            root='{"signed": {"_type": "root"}}',
        )  # fmt: skip
        files[-1].write_bytes(to_file(told))
    start = (ROOT / "systemd" / "vedette.toml").read_text()
    seen = set()
    for steps in STEPS:
        etc = tmp_path / f"etc-{steps}"
        etc.mkdir()
        (etc / "vedette.toml").write_text(start)
        assert commands.run(MOST_STEPS, "enroll", str(files[0]), "--etc", str(etc)) == 0
        code = commands.run(steps, "enroll", str(files[1]), "--etc", str(etc))
        assert code in (0, -signal.SIGKILL)
        meant = config.load(etc / "vedette.toml")
        password = meant.broker.password_file
        assert password is not None and meant.updates.root is not None
        assert Path(password).read_text() == f"{meant.device}\n"
        assert Path(meant.updates.root).read_text() == '{"signed": {"_type": "root"}}'
        seen.add(meant.device)
        assert commands.run(MOST_STEPS, "enroll", str(files[1]), "--etc", str(etc)) == 0
        assert config.load(etc / "vedette.toml").device == "new"
        kept = (etc / "vedette.toml.before").read_text()
        assert 'device = "old"' in kept or kept == start
        assert strays(etc) == []
        if code == 0:
            break
    assert seen == {"old", "new"} and 10 < steps < MOST_STEPS - 1
