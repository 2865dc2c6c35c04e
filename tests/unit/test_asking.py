"""One question, one answer: through lost messages, absent devices and brokers that go away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.commander import Accepted, Commander
from fleet import asking
from fleet.asking import Answer, ask, new_command
from wire import config, topics
from wire.link import Disconnected, Link, LinkEvent, Post, Received
from wire.memory_link import MemoryBroker, MemoryLink
from wire.messages import Presence, Reply, to_json
from wire.orders import Bench, Command, Order, Snapshot, Status
from wire.signing import SigningKey, make_key
from wire.troubles import Unavailable

JPEG = b"\xff\xd8\xff\xe0 and so on"
PATIENCE_S = 20.0  # for what should come at once: the machine may be busy
SHORT_S = 0.4


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value_s in (("AGAIN_S", 0.05), ("SOON_S", 0.05), ("PICTURE_S", 0.3)):
        monkeypatch.setattr(asking, name, value_s)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("keys") / "ops.pem")


def configured(key: SigningKey) -> config.Config:
    text = 'device = "door"\n[broker]\nurl = "mqtt://localhost"\n'
    text += f'[commands]\nsnapshot = true\nkeys = ["{key.public}"]\n'
    return config.parse(text, "vedette.toml")


class Device:
    """A device that judges commands as the real one does. Its troubles are set by the tests.

    deaf: commands that it does not hear. lost: replies that do not get through. done: ids of what
    was carried out. before_reply, after_reply: what else happens then.
    """

    def __init__(self, broker: MemoryBroker, folder: Path, key: SigningKey) -> None:
        self.broker = broker
        self.deaf = self.lost = self.heard = 0
        self.silent = False
        self.done: list[str] = []
        self.before_reply: Callable[[Command], None] = lambda command: None
        self.after_reply: Callable[[Command], None] = lambda command: None
        self.link = broker.link("door", self.hear)
        self._commander = Commander(folder, configured(key), time.time())
        self.link.subscribe(topics.command("home", "door"))
        self.link.open()

    def appear(self, online: bool = True) -> None:
        presence = to_json(Presence(online, "boot", "session", "spool"))
        self.link.publish(topics.presence("home", "door"), presence, retain=True)

    def hear(self, event: LinkEvent) -> None:
        if not isinstance(event, Received):
            return
        self.heard += 1
        if self.heard <= self.deaf or self.silent:
            return
        taken = self._commander.take(event.payload, time.time())
        if isinstance(taken, Accepted):
            self.done.append(taken.command.id)
            self.before_reply(taken.command)
            self.say(self._commander.finish(taken.command.id, Reply(taken.command.id, True, "ok")))
            self.after_reply(taken.command)
        elif taken is not None:
            self.say(taken)

    def say(self, reply: Reply) -> None:
        if self.lost > 0:
            self.lost -= 1
        else:
            self.link.publish(topics.reply("home", "door"), to_json(reply))

    def show(self, command: Command, picture: bytes = JPEG) -> None:
        self.link.publish(topics.snapshot("home", "door", command.id), picture)


class Room:
    """An operator and a device at one broker."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.broker = MemoryBroker()
        self.device = Device(self.broker, folder, key)
        self.device.appear()
        self.key = key
        self.notes: list[str] = []
        self.links: list[MemoryLink] = []
        self.names: list[str] = []

    def make_link(self, client_id: str, post: Post) -> Link:
        self.names.append(client_id)
        self.links.append(self.broker.link(client_id, post))
        return self.links[-1]

    def ask(
        self, order: Order, timeout_s: float = PATIENCE_S, device: str = "door", fleet: str = "home"
    ) -> Answer:
        command = new_command(fleet, device, order, time.time(), timeout_s)
        return ask(self.make_link, command, self.key, timeout_s, self.notes.append)

    def silence(self, order: Order, device: str = "door") -> str:
        with pytest.raises(Unavailable) as trouble:
            self.ask(order, SHORT_S, device)
        return str(trouble.value)

    def break_connection(self) -> None:
        """As a network does; the link comes back by itself."""
        self.broker.cut(self.names[-1])
        self.links[-1].open()


@pytest.fixture
def room(tmp_path: Path, key: SigningKey) -> Room:
    return Room(tmp_path, key)


