"""What keeps a device from its broker, each with a real cause: the sentence, and the command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.checking import broker as checking
from agent.checking.certificates import look_at_proofs
from tests.brokers import Authority, Listener, Mosquitto, free_port
from tests.certificates import Certified
from tests.device import Device, until
from tests.examined import Place, shut_out, with_clock
from tests.laws.sources import ROOT
from wire import mends, topics
from wire.config import load
from wire.folders import Folders

ENROLL_AGAIN = "vedette fleet enroll door --again"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brokers")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[Mosquitto]:
    with Mosquitto(certified=authority.issue("127.0.0.1")) as broker:
        yield broker


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[Mosquitto]:
    """Asks for a client certificate on TLS, and for a password everywhere."""
    certified = authority.issue("127.0.0.1")
    users = {"door": "of door", "mute": "of mute"}
    acl = "user door\ntopic write vedette/yard/device/door/#\n"
    with Mosquitto(users=users, acl=acl, certified=certified, clients=authority) as broker:
        yield broker


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def with_password(place: Place, url: str, password: str, more: str = "") -> Place:
    file = place.folder / "password"
    file.write_text(password)
    file.chmod(0o600)
    return place.make(url, f'password_file = "{file}"\n{more}')


def proof(shown: Certified) -> str:
    return f'certificate_file = "{shown.certificate}"\nkey_file = "{shown.key}"\n'


def test_all_is_well(place: Place, broker: Mosquitto) -> None:
    found = place.make(broker.url()).check()
    assert [one.level for one in found.of("broker")] == ["ok", "ok"]
    assert "takes this device in (MQTT 5" in found.of("broker", "sign-in")[0].says


def test_all_is_well_over_tls(place: Place, broker: Mosquitto, authority: Authority) -> None:
    found = place.make(broker.url("mqtts"), f'ca_file = "{authority.file}"').check()
    assert found.bad("broker") == []
    (vouches,) = found.of("broker", "authority's certificate")
    assert (vouches.level, "it is valid until 20" in vouches.says) == ("ok", True)


def test_nothing_listens(place: Place) -> None:
    told = place.make(f"mqtt://127.0.0.1:{free_port()}").check().the_bad("broker")
    assert "nothing listens at 127.0.0.1" in told.says
    assert (told.mend, told.where) == (mends.listen(), "here")


def test_no_such_host(place: Place) -> None:
    told = place.make("mqtt://no-such-host.invalid").check().the_bad("broker")
    assert "no-such-host.invalid" in told.says
    if "looked up now" in told.says:  # there is no DNS server that could say so
        assert told.mend in ("nmcli device status", "networkctl status")
    else:
        assert told.mend is not None and "check-config" in told.mend


@pytest.mark.slow
def test_no_answer(place: Place) -> None:
    """A firewall that swallows everything looks like a queue that is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        told = place.make(f"mqtt://127.0.0.1:{full.getsockname()[1]}").check().the_bad("broker")
    assert "no answer from 127.0.0.1" in told.says
    assert told.mend is not None and told.mend.startswith("sudo ufw allow")


