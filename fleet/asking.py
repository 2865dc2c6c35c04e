"""A command to one device and its answer: signed, sent, and sent again until the answer is there.

Sending again is safe: a device carries out a command once and answers it as often as it comes. So
an answer that was lost on its way, and a device that was away for a moment, cost only time.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from fleet.inbox import Inbox
from wire import topics
from wire.link import Connected, Disconnected, Link, Post, Received
from wire.messages import LARGEST, Presence, Reply, parse
from wire.orders import LONGEST_LIFETIME_S, Command, Order, Snapshot, signed
from wire.signing import SigningKey
from wire.troubles import Refused, Unavailable

AGAIN_S, SELDOM_S = 3.0, 30.0  # between two sendings: the first gap, and the longest
PICTURE_S = 5.0  # how much longer than its reply a picture may take
SOON_S = 2.0  # presence is retained: it comes at once or not at all
CLOCKS_S = 60  # how far the device's clock may be ahead of ours
JPEG_START = b"\xff\xd8\xff"

MakeLink = Callable[[str, Post], Link]  # client id, where events go
Note = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """picture: the JPEG of a snapshot if the device says that it sent one, else None."""

    reply: Reply
    picture: bytes | None = None


def new_command(fleet: str, device: str, order: Order, now_s: float, timeout_s: float) -> Command:
    """A command that is valid for as long as we wait. now_s: Unix time."""
    issued = int(now_s)
    lifetime_s = min(math.ceil(timeout_s) + CLOCKS_S, LONGEST_LIFETIME_S)
    return Command(fleet, device, secrets.token_hex(8), issued, issued + lifetime_s, order)


def is_picture(payload: bytes) -> bool:
    """Whether it may be a JPEG from a device: whoever writes to the topic decides what comes."""
    return payload.startswith(JPEG_START) and len(payload) <= LARGEST


def ask(
    make_link: MakeLink, command: Command, key: SigningKey, timeout_s: float, note: Note
) -> Answer:
    """Send a command and wait for its answer, whatever it is. note: says what we wait for.

    Raises Unavailable if there is no answer in time, with what is known of the device.
    """
    conversation = _Conversation(command, signed(command, key), note)
    link = make_link(f"ask-{secrets.token_hex(6)}", conversation.inbox.post)
    for topic in conversation.topics:
        link.subscribe(topic)
    try:
        link.open()
        return conversation.hold(link, timeout_s)
    finally:
        conversation.inbox.close()
        link.close()


class _Conversation:
    """What was heard so far. Times are of time.monotonic()."""

    def __init__(self, command: Command, payload: bytes, note: Note) -> None:
        self.inbox = Inbox()
        fleet, device = command.fleet, command.device
        self._reply_topic = topics.reply(fleet, device)
        self._presence_topic = topics.presence(fleet, device)
        self._picture_topic = topics.snapshot(fleet, device, command.id)
        self._command = command
        self._payload = payload
        self._note = note
        self._noted: str | None = None
        self._connected_s: float | None = None
        self._broken: str | None = None  # why there is no connection now
        self._refused_size = False
        self._send_s = math.inf
        self._gap_s = AGAIN_S
        self._presence: Presence | None = None
        self._left_s: float | None = None  # when we saw it go offline
        self._reply: Reply | None = None
        self._replied_s = math.inf
        self._picture: bytes | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """Where answers come."""
        own = (self._reply_topic, self._presence_topic)
        return (*own, self._picture_topic) if self._wants_picture else own

    @property
    def _wants_picture(self) -> bool:
        return isinstance(self._command.order, Snapshot)

    def hold(self, link: Link, timeout_s: float) -> Answer:
        """Until the answer is there. Raises Unavailable."""
        until_s = time.monotonic() + timeout_s
        while (now_s := time.monotonic()) < min(until_s, self._replied_s + PICTURE_S):
            if now_s >= self._send_s:
                self._send(link, now_s)
            self._look_around(now_s)
            self._wait(min(until_s, self._send_s, now_s + SOON_S) - now_s)
            if self._reply is not None and (self._picture or not self._awaits_picture):
                return Answer(self._reply, self._picture if self._reply.ok else None)
        raise Unavailable(self._silence(timeout_s))

    @property
    def _awaits_picture(self) -> bool:
        return self._wants_picture and self._reply is not None and self._reply.ok

    def _send(self, link: Link, now_s: float) -> None:
        took = link.publish(
            topics.command(self._command.fleet, self._command.device), self._payload
        )
        self._refused_size = took is None
        if self._reply is None:
            self._send_s = now_s + self._gap_s
            self._gap_s = min(2 * self._gap_s, SELDOM_S)
        else:
            self._send_s = math.inf

    def _wait(self, seconds: float) -> None:
        """Take what happens next, if it happens in time."""
        event = self.inbox.take(seconds)
        if isinstance(event, Received):
            self._receive(event)
        elif isinstance(event, Connected):
            self._connected_s = time.monotonic()
            self._broken = None
            self._send_soon()
        elif isinstance(event, Disconnected):
            if self._connected_s is None and event.refused:
                raise Unavailable(event.why)
            self._broken = event.why
            self._send_s = math.inf

    def _receive(self, message: Received) -> None:
        if message.topic == self._presence_topic:
            self._hear_presence(message)
        elif message.topic == self._reply_topic:
            self._hear_reply(message.payload)
        elif message.topic == self._picture_topic and is_picture(message.payload):
            self._picture = message.payload

    def _hear_presence(self, message: Received) -> None:
        try:
            presence = parse(message.payload, Presence)
        except Refused:
            return
        was_online = self._presence is not None and self._presence.online
        if was_online and not presence.online:
            self._left_s = time.monotonic()
        if presence.online and self._presence is not None and not was_online:
            self._send_soon()  # it is back, and may not have heard us
        self._presence = presence

    def _hear_reply(self, payload: bytes) -> None:
        try:
            reply = parse(payload, Reply)
        except Refused:
            return
        if reply.id == self._command.id and self._reply is None:
            self._reply = reply
            self._replied_s = time.monotonic()

    def _send_soon(self) -> None:
        if self._reply is None:
            self._send_s, self._gap_s = 0.0, AGAIN_S

    def _look_around(self, now_s: float) -> None:
        """Say once what is odd, so that nobody waits in the dark."""
        is_early = self._connected_s is not None and now_s - self._connected_s < SOON_S
        if self._reply is not None or is_early:
            return
        odd = self._oddity()
        if odd is not None and odd != self._noted:
            self._noted = odd
            awaited = "the broker" if self._connected_s is None else self._command.device
            self._note(f"{odd}: waiting for {awaited}")

    def _oddity(self) -> str | None:
        """What keeps the device from answering, as far as can be told."""
        device, fleet = self._command.device, self._command.fleet
        if self._connected_s is None:
            return self._broken
        if self._broken is not None:
            return f"the broker went away: {self._broken}"
        if self._refused_size:
            return "the broker does not take the command"
        if self._presence is None:
            return f"{device} was never seen in fleet {fleet} at this broker"
        if not self._presence.online:
            return f"{device} is offline"
        return None

    def _silence(self, timeout_s: float) -> str:
        """Why there is no answer, and what to do."""
        device, odd = self._command.device, self._oddity()
        if self._connected_s is None:
            return f"no connection to the broker in {timeout_s:g} s: {odd or 'check --broker'}"
        if self._reply is not None:
            return f"{device} sent a picture that did not come: ask again"
        if odd is None:
            return (
                f"{device} is online but did not answer in {timeout_s:g} s: ask again, or look at "
                "its agent's journal"
            )
        if self._presence is None and self._broken is None:
            return f"no answer: {odd}: check DEVICE and --fleet"
        if self._left_s is not None and self._presence is not None and not self._presence.online:
            since_s = time.monotonic() - self._left_s
            return f"no answer in {timeout_s:g} s: {odd} since {since_s:.0f} s"
        return f"no answer in {timeout_s:g} s: {odd}"