def test_an_answer_comes_and_the_link_is_closed(room: Room) -> None:
    answer = room.ask(Status())
    assert answer == Answer(Reply(room.device.done[0], True, "ok"))
    assert room.notes == []
    assert room.links[0].publish("x", b"") is None, "closed"


def test_every_question_has_an_id_and_a_client_of_its_own(room: Room) -> None:
    room.ask(Status())
    room.ask(Status())
    assert len(set(room.device.done)) == 2
    assert len(set(room.names)) == 2 and "door" not in room.names


def test_a_device_that_does_not_hear_is_asked_again(room: Room) -> None:
    room.device.deaf = 2
    assert room.ask(Status()).reply.ok
    assert room.device.heard == 3
    assert len(room.device.done) == 1


def test_an_answer_that_got_lost_is_asked_for_again_and_nothing_is_done_twice(room: Room) -> None:
    room.device.lost = 2
    assert room.ask(Bench()).reply.ok
    assert len(room.device.done) == 1 and room.device.heard == 3


def test_the_gap_between_sendings_grows(room: Room) -> None:
    room.device.silent = True
    room.silence(Status())
    assert 2 <= room.device.heard <= 4, "at 0, 0.05, 0.15 and 0.35 s"


def test_answers_to_others_and_garbage_are_not_ours(room: Room) -> None:
    def others(command: Command) -> None:
        reply_topic = topics.reply("home", "door")
        for payload in (b"", b"\xff", b"[]", b"{}", b'{"id":3,"ok":true,"text":""}', b"[" * 99999):
            room.device.link.publish(reply_topic, payload)
            room.device.link.publish(topics.presence("home", "door"), payload)
        room.device.link.publish(reply_topic, to_json(Reply("another", False, "no")))

    room.device.before_reply = others
    assert room.ask(Status()).reply.text == "ok"


def test_a_refusal_is_an_answer(room: Room, tmp_path: Path) -> None:
    room.key = make_key(tmp_path / "other.pem")
    answer = room.ask(Status())
    assert not answer.reply.ok and "does not know the key" in answer.reply.text
    assert room.device.done == []


def test_an_unknown_device_is_said(room: Room) -> None:
    why = room.silence(Status(), device="dooor")
    assert "dooor was never seen in fleet home" in why and "--fleet" in why
    assert room.notes == ["dooor was never seen in fleet home at this broker: waiting for dooor"]


def test_an_absent_device_is_said(room: Room) -> None:
    room.device.silent = True
    room.device.appear(online=False)
    assert room.silence(Status()) == "no answer in 0.4 s: door is offline"
    assert room.notes == ["door is offline: waiting for door"]


def test_a_device_that_leaves_meanwhile_is_said(room: Room) -> None:
    room.device.before_reply = lambda command: room.device.appear(online=False)
    room.device.lost = 1000
    assert "door is offline since 0 s" in room.silence(Status())


def test_a_device_that_is_there_and_mute_is_said(room: Room) -> None:
    room.device.silent = True
    why = room.silence(Status())
    assert "door is online but did not answer in 0.4 s" in why and "journal" in why
    assert room.notes == []


def test_a_device_that_comes_back_is_asked_at_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "AGAIN_S", 1000.0)
    room.device.silent = True
    room.device.appear(online=False)

    def back(text: str) -> None:
        room.device.silent = False
        room.device.appear()

    command = new_command("home", "door", Status(), time.time(), PATIENCE_S)
    assert ask(room.make_link, command, room.key, PATIENCE_S, back).reply.ok


def test_a_connection_that_breaks_is_made_again_and_the_question_repeated(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "AGAIN_S", 1000.0)
    room.device.before_reply = lambda command: room.break_connection()
    room.device.lost = 1
    assert room.ask(Bench()).reply.ok
    assert len(room.device.done) == 1


def test_a_broker_that_goes_away_is_said(room: Room) -> None:
    room.device.before_reply = lambda command: room.broker.stop()
    why = room.silence(Status())
    assert "the broker went away: the broker stopped" in why
    assert room.notes == ["the broker went away: the broker stopped: waiting for door"]