def test_a_broker_that_drips_ends_what_is_asked_of_it(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, and the handshake never ends."""
    monkeypatch.setattr(checking, "REACH_S", 0.5)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=_drip, args=(listening,), daemon=True).start()
        url = f"mqtts://127.0.0.1:{listening.getsockname()[1]}"
        place.make(url, f'ca_file = "{authority.file}"')
        folders = Folders(place.config, place.state, place.folder / "run")
        *_, told = checking.look_at_broker(load(place.config), folders, is_clock_right=True)
    assert (told.level, told.about) == ("bad", "connection")
    assert "no answer from 127.0.0.1" in told.says


def _drip(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a long first word
        for _ in range(200):
            connection.sendall(b"\x00")
            time.sleep(0.02)


def test_another_authority(place: Place, broker: Mosquitto) -> None:
    other = Authority(place.folder, "other")
    found = place.make(broker.url("mqtts"), f'ca_file = "{other.file}"').check()
    told = found.the_bad("broker")
    assert "nobody we trust signed the broker's certificate" in told.says
    assert told.mend is not None and told.mend.startswith(ENROLL_AGAIN)
    assert told.where == "operator"


@pytest.mark.parametrize(
    ("host", "starts", "ends", "says", "mend"),
    [
        ("127.0.0.1", -20, -1, "has expired: renew it", "vedette fleet broker"),
        ("other.example", -1, 30, "is not for 127.0.0.1", "vedette fleet broker --host 127.0.0.1"),
    ],
    ids=["expired", "another name"],
)
def test_the_brokers_certificate(
    place: Place, host: str, starts: int, ends: int, says: str, mend: str
) -> None:
    authority = Authority(place.folder)
    shown = authority.issue(host, starts=timedelta(days=starts), ends=timedelta(days=ends))
    with Mosquitto(certified=shown) as broker:
        found = place.make(broker.url("mqtts"), f'ca_file = "{authority.file}"').check()
    told, clock = found.the_bad("broker"), found.of("clock")[0]
    assert says in told.says
    # of a clock that follows nobody the certificate is not the first to be suspected
    suspects_clock = "expired" in says and clock.level != "ok"
    assert told.mend == (clock.mend if suspects_clock else mend)


def test_a_clock_that_is_behind(place: Place, broker: Mosquitto, authority: Authority) -> None:
    place.make(broker.url("mqtts"), f'ca_file = "{authority.file}"')
    found = place.check(environment=with_clock("-4y"))
    told = found.the_bad("broker")
    assert "is not valid yet: this device's clock says 20" in told.says
    assert told.mend is not None and "timedatectl set-ntp true" in told.mend
    (clock,) = found.of("clock")
    assert (clock.level, clock.mend) == ("bad", told.mend)
    assert "before this version was made" in clock.says


def test_no_tls_there(place: Place, broker: Mosquitto) -> None:
    told = place.make(f"mqtts://127.0.0.1:{broker.port}").check().the_bad("broker")
    assert "TLS" in told.says and not told.says.startswith(f"{told.about}: ")
    assert told.mend is not None and "check-config" in told.mend


def test_no_client_certificate(place: Place, strict: Mosquitto, authority: Authority) -> None:
    url, line = strict.url("mqtts"), f'ca_file = "{authority.file}"'
    told = with_password(place, url, "of door", line).check().the_bad("broker")
    assert "client certificate" in told.says
    assert told.mend is not None and told.mend.startswith(ENROLL_AGAIN)


def test_a_client_certificate_of_another_authority(
    place: Place, strict: Mosquitto, authority: Authority
) -> None:
    other = Authority(place.folder, "other").issue("door")
    lines = f'ca_file = "{authority.file}"\n{proof(other)}'
    told = with_password(place, strict.url("mqtts"), "of door", lines).check().the_bad("broker")
    assert "rejects our client certificate" in told.says or "whether it wants" in told.says
    assert told.mend is not None and told.mend.startswith(ENROLL_AGAIN)


def test_a_client_certificate_that_expired_or_soon_will(
    place: Place, strict: Mosquitto, authority: Authority
) -> None:
    gone = authority.issue("door", starts=timedelta(days=-9), ends=timedelta(days=-2))
    lines = f'ca_file = "{authority.file}"\n{proof(gone)}'
    found = with_password(place, strict.url("mqtts"), "of door", lines).check()
    own = found.of("broker", "this device's certificate")[0]
    assert own.level == "bad" and "it has expired on 20" in own.says
    assert own.mend is not None
    follows = found.of("clock")[0].level == "ok"  # else it may be the clock that is wrong
    assert own.mend.startswith(ENROLL_AGAIN if follows else "sudo ")
    assert ("a clock that follows nobody" in own.says) is not follows
    broker = load(place.config).broker
    for right, mend in ((True, ENROLL_AGAIN), (False, "sudo ")):
        (told, _) = look_at_proofs(broker, "door", time.time(), is_clock_right=right)
        assert told.mend is not None and told.mend.startswith(mend)
    near = authority.issue("door", ends=timedelta(days=9))
    lines = f'ca_file = "{authority.file}"\n{proof(near)}'
    found = with_password(place, strict.url("mqtts"), "of door", lines).check()
    own = found.of("broker", "this device's certificate")[0]
    assert own.level == "warning" and "it expires on 20" in own.says
    assert found.bad("broker") == []


def test_a_wrong_password(place: Place, strict: Mosquitto) -> None:
    told = with_password(place, strict.url(), "of yard").check().the_bad("broker")
    assert "the user name or the password is wrong" in told.says
    assert told.mend is not None and told.mend.startswith(ENROLL_AGAIN)
    assert with_password(place, strict.url(), "of door").check().bad("broker") == []


def test_rules_that_do_not_know_the_device(place: Place, strict: Mosquitto) -> None:
    place = with_password(place, strict.url(), "of mute", 'username = "mute"')
    told = place.check().the_bad("broker")
    assert told.about == "rules"
    assert "does not let us write to vedette/yard/device/door/reply" in told.says
    assert told.mend is not None and told.mend.startswith("vedette fleet acl")


def test_a_password_that_the_service_cannot_read(place: Place, strict: Mosquitto) -> None:
    with_password(place, strict.url(), "of door")
    file = place.folder / "password"
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
    else:
        file.chmod(0)
    told = place.check(before=shut_out()).the_bad("broker")
    assert "cannot be read: Permission denied" in told.says
    assert told.mend == f"sudo chgrp vedette {file} && sudo chmod 640 {file}"
    file.unlink()
    told = place.check().the_bad("broker")
    assert "No such file" in told.says
    assert told.mend == "sudo vedette enroll door.vedette"


def test_an_agent_is_not_disturbed(tmp_path: Path, broker: Mosquitto) -> None:
    presence, state = topics.presence("yard", "door"), topics.state("yard", "door")
    with (
        Listener(broker.port, "vedette/yard/device/door/#") as ear,
        Device(tmp_path / "device", broker.port) as device,
    ):
        device.start("agent")
        ear.wait_for(lambda heard: any(one.topic == state for one in heard))
        before = len(ear.payloads(presence))
        assert before == 1
        place = ["--config", str(device.config), "--state", str(tmp_path / "device" / "state")]
        words = [sys.executable, "-m", "vedette", "agent", "--check", "--json", *place]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=100)
        assert f"the agent (process {device.pid('agent')}) is connected".encode() in done.stdout
        with Listener(broker.port, presence) as later:  # what was said before that was heard
            later.wait_for(lambda heard: len(heard) == 1)
        assert len(ear.payloads(presence)) == before, "neither gone nor come again"
        assert device.runs("agent")
        device.signal("agent", signal.SIGTERM)
        until(lambda: not device.runs("agent"))


@pytest.mark.slow
def test_the_doctor_asks_the_agents_part(place: Place, broker: Mosquitto) -> None:
    found = place.make(broker.url()).doctor()
    assert [one.about for one in found.of("broker")] == ["sign-in", "rules"]
    assert found.bad("broker") == []
