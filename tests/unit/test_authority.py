"""The fleet's authority and its book: what is issued holds, and what ended is on the list."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509

from fleet.enrolment.authority import Authority, make_authority, open_authority
from fleet.enrolment.book import Book, Entry
from fleet.enrolment.broker_files import configuration, passwords
from fleet.enrolment.certificates import belong_together, new_key, told_by
from fleet.enrolment.passwords import PATTERN, hash_of, is_of, new_password
from fleet.enrolment.rules import rules
from fleet.folder import FleetFolder, Mosquitto
from tests.laws.sources import ROOT
from wire.config import Broker
from wire.troubles import Refused, Unavailable

YEAR_S = 365 * 24 * 3600.0
NOW_S = 1_800_000_000.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("keys") / "authority.pem", "y" * 64, NOW_S)


def test_its_file(tmp_path: Path) -> None:
    path = tmp_path / "authority.pem"
    with pytest.raises(Unavailable, match="run vedette fleet broker"):
        open_authority(path)
    made = make_authority(path, "yard", NOW_S)
    assert path.stat().st_mode & 0o777 == 0o600
    again = open_authority(path)
    assert again.certificate_pem == made.certificate_pem
    assert again.certified(made.issue("door", NOW_S).certificate_pem)
    told = told_by(made.certificate_pem)
    assert told.ends_s - NOW_S == 20 * YEAR_S and told.starts_s == NOW_S - 86_400
    for content in (b"", b"hello", made.certificate_pem.encode(), path.read_bytes()[700:]):
        path.write_bytes(content)
        with pytest.raises(Refused, match="restore it from a backup"):
            open_authority(path)


def test_what_a_device_gets(authority: Authority) -> None:
    one, other = authority.issue("d" * 64, NOW_S), authority.issue("d" * 64, NOW_S)
    assert one.serial != other.serial and re.fullmatch("[0-9a-f]{40}", one.serial)
    told = told_by(one.certificate_pem)
    assert (told.name, told.serial, told.hosts) == ("d" * 64, one.serial, ())
    assert (told.starts_s, told.ends_s) == (NOW_S - 86_400, NOW_S + 10 * YEAR_S)
    assert belong_together(one.certificate_pem, one.key_pem)
    assert not belong_together(one.certificate_pem, other.key_pem)
    late = authority.issue("door", NOW_S + 15 * YEAR_S)
    assert told_by(late.certificate_pem).ends_s == told_by(authority.certificate_pem).ends_s


def test_a_clock_that_is_years_behind_signs_nothing(tmp_path: Path, authority: Authority) -> None:
    """It would have expired by the clocks of all others."""
    with pytest.raises(Unavailable, match="clock says 1970-01-01: set it first"):
        make_authority(tmp_path / "authority.pem", "yard", 10.0)
    assert not (tmp_path / "authority.pem").exists()
    for sign in (authority.issue, lambda _, now_s: authority.certify_broker(new_key(), "b", now_s)):
        with pytest.raises(Unavailable, match="clock says 1970-01-01"):
            sign("door", 10.0)


def test_what_the_broker_gets(authority: Authority) -> None:
    key = new_key()
    pem = authority.certify_broker(key, ("broker.lan", "10.0.0.1", "::1"), NOW_S)
    told = told_by(pem)
    assert told.hosts == ("broker.lan", "10.0.0.1", "::1")
    assert told.ends_s == NOW_S + 2 * YEAR_S and belong_together(pem, key)
    assert authority.certified(pem) and not authority.certified("hello")


def test_the_list_of_those_that_ended(authority: Authority) -> None:
    first = authority.revocations((), None)
    assert authority.revocations((), first) == first, "nothing new, nothing written"
    gone = tuple(authority.issue("door", NOW_S).serial for _ in range(3))
    second = authority.revocations(gone, first)
    third = authority.revocations(gone[:2], second)
    lists = [x509.load_pem_x509_crl(pem.encode()) for pem in (first, second, third)]
    starts = [each.last_update_utc for each in lists]
    assert starts == sorted(set(starts)) and starts[-1].timestamp() < NOW_S
    ends = told_by(authority.certificate_pem).ends_s
    for each in lists:
        assert each.next_update_utc == datetime.fromtimestamp(ends, timezone.utc)
    assert [len(list(each)) for each in lists] == [0, 3, 2]
    assert authority.revocations(gone[::-1], second) == second
    for other in ("", "hello", second[:-40]):
        assert "BEGIN X509 CRL" in authority.revocations(gone, other)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_thinks_so_too(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "authority.pem", "yard", time.time())
    good, bad = authority.issue("door", time.time()), authority.issue("door", time.time())
    server = authority.certify_broker(new_key(), ("broker.lan",), time.time())
    texts = {
        "ca.pem": authority.certificate_pem, "good.pem": good.certificate_pem,
        "bad.pem": bad.certificate_pem, "server.pem": server,
        "crl.pem": authority.revocations((bad.serial,), None),
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def verify(name: str, purpose: str) -> str:
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-crl_check", "-purpose", purpose,
             "-CAfile", "ca.pem", "-CRLfile", "crl.pem", name],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout + done.stderr

    assert "good.pem: OK" in verify("good.pem", "sslclient")
    assert "server.pem: OK" in verify("server.pem", "sslserver")
    assert "certificate revoked" in verify("bad.pem", "sslclient")
    assert "OK" not in verify("good.pem", "sslserver"), "a device is no broker"
    assert "OK" not in verify("server.pem", "sslclient"), "a broker is no device"


def test_passwords() -> None:
    password = new_password()
    assert len(password) == 32 and password != new_password()
    hashed = hash_of(password)
    assert re.match(PATTERN, hashed) and is_of(password, hashed)
    assert not is_of(password + "x", hashed) and hash_of(password) != hashed


def test_the_book(tmp_path: Path) -> None:
    book, a, b, c = Book(tmp_path), "a" * 40, "b" * 40, "c" * 40
    assert book.find("door") is None and book.entries() == []
    book.begin("door", "device", a)
    unfinished = book.find("door")
    assert unfinished is not None and not unfinished.belongs and unfinished.gone == (a,)
    book.finish(Entry("door", "device", ("g",), a, enrolled_s=1))
    assert book.find("door") == Entry("door", "device", ("g",), a, enrolled_s=1)
    book.begin("door", "device", b)
    waiting = book.find("door")
    assert waiting is not None and waiting.belongs and waiting.serial == a
    book.begin("door", "device", c)
    book.finish(Entry("door", "device", (), c, enrolled_s=2))
    done = book.find("door")
    assert done is not None and done.serial == c and set(done.gone) == {a, b}
    assert book.revoke("door", 7.9) and not book.revoke("door", 9.0)
    revoked = book.find("door")
    assert revoked is not None and revoked.revoked_s == 7 and set(revoked.gone) == {a, b, c}
    book.finish(Entry("door", "device", (), password_hash=hash_of("x"), enrolled_s=3))
    again = book.find("door")
    assert again is not None and again.belongs and set(again.gone) == {a, b, c}
    with pytest.raises(Refused, match="fence was never enrolled; those who were: door"):
        book.revoke("fence", 1.0)
    book.let_forget("fence", 4.0)
    with pytest.raises(Refused, match="fence was never enrolled; those who were: door;"):
        book.revoke("fence", 5.0)
    with pytest.raises(Refused, match="is no name"):
        book.find("../door")
    for path in (tmp_path / "enrolled").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('name = "fence"\nrole = "device"\n', r"door\.toml: name: fence belongs into"),
        ('name = "door"\nrole = "king"\n', "role"),
        ('name = "door"\nrole = "device"\nserial = "7"\n', "serial"),
        ('name = "door"\nrole = "device"\npassword_hash = "x:y"\n', "password_hash"),
        ('name = "door"\nrole = "device"\npassword = "x"\n', "password"),
        ("hello", "not valid TOML"),
    ],
)
def test_a_page_of_the_book_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "enrolled").mkdir()
    (tmp_path / "enrolled" / "door.toml").write_text(text)
    for asked in (lambda: Book(tmp_path).find("door"), lambda: Book(tmp_path).entries()):
        with pytest.raises(Refused, match=words):
            asked()


def named(name: str, role: str = "device", **values: object) -> Entry:
    import msgspec

    return msgspec.convert({"name": name, "role": role, "serial": "a" * 40, **values}, Entry)


def test_the_rules_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs" / "wire.md").read_text()
    (shown,) = re.findall(r"^```acl\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    roles = ("server", "registry", "depot", "operator")
    assert rules("home", [named("door"), *(named(role, role) for role in roles)]) == shown


def test_rules_for_those_who_left() -> None:
    entries = [
        named("door", revoked_s=1), named("server", "server"), named("ann", "operator"),
        named("bob", "operator", revoked_s=1), named("cut", serial=None, pending="b" * 40),
    ]  # fmt: skip
    text = rules("yard", entries)
    assert "user ann\n" in text and "cut" not in text
    assert text.count("user bob\n") == 1 and "user bob\ntopic deny #\n" in text
    server = text.partition("user server\n")[2].partition("\n\n")[0]
    assert "topic write vedette/yard/device/door/presence\n" in server
    assert text.endswith("# revoked\nuser door\ntopic deny #\n")


def test_rules_for_one_that_was_forgotten() -> None:
    """The server may remove what is kept of it; it is not forbidden anything."""
    entries = [named("old", serial=None, forgotten_s=1), named("server", "server")]
    text = rules("yard", entries)
    assert "topic write vedette/yard/device/old/state\n" in text and "deny" not in text


def test_a_simulator_is_warned_of_in_the_rules_and_commands_nobody() -> None:
    text = rules("yard", [named("sim", "simulator")])
    block = text.partition("# vedette fleet simulate")[2]
    assert "warning: it may speak as ANY device" in block and "user sim\n" in block
    assert [line for line in block.splitlines() if "write" in line] == [
        "topic readwrite vedette/yard/device/#"
    ]


def test_the_password_file(tmp_path: Path) -> None:
    hashed = hash_of("x")
    entries = [
        named("door", serial=None, password_hash=hashed), named("yard"),
        named("old", serial=None, password_hash=hashed, revoked_s=1),
    ]  # fmt: skip
    assert passwords(entries) == f"door:{hashed}\n"
    fleet = FleetFolder(
        tmp_path, "yard", Broker("mqtts://b:9000"), mosquitto=Mosquitto("/p", (), "::1")
    )
    text = configuration(fleet, entries)
    assert "listener 9000 ::1\n" in text and "listener 9001 ::1\n" in text
    assert text.count("require_certificate true") == 1 and "password_file /p/passwd" in text
    text = configuration(fleet, entries[1:])
    assert "listener 9001" not in text and "password_file" not in text
    plain = FleetFolder(tmp_path, "yard", Broker("mqtt://b"))
    assert "listener 1883\n" in configuration(plain, []) and "tls" not in configuration(plain, [])


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    """What a fleet's folder on a broken disk costs is a sentence."""
    book = Book(tmp_path)
    (tmp_path / "enrolled").write_text("in the way")
    with pytest.raises(OSError):
        book.write(named("door"))
    assert os.listdir(tmp_path) == ["enrolled"]