class Lost:
    """A link that does not find the broker at first. finds: how it is made, once it does."""

    def __init__(self, post: Post, refused: bool, finds: Callable[[], Link] | None) -> None:
        self._post = post
        self._refused = refused
        self._finds = finds
        self._found: Link | None = None
        self._patterns: list[str] = []
        self.is_closed = False
        self._later = threading.Timer(0.2, self._find)

    def open(self) -> None:
        self._post(Disconnected("nothing listens at localhost", 1.0, refused=self._refused))
        self._later.start()

    def _find(self) -> None:
        if self._finds is not None:
            self._found = self._finds()
            for pattern in self._patterns:
                self._found.subscribe(pattern)
            self._found.open()

    def subscribe(self, pattern: str) -> None:
        self._patterns.append(pattern)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        assert self._found is not None
        return self._found.publish(topic, payload, qos=qos, retain=retain)

    def close(self) -> None:
        self.is_closed = True
        self._later.cancel()
        self._later.join()
        if self._found is not None:
            self._found.close()


def ask_lost(room: Room, timeout_s: float, *, refused: bool, comes: bool) -> Answer:
    made: list[Lost] = []

    def make(client_id: str, post: Post) -> Link:
        finds = (lambda: room.make_link(client_id, post)) if comes else None
        made.append(Lost(post, refused, finds))
        return made[-1]

    command = new_command("home", "door", Status(), time.time(), timeout_s)
    try:
        return ask(make, command, room.key, timeout_s, room.notes.append)
    finally:
        assert made[0].is_closed


def test_a_broker_that_comes_back_in_time_is_asked(room: Room) -> None:
    assert ask_lost(room, PATIENCE_S, refused=False, comes=True).reply.ok
    assert room.notes == ["nothing listens at localhost: waiting for the broker"]


def test_a_broker_that_is_not_there_is_said_after_the_time(room: Room) -> None:
    begun_s = time.monotonic()
    with pytest.raises(Unavailable) as trouble:
        ask_lost(room, SHORT_S, refused=False, comes=False)
    assert time.monotonic() - begun_s >= SHORT_S
    why = "no connection to the broker in 0.4 s: nothing listens at localhost"
    assert str(trouble.value) == why


def test_a_broker_that_refuses_us_is_said_at_once(room: Room) -> None:
    with pytest.raises(Unavailable, match=r"^nothing listens at localhost$"):
        ask_lost(room, 1000.0, refused=True, comes=False)
    assert room.notes == []


def test_a_broker_that_takes_no_command_is_said(room: Room) -> None:
    room.broker.most_bytes = 50
    assert "the broker does not take the command" in room.silence(Status())


@pytest.mark.parametrize("moment", ["before_reply", "after_reply"])
def test_a_picture_may_come_before_or_after_its_reply(room: Room, moment: str) -> None:
    setattr(room.device, moment, room.device.show)
    assert room.ask(Snapshot()).picture == JPEG


def test_a_picture_that_was_lost_is_said(room: Room) -> None:
    assert "sent a picture that did not come" in room.silence(Snapshot())
    for junk in (b"<html>", JPEG + bytes(300_000)):
        room.device.before_reply = lambda command, junk=junk: room.device.show(command, junk)
        assert "sent a picture that did not come" in room.silence(Snapshot())


def test_a_picture_that_the_device_disowns_is_no_answer(room: Room) -> None:
    def disown(command: Command) -> None:
        room.device.show(command)
        room.device.say(Reply(command.id, False, "the agent was restarted while doing this"))

    room.device.before_reply = disown
    answer = room.ask(Snapshot())
    assert not answer.reply.ok and answer.picture is None


def test_a_refused_picture_is_not_waited_for(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PICTURE_S", 1000.0)
    room.key = make_key(tmp_path / "other.pem")
    assert room.ask(Snapshot()).picture is None


def test_a_command_is_valid_for_as_long_as_we_wait(room: Room) -> None:
    command = new_command("home", "door", Status(), 1_800_000_000.9, 14.2)
    assert (command.issued, command.expires) == (1_800_000_000, 1_800_000_075)
    longest = new_command("home", "door", Status(), 1_800_000_000.0, 3600.0)
    assert longest.expires - longest.issued == 3600
    assert room.ask(Status(), timeout_s=3600.0).reply.ok
