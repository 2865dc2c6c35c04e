"""Enrolled names at a real mosquitto with the files that the product writes: each does its work
and no more, and who was revoked is out."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import HOST
from tests.enrolled import Client, Scene, told, until, vedette, why_refused
from wire import topics
from wire.config import Broker
from wire.enrolment import read

FLEET = "yard"
DOOR = f"vedette/{FLEET}/device/door"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Scene(tmp_path_factory.mktemp("scene")) as scene:
        yield scene


def persons(scene: Scene, name: str, role: str) -> Broker:
    """The files that commands take."""
    out = scene.folder / f"of-{name}"
    out.mkdir()
    done = vedette(
        "fleet", "enroll", name, "--as", role, "--dir", str(scene.path), "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    scene.broker.bring()
    scene.broker.reload()
    proof = str(out / f"{name}.pem")
    return Broker(scene.fleet.broker.url, None, None, str(out / "ca.pem"), proof, proof)


def test_a_device_speaks_as_itself_only(scene: Scene) -> None:
    door = scene.broker_for(scene.enroll("door", "--group", "a"), scene.folder / "door")
    other = scene.broker_for(scene.enroll("other"), scene.folder / "other")
    with (
        Client(scene.fleet.broker, "watcher", f"vedette/{FLEET}/device/#") as server,
        Client(door, "door", topics.command(FLEET, "door")) as device,
        Client(other, "other", "#") as thief,
    ):
        scene.forbids(thief, f"{DOOR}/telemetry", f"vedette/{FLEET}/to/door/command")
        scene.forbids(thief, "vedette/other/device/other/state")
        device.say(f"{DOOR}/telemetry", b"true")
        server.hear(f"{DOOR}/telemetry", b"true")
        assert b"false" not in [one.payload for one in server.heard]
        device.say(topics.event(FLEET, "door"), b"{}")
        thief.say(topics.event(FLEET, "other"), b"{}")
        server.hear(topics.event(FLEET, "other"), b"{}")
        assert [topic for topic in thief.topics() if "/door" in topic] == []
        assert device.heard == []


def test_without_a_certificate_or_with_anothers_nobody_comes(scene: Scene, tmp_path: Path) -> None:
    ours = scene.fleet.broker
    bare = Broker(ours.url, ca_file=ours.ca_file)
    assert "certificate" in (why_refused(bare, "door") or "")
    strangers = Scene(tmp_path)
    theirs = strangers.fleet.broker
    false = Broker(ours.url, None, None, ours.ca_file, theirs.certificate_file, theirs.key_file)
    assert why_refused(false, "door") is not None
    assert why_refused(Broker(ours.url, ca_file=theirs.ca_file), "door") is not None
    plain = Broker(ours.url.replace("mqtts", "mqtt"))
    assert why_refused(plain, "door") is not None


def test_roles_do_their_work_and_no_more(scene: Scene) -> None:
    ann, keeper = persons(scene, "ann", "operator"), persons(scene, "keeper", "registry")
    everything = f"vedette/{FLEET}/#"
    with (
        Client(scene.fleet.broker, "s", everything) as server,
        Client(ann, "a", everything) as operator,
        Client(keeper, "k", everything) as registry,
    ):
        forbidden = [f"{DOOR}/state", topics.ack(FLEET, "door"), topics.bell(FLEET)]
        scene.forbids(operator, *forbidden)
        scene.forbids(registry, topics.command(FLEET, "door"), topics.bell(FLEET), f"{DOOR}/event")
        scene.forbids(server, f"{DOOR}/state")
        operator.say(topics.offer(FLEET, "7", "want"), b"of the operator")
        server.hear(topics.offer(FLEET, "7", "want"), b"of the operator")
        server.say(topics.bell(FLEET), b"of the server", retain=True)
        operator.hear(topics.bell(FLEET), b"of the server")
        for client in (server, operator, registry):
            assert b"false" not in [one.payload for one in client.heard]


def test_simulated_devices_need_a_name_of_their_own(scene: Scene) -> None:
    """In the order that the commands print: refused in one line that says what to do, then not."""
    words = ("fleet", "simulate", "--dir", str(scene.path), "--devices", "5", "--seconds", "20")
    refused = vedette(*words)
    assert (refused.returncode, refused.stdout) == (1, "")
    errors = [line for line in refused.stderr.splitlines() if line.startswith("vedette: ")]
    assert len(errors) == 1 and "vedette fleet enroll sim --as simulator" in errors[0]
    assert refused.stderr.count("does not let us") == 0, refused.stderr
    told = vedette(*words, "--json")
    assert told.returncode == 1 and json.loads(told.stdout)["heard"] == 0
    # it ends when one was not heard for a while; on a busy machine others are not connected yet
    ((why, count),) = json.loads(told.stdout)["troubles"].items()
    assert "do not let it speak" in why and 1 <= count <= 5
    sim = persons(scene, "sim", "simulator")
    assert sim.certificate_file is not None
    proof = ("--certificate-file", sim.certificate_file, "--key-file", sim.certificate_file)
    with Client(scene.fleet.broker, "w", topics.presence(FLEET, "simulated-5")) as server:
        done = vedette(*words, *proof, "--seconds", "5", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert (report["heard"], report["troubles"]) == (5, {})
        server.until(lambda event: getattr(event, "payload", b"") != b"")


def test_who_was_revoked_is_out_after_a_reload(scene: Scene) -> None:
    file = scene.enroll("gate")
    gate = scene.broker_for(file, scene.folder / "gate")
    here = topics.presence(FLEET, "gate")
    with (
        Client(scene.fleet.broker, "w", f"vedette/{FLEET}/device/#") as server,
        Client(gate, "gate", topics.command(FLEET, "gate")) as open_one,
    ):
        open_one.say(here, b"{}", retain=True)
        server.hear(here, b"{}")
        first = vedette("fleet", "revoke", "gate", "--dir", str(scene.path))
        assert (first.returncode, first.stderr) == (0, ""), "what is expected is no trouble"
        assert "after the reload run it once more to clear its last words" in first.stdout
        scene.broker.bring()
        scene.broker.reload()
        assert why_refused(gate, "gate-2") is not None
        scene.forbids(open_one, topics.event(FLEET, "gate"))
        server.say(topics.command(FLEET, "gate"), b"secret")
        server.say(topics.bell(FLEET), b"last", retain=True)
        server.say(topics.ack(FLEET, "door"), b"x")
        assert topics.event(FLEET, "gate") not in server.topics()
        assert open_one.heard == []
        again = scene.revoke("gate")
        assert (again["revoked"], again["kept"]) == (False, "removed")
        server.hear(here, b"")
    with Client(scene.fleet.broker, "w2", here) as late:
        late.say(topics.ack(FLEET, "door"), b"x")
        assert late.heard == []


def test_the_same_name_again(scene: Scene) -> None:
    """Also where the old connection was open all the time: that is what the restart is for."""
    old = scene.broker_for(scene.enroll("hall"), scene.folder / "hall")
    done = vedette("fleet", "enroll", "hall", "--dir", str(scene.path))
    assert done.returncode == 2 and "--again" in done.stderr
    with Client(old, "hall") as open_one:
        new = scene.broker_for(scene.enroll("hall", "--again"), scene.folder / "hall-2")
        open_one.until(lambda event: type(event).__name__ == "Disconnected")
    assert why_refused(old, "hall") is not None
    with Client(scene.fleet.broker, "w", f"vedette/{FLEET}/device/+/event") as server:
        with Client(new, "hall") as device:
            device.say(topics.event(FLEET, "hall"), b"new")
        server.hear(topics.event(FLEET, "hall"), b"new")
    scene.revoke("hall")
    scene.broker.bring()
    scene.broker.reload()
    assert why_refused(new, "hall") is not None
    third = scene.broker_for(scene.enroll("hall"), scene.folder / "hall-3")
    assert why_refused(third, "hall") is None
    assert why_refused(old, "hall") is not None and why_refused(new, "hall") is not None


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_of_before_does_not_help(scene: Scene, newest: ssl.TLSVersion) -> None:
    """TLS lets who was here before in again without showing a certificate; not who was revoked."""
    name = f"again{newest.value}"
    broker = scene.broker_for(scene.enroll(name), scene.folder / name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    assert broker.ca_file is not None and broker.certificate_file is not None
    context.load_verify_locations(broker.ca_file)
    context.load_cert_chain(broker.certificate_file)
    session = shakes_hands(scene.port, context, None)
    assert session is not None
    assert shakes_hands(scene.port, context, session) is not None, "it works as long as it may"
    scene.revoke(name, "--offline")
    scene.broker.bring()
    scene.broker.reload()
    with pytest.raises(OSError):
        shakes_hands(scene.port, context, session)


def shakes_hands(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> ssl.SSLSession | None:
    """Connect as MQTT client. Raises OSError where the broker does not let us in."""
    plain = socket.create_connection((HOST, port), 30)
    with plain, context.wrap_socket(plain, server_hostname=HOST, session=session) as connection:
        connection.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01s")
        if connection.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("no CONNACK")
        assert connection.session_reused == (session is not None)
        return connection.session


def test_a_reload_is_not_enough_for_the_same_name(scene: Scene) -> None:
    """Why `enroll` asks for a restart there: mosquitto 2.0.11 does not end the old connection."""
    old = scene.broker_for(scene.enroll("porch"), scene.folder / "porch")
    topic = topics.event(FLEET, "porch")
    with (
        Client(scene.fleet.broker, "w", topic) as server,
        Client(old, "porch") as open_one,
    ):
        file = scene.folder / "porch-2.vedette"
        again = ["enroll", "porch", "--again", "--out", str(file)]
        done = told("fleet", *again, "--dir", str(scene.path))
        assert done["broker"] == "restart"
        scene.broker.bring()
        scene.broker.reload()
        assert why_refused(old, "porch-2") is not None
        open_one.say(topic, b"still here")
        server.hear(topic, b"still here")
        new = scene.broker_for(file, scene.folder / "porch-2")
        with Client(new, "porch"):
            open_one.until(lambda event: type(event).__name__ == "Disconnected")


def test_a_password_beside_certificates(scene: Scene) -> None:
    file = scene.enroll("pete", "--password")
    enrolment = read(file)
    assert enrolment.password is not None and enrolment.url.endswith(str(scene.port + 1))
    assert enrolment.password not in "".join(
        path.read_text() for path in scene.path.rglob("*") if path.is_file()
    )
    pete = scene.broker_for(file, scene.folder / "pete")
    assert why_refused(pete, "pete") is None
    assert why_refused(Broker(pete.url, ca_file=pete.ca_file), "pete") is not None
    with Client(pete, "pete") as device:
        scene.revoke("pete", "--offline")
        scene.broker.bring()
        scene.broker.reload()
        device.until(lambda event: type(event).__name__ == "Disconnected")
    assert why_refused(pete, "pete") is not None


def test_a_new_password_ends_the_old_one_at_once(tmp_path: Path) -> None:
    with Scene(tmp_path, "mqtt") as scene:
        old = scene.broker_for(scene.enroll("door"), tmp_path / "old")
        assert old.password_file is not None
        with (
            Client(scene.fleet.broker, "w", f"vedette/{FLEET}/device/#") as server,
            Client(old, "door") as device,
        ):
            device.say(f"{DOOR}/event", b"{}")
            server.hear(f"{DOOR}/event", b"{}")
        new = scene.broker_for(scene.enroll("door", "--again"), tmp_path / "new")
        assert why_refused(new, "door") is None
        assert why_refused(old, "door") is not None
        assert why_refused(Broker(new.url), "door") is not None
        until(lambda: "not authorised" in scene.broker.log)
