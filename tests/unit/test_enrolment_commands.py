"""fleet broker, enroll, acl and revoke without a broker: what they make, keep, refuse and say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import vedette
from fleet.enrolment.authority import open_authority, warning_of_end
from fleet.enrolment.book import Book
from fleet.enrolment.broker_files import steps
from fleet.enrolment.certificates import told_by
from fleet.enrolment.enrolling import Wish, enrol, write_proofs
from fleet.enrolment.setting_up import BrokerWish, set_up
from fleet.folder import TOML, FleetFolder, open_fleet
from tests.depot_folder import PORTS, make_yard
from wire.enrolment import read
from wire.signing import load_key
from wire.troubles import Refused

URL = "mqtts://broker.example:8883"
NOW_S = 1_800_000_000.0
DAY_S = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    yard = make_yard(tmp_path)
    (yard.place / TOML).write_text('name = "yard"\n' + PORTS.format(port=1883))
    return yard.place


@pytest.fixture
def fleet(path: Path) -> FleetFolder:
    return set_up(path, BrokerWish(URL), NOW_S).fleet


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints that works."""
    assert vedette.main(["fleet", *words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert vedette.main(["fleet", *words]) in (1, 2)
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and told.err.startswith("vedette: ")
    return told.err


def contents(path: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_again_keeps_what_is_good(path: Path) -> None:
    first = set_up(path, BrokerWish(URL), NOW_S)
    assert len(first.made) == 4 and first.hosts == ("broker.example", "localhost")
    before = contents(path)
    again = set_up(path, BrokerWish(), NOW_S + 300 * DAY_S)
    assert (again.made, again.written.changed) == ((), ())
    assert contents(path) == before


def test_the_brokers_certificate_is_renewed_in_its_last_year(path: Path) -> None:
    set_up(path, BrokerWish(URL), NOW_S)
    before = contents(path)
    later_s = NOW_S + 366 * DAY_S
    assert set_up(path, BrokerWish(), later_s).made == ("the broker's certificate",)
    different = {name for name, old in before.items() if contents(path)[name] != old}
    assert different == {str(path / "broker" / "server.pem")}, "the key stays"
    told = told_by((path / "broker" / "server.pem").read_text())
    assert told.ends_s == later_s + 730 * DAY_S
    made = set_up(path, BrokerWish(), NOW_S + 6 * 365 * DAY_S).made
    assert any("identity" in each for each in made)


def test_an_authority_that_comes_to_its_end(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is renewed again and again that cannot last longer; and it is said in time."""
    set_up(path, BrokerWish(URL), NOW_S)
    late_s = NOW_S + (20 * 365 - 200) * DAY_S
    assert len(set_up(path, BrokerWish(), late_s).made) == 2, "to its very end"
    again = set_up(path, BrokerWish(), late_s + DAY_S)
    assert (again.made, again.written.changed) == ((), ())
    assert again.ends_s == NOW_S + 20 * 365 * DAY_S
    told = warning_of_end(again.ends_s, late_s) or ""
    assert told.startswith("warning: the fleet's authority counts until 2047-01-10")
    assert warning_of_end(again.ends_s, NOW_S) is None
    with pytest.raises(Refused, match="counted until 2047-01-10: move keys/authority"):
        set_up(path, BrokerWish(), NOW_S + 21 * 365 * DAY_S)


def test_an_address_is_the_same_however_it_is_written(path: Path) -> None:
    hosts = ("2001:DB8::0:1",)
    first = set_up(path, BrokerWish("mqtts://[2001:DB8:0::1]", hosts), NOW_S)
    assert first.hosts == ("2001:db8::1", "localhost")
    assert set_up(path, BrokerWish(None, hosts), NOW_S).made == ()
    assert any(line.endswith(" [2001:db8::1]:") for line in steps(first.fleet, ("acl",), "reload"))
    with pytest.raises(Refused, match="no address of a machine"):
        set_up(path, BrokerWish(None, ("fe80::1%eth0",)), NOW_S)


def test_the_name_of_the_folders_commands_is_nobody_elses(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dir", str(fleet.path)]
    run(capsys, "revoke", "server", "--offline", *words)
    told = refused(capsys, "enroll", "server", "--out", str(tmp_path / "x"), *words)
    assert "take another name" in told
    assert "the identity server" in run(capsys, "broker", *words)


def test_more_hosts_and_another_place(path: Path) -> None:
    set_up(path, BrokerWish(URL), NOW_S)
    wish = BrokerWish(None, ("b.lan", "10.0.0.7"), "/mosquitto/vedette", "10.0.0.7")
    done = set_up(path, wish, NOW_S)
    assert done.fleet.broker.url == "mqtts://b.lan:8883"
    assert done.hosts == ("b.lan", "10.0.0.7", "localhost")
    assert told_by((path / "broker" / "server.pem").read_text()).hosts == (
        "b.lan", "localhost", "10.0.0.7",
    )  # fmt: skip
    text = (path / "broker" / "vedette.conf").read_text()
    assert "listener 8883 10.0.0.7\n" in text and "/mosquitto/vedette/acl" in text
    assert set_up(path, BrokerWish(), NOW_S).made == ()
    moved = path.rename(path.parent / "moved")
    assert set_up(moved, BrokerWish(), NOW_S).made == (), "the folder may be moved"


def test_a_new_authority_after_a_loss(path: Path) -> None:
    fleet = set_up(path, BrokerWish(URL), NOW_S).fleet
    old = open_authority(fleet.authority)
    fleet.authority.unlink()
    done = set_up(path, BrokerWish(new_authority=True), NOW_S)
    new = open_authority(fleet.authority)
    assert len(done.made) == 3 and done.written.needs_restart
    for file in (path / "access" / "server.pem", path / "broker" / "server.pem"):
        assert new.certified(file.read_text()) and not old.certified(file.read_text())
    crl = (path / "broker" / "crl.pem").read_text()
    entry = Book(path).find("server")
    assert entry is not None and new.revocations(entry.gone, crl) == crl
    assert (path / "access" / "ca.pem").read_text() == new.certificate_pem


@pytest.mark.parametrize("name", ["access/server.pem", "broker/server.pem", "broker/server.key"])
def test_a_file_that_was_damaged_is_made_anew(path: Path, name: str) -> None:
    set_up(path, BrokerWish(URL), NOW_S)
    for content in (b"", b"hello", (path / name).read_bytes()[:200]):
        (path / name).write_bytes(content)
        assert len(set_up(path, BrokerWish(), NOW_S).made) == 1
        assert set_up(path, BrokerWish(), NOW_S).made == ()


def test_the_steps_work_wherever_one_stands(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And leave one there: what is printed next is about the folder one began in."""
    for host, folder in (("localhost", path / "broker"), ("b.lan", Path("broker"))):
        told = json.loads(run(capsys, "broker", "--dir", str(path), "--host", host, "--json"))
        install = next(step for step in told["steps"] if "-m 640" in step)
        assert f" {folder}/acl {folder}/passwd /etc/" in install
        assert not any(step.startswith("cd ") for step in told["steps"])
        assert ("ssh b.lan" in told["steps"]) == (told["steps"][-1] == "exit") == (host == "b.lan")


def test_what_people_wrote_in_fleet_toml_stays(path: Path) -> None:
    mine = (
        '# mine\nname = "yard"  # ours\n\n[broker]  # where\nurl = "mqtt://old"\nusername = "me"\n'
        'password_file = "/p"\nkeepalive_s = 60\n\n[alerting]\n# later\n'
    )
    (path / TOML).write_text(mine)
    fleet = set_up(path, BrokerWish(URL), NOW_S).fleet
    text = (path / TOML).read_text()
    assert '# mine\nname = "yard"  # ours\n' in text and "[broker]  # where\n" in text
    assert fleet.broker.keepalive_s == 60 and fleet.broker.username is None
    assert fleet.broker.certificate_file == str(path / "access" / "server.pem")
    assert 'key_file = "access/server.pem"' in text
    assert (path / "fleet.toml.before").read_text() == mine


def test_without_tls_there_are_passwords(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "broker", "--dir", str(path), "--host", "b.lan")
    assert "travel in the clear" in told and "mqtt://b.lan:1883" in told
    fleet = open_fleet(path)
    assert fleet.broker.username == "server" and not fleet.authority.exists()
    password = Path(fleet.broker.password_file or "").read_text().strip()
    assert (path / "broker" / "passwd").read_text().startswith("server:$7$101$")
    assert password not in (path / "broker" / "passwd").read_text()
    run(capsys, "broker", "--dir", str(path), "--url", URL)
    entry = Book(path).find("server")
    assert entry is not None and entry.serial is not None and entry.password_hash is None
    assert (path / "broker" / "passwd").read_text() == ""
    assert open_fleet(path).broker.username is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["broker", "--url", "ws://b/mqtt"], "mqtt:// and mqtts:// only"),
        (["broker", "--url", "b"], "mqtt:// is missing"),
        (["broker", "--host", "a b"], "no name and no address"),
        (["broker", "--host", "*.lan"], "no name and no address"),
        (["broker", "--host", "a" * 250 + "!"], "no name and no address"),
        (["broker", "--place", "here"], "a folder's whole path"),
        (["broker", "--place", "/a\nb"], "a folder's whole path"),
        (["broker", "--bind", "a\nb"], "no address"),
        (["enroll", "door", "--certificate"], "without TLS"),
        (["enroll", "server"], "take another name"),
        (["enroll", "door", "door"], "the same name twice"),
        (["enroll", "door", "--group", "a/b"], "is no name"),
        (["enroll", "door", "--group", "tür"], "is no name: 1 to 64 of a-z A-Z 0-9 _ -"),
        (["enroll", "a", "b", "--out", "/no/such"], "no folder"),
        (["enroll", "a", "--out", "/no/such/a.vedette"], "no folder"),
        (["revoke", "door"], "door was never enrolled"),
        (["acl", "--to", "/no/such"], "sudo install -d"),
    ],
)
def test_what_cannot_be_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    before = contents(path)
    assert says in refused(capsys, *words, "--dir", str(path))
    if words[0] != "acl":
        assert contents(path) == before


def test_a_certificate_needs_the_authority(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path / TOML).write_text('name = "yard"\n[broker]\nurl = "mqtts://b"\n')
    assert "run vedette fleet broker" in refused(capsys, "enroll", "a", "--dir", str(path))
    assert not (path / "enrolled").exists()


def test_a_file_for_a_device(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = ["--dir", str(fleet.path), "--out", str(out), "--acknowledged-by", "registry"]
    told = run(capsys, "enroll", "door", "gate", "--group", "a", "--group", "a", *words)
    assert "nothing to do at the broker" in told and "sudo vedette enroll door.vedette" in told
    assert sorted(os.listdir(out)) == ["door.vedette", "gate.vedette"]
    one = read(out / "door.vedette")
    assert (one.fleet, one.device, one.groups, one.url) == ("yard", "door", ("a",), URL)
    assert one.root == fleet.root.read_text() and one.acknowledged_by == "registry"
    assert one.command_keys == (load_key(fleet.command_key).public,)
    assert one.username is None and told_by(one.certificate_pem or "").name == "door"
    assert (out / "door.vedette").stat().st_mode & 0o777 == 0o600
    assert "--again" in refused(capsys, "enroll", "door", *words)
    assert "revoke it first" in refused(
        capsys, "enroll", "door", "--as", "depot", "--again", *words
    )
    again = json.loads(run(capsys, "enroll", "door", "--again", "--json", *words))
    assert (again["broker"], again["changed"]) == ("restart", ["crl.pem"])


def test_a_name_that_was_revoked_comes_again(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dir", str(fleet.path), "--json"]
    run(capsys, "enroll", "door", "--out", str(tmp_path / "1"), *words)
    told = json.loads(run(capsys, "revoke", "door", "--offline", *words))
    assert told["revoked"] and sorted(told["changed"]) == ["acl", "crl.pem"]
    assert told["steps"][-2:] == ["sudo systemctl reload mosquitto", "exit"]
    assert json.loads(run(capsys, "revoke", "door", "--offline", *words))["revoked"] is False
    told = json.loads(run(capsys, "enroll", "door", "--out", str(tmp_path / "2"), *words))
    assert told["broker"] == "restart" and told["changed"] == ["acl"]
    first, second = (read(tmp_path / name).certificate_pem or "" for name in "12")
    entry = Book(fleet.path).find("door")
    assert entry is not None and entry.serial == told_by(second).serial
    assert entry.gone == (told_by(first).serial,)


def test_files_for_a_person(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--as", "operator", "--dir", str(fleet.path), "--out", str(tmp_path)]
    told = run(capsys, "enroll", "ann", *words)
    assert f"--broker {URL} --fleet yard --ca-file ca.pem --certificate-file ann.pem" in told
    one = read(tmp_path / "ann.vedette")
    assert (one.role, one.root, one.command_keys) == ("operator", None, ())
    told = run(capsys, "enroll", "bob", "--password", *words)
    assert "mqtts://broker.example:8884" in told and "--password-file bob.password" in told
    assert (tmp_path / "bob.password").read_text().strip() == read(
        tmp_path / "bob.vedette"
    ).password
    assert (
        vedette.main(["enroll", str(tmp_path / "ann.vedette"), "--etc", str(tmp_path / "e")]) == 2
    )
    assert "for ann, an operator" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()


def test_a_simulator_is_told_how_it_comes(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--as", "simulator", "--dir", str(fleet.path), "--out", str(tmp_path)]
    told = run(capsys, "enroll", "sim", *words)
    pem = tmp_path / "sim.pem"
    assert f"--devices 20 --certificate-file {pem} --key-file {pem}\n" in told
    assert "may speak as any device" in told and "vedette fleet revoke sim\n" in told
    told = run(capsys, "enroll", "sim2", "--password", *words)
    secret = tmp_path / "sim2.password"
    assert f"--broker mqtts://broker.example:8884 --username sim2 --password-file {secret}" in told


def test_lists_for_the_broker_on_this_machine(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mosquitto"
    target.mkdir()
    words = ["--dir", str(fleet.path), "--to", str(target)]
    told = run(capsys, "acl", *words)
    assert "server: server, by certificate" in told
    assert sorted(os.listdir(target)) == ["acl", "crl.pem", "passwd"]
    assert json.loads(run(capsys, "acl", *words, "--json"))["changed"] == []
    (fleet.broker_files / "acl").unlink()
    assert json.loads(run(capsys, "acl", "--dir", str(fleet.path), "--json"))["changed"] == ["acl"]


def test_a_broker_of_somebody_else(path: Path, tmp_path: Path) -> None:
    """A CA file with words around its certificates, and no authority of ours."""
    other = make_yard(tmp_path / "other").place
    ca = (set_up(other, BrokerWish(URL), NOW_S).fleet.access / "ca.pem").read_text()
    (path / "ca").write_text(f"# of somebody\nsubject=x\n{ca}\n{ca}")
    text = 'name = "yard"\n[broker]\nurl = "mqtts://cloud.example"\nca_file = "ca"\n'
    (path / TOML).write_text(text)
    fleet = open_fleet(path)
    told = []

    def give(enrolment: object) -> tuple[Path, ...]:
        told.append(enrolment)
        return ()

    enrol(fleet, Book(path), "door", Wish(proof="password"), give, NOW_S)
    one = told[0]
    assert getattr(one, "url", "") == "mqtts://cloud.example"
    assert getattr(one, "ca_pem", "") == ca + ca
    assert write_proofs(one, tmp_path / "proofs")  # type: ignore[arg-type]
