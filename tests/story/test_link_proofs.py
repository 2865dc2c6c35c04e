"""Passwords and certificates between a link and a real broker: what is wrong is said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.brokers import Authority, Listener, Mosquitto
from tests.story.links import ID, linked, secret
from wire.config import Broker
from wire.link import Connected, Disconnected
from wire.mqtt import tries as mqtt_tries
from wire.mqtt.mqtt import MqttLink
from wire.troubles import Refused

HOST = "127.0.0.1"
DAY = timedelta(days=1)


@pytest.mark.parametrize("version", [mqtt_tries.MQTT_5, mqtt_tries.MQTT_3_1_1])
def test_wrong_password_until_the_file_is_right(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_tries, "VERSIONS", (version,))
    file = secret(tmp_path, "wrong")
    with (
        Mosquitto(users={ID: "right"}) as mosquitto,
        linked(Broker(mosquitto.url(), password_file=str(file))) as (_, inbox),
    ):
        assert "user name or the password is wrong" in inbox.wait(Disconnected).why
        secret(tmp_path, "right")  # read anew: no restart; the user is the client's id
        inbox.wait(Connected)


def test_no_password_where_one_is_wanted() -> None:
    with Mosquitto(users={ID: "right"}) as mosquitto, linked(mosquitto.url()) as (_, inbox):
        assert "check the user name and the password file" in inbox.wait(Disconnected).why


def test_another_user_than_the_client_id(tmp_path: Path) -> None:
    with Mosquitto(users={"operator": "right"}) as mosquitto:
        file = str(secret(tmp_path, "right"))
        broker = Broker(mosquitto.url(), username="operator", password_file=file)
        with linked(broker) as (_, inbox):
            inbox.wait(Connected)


def test_files_that_come_later(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with (
        Mosquitto(users={ID: "right"}) as mosquitto,
        linked(Broker(mosquitto.url(), password_file=str(file))) as (_, inbox),
    ):
        why = inbox.wait(Disconnected).why
        assert why.startswith(f"the password file {file} cannot be read: No such file")
        secret(tmp_path, "")
        said = f"the password file {file}: empty"
        while said not in inbox.all_of(Disconnected)[-1].why:
            inbox.wait(Disconnected, len(inbox.all_of(Disconnected)) + 1)
        secret(tmp_path, "right")
        inbox.wait(Connected)


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_our_own_authority(scheme: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        Mosquitto(certified=authority.issue(HOST)) as mosquitto,
        Listener(mosquitto.port, "a") as witness,
        linked(Broker(mosquitto.url(scheme), ca_file=str(authority.file))) as (link, inbox),
    ):
        inbox.wait(Connected)
        payloads = [bytes([i]) * 60_000 for i in range(50)]
        for payload in payloads:
            assert link.publish("a", payload) is not None
        heard = witness.wait_for(lambda heard: len(heard) == len(payloads))
        assert [message.payload for message in heard] == payloads


def test_certificates_that_cannot_be_accepted(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    cases = [
        (authority.issue(HOST, starts=-9 * DAY, ends=-DAY), authority, "has expired: renew it"),
        (authority.issue(HOST, starts=DAY), authority, "is not valid yet: this device's clock"),
        (authority.issue(HOST), other, "nobody we trust signed"),
        (authority.issue(HOST), None, "nobody we trust signed"),
        (authority.issue("elsewhere"), authority, "is not for 127.0.0.1"),
    ]
    for certified, trusted, said in cases:
        with Mosquitto(certified=certified) as mosquitto:
            ca_file = None if trusted is None else str(trusted.file)
            with linked(Broker(mosquitto.url("mqtts"), ca_file=ca_file)) as (link, inbox):
                assert said in inbox.wait(Disconnected).why
                assert "certificate" in inbox.wait(Disconnected).why
                assert link.publish("a", b"") is None


def test_certificates_of_clients(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    mine, foreign = authority.issue(ID), other.issue("stranger")
    with Mosquitto(certified=authority.issue(HOST), clients=authority) as mosquitto:
        url, ca_file = mosquitto.url("mqtts"), str(authority.file)
        with linked(Broker(url, ca_file=ca_file)) as (_, inbox):
            assert "client certificate" in inbox.wait(Disconnected).why
        shown = Broker(
            url,
            ca_file=ca_file,
            certificate_file=str(foreign.certificate),
            key_file=str(foreign.key),
        )
        with linked(shown) as (_, inbox):
            why = inbox.wait(Disconnected).why  # the reset may overtake the alert
            assert "rejects our client certificate" in why or "that it accepts ours" in why
        shown = Broker(
            url, ca_file=ca_file, certificate_file=str(mine.certificate), key_file=str(mine.key)
        )
        with linked(shown) as (_, inbox):
            inbox.wait(Connected)
        swapped = Broker(
            url, ca_file=ca_file, certificate_file=str(mine.certificate), key_file=str(foreign.key)
        )
        with linked(swapped) as (_, inbox):
            assert "is not the certificate's key" in inbox.wait(Disconnected).why


def test_encrypted_or_not_at_the_wrong_port(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Mosquitto(certified=authority.issue(HOST)) as mosquitto:
        plain = f"mqtt://{HOST}:{mosquitto.tls_port}"
        with linked(plain) as (_, inbox):
            assert "perhaps TLS (then write mqtts://)" in inbox.wait(Disconnected).why
        with linked(f"mqtts://{HOST}:{mosquitto.port}") as (_, inbox):
            assert inbox.wait(Disconnected).why.startswith("TLS: 127.0.0.1, port ")
        with linked(f"ws://{HOST}:{mosquitto.port}") as (_, inbox):
            assert "MQTT web socket" in inbox.wait(Disconnected).why
        with linked(f"mqtt://{HOST}:{mosquitto.ws_port}") as (_, inbox):
            assert f"port {mosquitto.ws_port}" in inbox.wait(Disconnected).why


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        (Broker("http://host"), "http:// is not known"),
        (Broker("mqtt://host:99999"), "URL"),
        (Broker("mqtt://user:secret@host"), "holds a user name"),
        (Broker("mqtt://host", ca_file="/ca.pem"), "the CA file /ca.pem would not be used"),
        (
            Broker("ws://host", key_file="/key.pem"),
            "write wss:// in the broker's URL, or do without",
        ),
        (
            Broker("mqtts://host", key_file="/key.pem"),
            "the key file /key.pem has no certificate file",
        ),
    ],
)
def test_what_can_never_work_is_refused_at_once(broker: Broker, said: str) -> None:
    with pytest.raises(Refused, match=r"^the ") as refused:
        MqttLink(broker, ID, lambda _: None)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_rubbish_in_the_files(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_bytes(b"\xff\x00no certificate")
    name = str(rubbish)
    cases = [
        (Broker("mqtts://127.0.0.1:1", ca_file=name), "the CA file "),
        (Broker("mqtts://127.0.0.1:1", certificate_file=name), "the certificate file "),
        (Broker("mqtt://127.0.0.1:1", password_file=name), "the password file "),
    ]
    for broker, said in cases:
        with linked(broker) as (_, inbox):
            assert inbox.wait(Disconnected).why.startswith(f"{said}{name}: ")
