"""How far towards the broker this device comes: its name, a connection, TLS, sign-in, its rules."""

from __future__ import annotations

import queue
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from agent.checking.broker_words import not_reached, not_signed_in
from agent.checking.certificates import day, look_at_proofs, soon
from agent.checking.running import connection_of_agent
from wire import mends, topics
from wire.backoff import Backoff
from wire.config import Broker, Config
from wire.finding import Finding
from wire.folders import Folders
from wire.link import Connected, Delivered, Disconnected, LinkEvent
from wire.messages import Reply
from wire.mqtt import words
from wire.mqtt.mqtt import MqttLink
from wire.mqtt.proofs import Proofs, proofs_of
from wire.mqtt.url import Address, address_of
from wire.troubles import Trouble

CONNECT_S = 8.0  # of each address
REACH_S = 25.0  # for all of it: the name, every address, TLS
SIGN_IN_S = 25.0  # a broker that knows only 3.1.1 is tried twice
ANSWER_S = 6.0
STAYS_S = 1.5
NOT_AUTHORISED = 0x87

Made = TypeVar("Made")


def look_at_broker(config: Config, folders: Folders, is_clock_right: bool) -> Iterator[Finding]:
    """Each step that is made, up to the first that fails.

    It joins under a client id of its own, says one reply to nobody, and goes; where an agent is
    connected already, that is left alone.
    """
    device = config.device
    broker = _as_device(config.broker, device)
    try:
        address = address_of(broker.url)
        proofs = proofs_of(broker, address, device)
    except Trouble as trouble:
        yield Finding("broker", "bad", "proofs", str(trouble), _mend_of_file(broker, device))
        return
    yield from look_at_proofs(broker, device, time.time(), is_clock_right)
    try:
        until_s = _in_time(lambda: _shake_hands(address, proofs))
    except (OSError, ValueError) as error:
        yield not_reached(address, error, device, folders.config, is_clock_right)
        return
    yield from _end_of_broker(until_s, time.time())
    pid = _connected_agent(folders.state, address)
    if pid is not None:
        says = f"the agent (process {pid}) is connected to {address}, and is not disturbed"
        yield Finding("broker", "ok", "sign-in", says)
        return
    yield from _sign_in(config, broker, address)


def _as_device(broker: Broker, device: str) -> Broker:
    """With the user name that the agent comes under, whatever our client id."""
    if broker.password_file is None or broker.username is not None:
        return broker
    return replace(broker, username=device)


def _mend_of_file(broker: Broker, device: str) -> str:
    """For a file that cannot be used: one that is there is given to the service."""
    named = (broker.password_file, broker.ca_file, broker.certificate_file, broker.key_file)
    for path in filter(None, named):
        try:
            with open(path, "rb"):
                continue
        except PermissionError:
            return mends.readable(path)
        except OSError:
            break
    return f"sudo vedette enroll {device}.vedette"


def _shake_hands(address: Address, proofs: Proofs) -> float | None:
    """Connect, and over TLS learn until when the broker's certificate is valid. Raises OSError."""
    with socket.create_connection((address.host, address.port), CONNECT_S) as plain:
        if proofs.tls is None:
            return None
        with proofs.tls.wrap_socket(plain, server_hostname=address.host) as secure:
            shown = secure.getpeercert() or {}
            return ssl.cert_time_to_seconds(str(shown["notAfter"])) if shown else None


def _in_time(work: Callable[[], Made]) -> Made:
    """On a thread that is left behind where it takes too long: a name that is looked up, and a
    broker that drips, may take any time, and the sections after this one are waiting."""
    made: queue.Queue[Made | Exception] = queue.Queue()

    def run() -> None:
        try:
            made.put(work())
        except (OSError, ValueError) as error:
            made.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        found = made.get(timeout=REACH_S)
    except queue.Empty:
        raise TimeoutError(f"not in {REACH_S:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _end_of_broker(until_s: float | None, now_s: float) -> Iterator[Finding]:
    if until_s is not None and soon(until_s, now_s):
        yield Finding(
            "broker", "warning", "its certificate",
            f"the broker's certificate is valid until {day(until_s)} only: renew it before",
            "vedette fleet broker", "operator",
        )  # fmt: skip


def _connected_agent(state: Path, address: Address) -> int | None:
    """The process, if its connection stays: one that is refused is made anew all the time."""
    first = connection_of_agent(state, address.port)
    if first is None:
        return None
    time.sleep(STAYS_S)
    return first.pid if connection_of_agent(state, address.port) == first else None


def _sign_in(config: Config, broker: Broker, address: Address) -> Iterator[Finding]:
    events: queue.Queue[LinkEvent] = queue.Queue()
    name = f"{config.device[:40]}-check-{secrets.token_hex(4)}"
    try:
        link = MqttLink(broker, name, events.put, backoff=Backoff())
    except Trouble as trouble:
        yield Finding("broker", "bad", "proofs", str(trouble))
        return
    started_s = time.monotonic()
    link.open()
    try:
        met = _next(events, SIGN_IN_S)
        if not isinstance(met, Connected):
            why = met.why if isinstance(met, Disconnected) else words.silent(address, SIGN_IN_S)
            yield not_signed_in(why, config.device)
            return
        took_ms = (time.monotonic() - started_s) * 1000
        yield Finding(
            "broker", "ok", "sign-in",
            f"{address} takes this device in ({met.protocol}, {took_ms:.0f} ms)",
        )  # fmt: skip
        yield _may_write(link, events, config)
    finally:
        link.close()


def _may_write(link: MqttLink, events: queue.Queue[LinkEvent], config: Config) -> Finding:
    """A reply to a question that nobody asked is heard by nobody."""
    topic = topics.reply(config.fleet, config.device)
    nothing = msgspec.json.encode(Reply(f"check-{secrets.token_hex(8)}", True, "vedette doctor"))
    number = link.publish(topic, nothing)
    met = None if number is None else _next(events, ANSWER_S)
    if isinstance(met, Delivered):
        return Finding("broker", "ok", "rules", f"it may write to {topic}")
    if isinstance(met, Disconnected):
        return not_signed_in(met.why, config.device)
    return Finding(
        "broker", "bad", "rules", words.not_published(topic, NOT_AUTHORISED),
        "vedette fleet acl, then as it says", "operator",
    )  # fmt: skip


def _next(events: queue.Queue[LinkEvent], patience_s: float) -> LinkEvent | None:
    """The next that says how it went."""
    end_s = time.monotonic() + patience_s
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            event = events.get(timeout=left_s)
        except queue.Empty:
            break
        if isinstance(event, Connected | Disconnected | Delivered):
            return event
    return None
