"""The agent: takes what happens out of its inbox, one thing at a time, and decides.

Everything here runs on one thread. `step` waits for one event; what is due by the clock is done
in between.
"""

from __future__ import annotations

import logging
import time

from agent.announcing import Announcer
from agent.courier import Courier
from agent.fetch.words import FromFetch
from agent.lookout import Lookout
from agent.orderly import Deeds, Orderly
from agent.parts import Parts
from agent.presence import Doorplate
from agent.recorder import Recorder
from agent.reported import pipeline_states, state_of
from agent.runtimes import Runtimes
from agent.update.updating import STORE, open_fetching, open_updater
from agent.way import Way
from models.store import Store
from wire import topics
from wire.link import Connected, Delivered, Disconnected, LinkEvent, Received
from wire.local import Answer, Apply, Failed, Found, FromRuntime, Totals
from wire.messages import Ack, Reply, State, parse, to_json
from wire.troubles import Refused
from wire.version import VERSION

TURN_S = 1.0  # what is due by the clock is looked for at least this often
WATCHED_S = 10.0  # seconds between two records while somebody watches
STATE_GAP_S = 1.0
PARTING_S = 1.0  # how long the last records may take; those that do not arrive stay in the spool

log = logging.getLogger("vedette.agent")


class Agent:
    """Between the broker and the runtimes of one device."""

    def __init__(self, parts: Parts) -> None:
        config, clock = parts.config, parts.clock
        self._parts = parts
        self._clock = clock
        self._fleet, self._device = config.fleet, config.device
        now_s = clock.uptime_s()
        self._door = Doorplate(self._fleet, self._device, parts.boot, parts.keeping.identity)
        self._link = parts.make_link(self._device, self._post, self._door.will)
        store = Store(parts.folders.state / STORE)
        self._fetching = open_fetching(parts, self._link, store)
        self._courier = Courier(parts.keeping, self._link.publish, config, clock)
        self._recorder = Recorder(
            parts.keeping, parts.board, clock, parts.boot, parts.folders.run, self._courier.fresh
        )
        self._runtimes = Runtimes(parts.mailbox, parts.folders.run, config.pipeline, now_s)
        self._lookout = Lookout(self._recorder, self._runtimes, config.pipeline, clock)
        self._updater = open_updater(
            parts, store, self._recorder, self._runtimes, self._fetching, self._apply
        )
        deeds = Deeds(self.state, self._watch, self._settings_changed, self._send_picture)
        self._announcer = Announcer(config, parts.board.name, parts.keeping, self._link)
        self._orderly = Orderly(parts.commander, self._runtimes, parts.settings, clock, deeds)
        self._watched_until_s = now_s
        self._turned_s = now_s
        self._state_said: bytes | None = None
        self._state_said_s = now_s - STATE_GAP_S
        self._way = Way(config.broker.url, clock)

    def open(self) -> None:
        """Begin: say that we started and what was found damaged, and connect."""
        parts = self._parts
        parts.set_log_level(parts.settings.log_level)
        how = "" if parts.keeping.before is None else f": {parts.keeping.before}"
        self._recorder.note("agent", None, f"agent {VERSION} started{how}")
        for subject, damage in (
            ("settings", parts.settings.damage),
            ("commands", parts.commander.damage),
        ):
            if damage is not None:
                log.warning("%s", damage)
                self._recorder.note(subject, None, damage)
        self._look(self._clock.uptime_s())  # what was said before we started may be over
        for topic in (topics.command, topics.ack):
            self._link.subscribe(topic(self._fleet, self._device))
        self._link.subscribe(self._door.topic)
        if self._fetching is not None:
            self._link.subscribe(topics.bell(self._fleet))
            self._fetching.open()
        self._link.open()

    def close(self) -> None:
        """End in order: what was counted since the last record becomes one, and goodbye."""
        self._recorder.cut(self._runtimes.silent(self._clock.uptime_s()))
        end_s = time.monotonic() + PARTING_S
        while self._way.wrong is None and self._parts.keeping.waiting and time.monotonic() < end_s:
            self.step(PARTING_S / 10)
        if self._fetching is not None:
            self._fetching.close()
        self._link.publish(self._door.topic, self._door.goodbye(), retain=True)
        self._link.close()

    def step(self, timeout_s: float = TURN_S) -> None:
        """Wait for one event, take it, and do what is due."""
        event = self._parts.inbox.take(min(timeout_s, TURN_S))
        if event is not None:
            self._take(event)
        self._courier.tick()
        if self._clock.uptime_s() - self._turned_s >= TURN_S:
            self._turn()

    def status(self) -> str:
        """One line for systemctl status."""
        names = len(self._runtimes.names)
        link = self._way.wrong or f"connected to {self._parts.config.broker.url}"
        plural = "" if names == 1 else "s"
        waiting, done = self._parts.keeping.waiting, self._courier.acknowledged
        return f"{link}; {names} pipeline{plural}; {waiting} records wait, {done} acknowledged"

    def state(self) -> State:
        """What is published, retained."""
        parts, now_s = self._parts, self._clock.uptime_s()
        return state_of(
            parts.config,
            VERSION,
            parts.board.name,
            parts.boot,
            self._period_s(now_s),
            parts.settings.log_level,
            self._recorder.faults.standing(),
            parts.refused,
            pipeline_states(
                parts.config, self._recorder.ledger, self._runtimes, now_s, self._updater.update
            ),
            self._updater.trusted,
        )

    def _post(self, event: LinkEvent) -> None:
        """On the link's threads. Blocks of files would fill the inbox."""
        if self._fetching is None or not self._fetching.post(event):
            self._parts.inbox.post(event)

    def _take(self, event: LinkEvent | FromRuntime | FromFetch) -> None:
        if isinstance(event, Received):
            self._received(event)
        elif isinstance(event, Delivered):
            self._courier.delivered(event.number)
        elif isinstance(event, Totals):
            self._counted(event)
        elif isinstance(event, Found):
            self._found(event)
        elif isinstance(event, Answer):
            self._updater.answered(event)
            self._reply(self._orderly.answered(event))
        elif isinstance(event, Failed):
            self._failed(event)
        elif isinstance(event, Connected):
            self._connected(event)
        elif isinstance(event, Disconnected):
            self._disconnected(event)
        else:
            self._updater.take(event)
            self._say_state()

    def _connected(self, event: Connected) -> None:
        outage = self._way.came(event)
        word = self._door.connected(event.session, self._clock.uptime_s())
        self._link.publish(self._door.topic, word, retain=True)
        self._state_said = None
        self._say_state()
        self._announcer.announce()
        for reply in self._orderly.interrupted():
            self._reply(reply)
        self._courier.connected(event)
        if outage is not None:
            self._recorder.note("broker", None, outage)

    def _disconnected(self, event: Disconnected) -> None:
        self._way.went(event)
        if event.taken_over:
            self._door.taken_over(self._clock.uptime_s())
        self._courier.disconnected()

    def _received(self, event: Received) -> None:
        now_s = self._clock.uptime_s()
        if event.topic == self._door.topic:
            self._door.heard(event, now_s)
            self._correct_presence(now_s)
        elif event.topic == topics.command(self._fleet, self._device):
            if not event.retained:  # a command is for now
                self._reply(self._orderly.take(event.payload))
        elif event.topic == topics.bell(self._fleet):
            self._updater.ring(event.payload)
        else:
            try:
                self._courier.acked(parse(event.payload, Ack))
            except Refused as trouble:
                log.debug("on %s: %s", event.topic, trouble)

    def _counted(self, totals: Totals) -> None:
        name, now_s = totals.pipeline, self._clock.uptime_s()
        if name not in self._runtimes.names:
            return
        before = self._recorder.ledger.latest(name)
        is_new = before is None or before.run != totals.run
        if not self._recorder.hear(totals, self._runtimes.silent(now_s)):
            log.debug("totals of %s that cannot be true", name)
            return
        self._runtimes.heard(name, now_s)
        differs = totals.settings != self._parts.settings.pipeline(name)
        differs |= is_new and self._parts.settings.log_level != self._parts.config.log_level
        if differs and totals.phase != "ended":
            self._apply(name)
        self._updater.hear(totals)
        self._look(now_s)
        self._say_state()

    def _failed(self, failed: Failed) -> None:
        if failed.pipeline in self._runtimes.names:
            self._runtimes.failed(failed.pipeline, failed.why)
            self._updater.failed(failed)
            self._look(self._clock.uptime_s())
            self._say_state()

    def _found(self, found: Found) -> None:
        name = found.result.pipeline
        if name in self._runtimes.names:
            topic = topics.result(self._fleet, self._device, name)
            self._link.publish(topic, to_json(found.result), qos=0)

    def _turn(self) -> None:
        now_s = self._turned_s = self._clock.uptime_s()
        self._lookout.look_at_threads(self._parts.watch)
        self._parts.keeping.tick()
        if self._lookout.look_at_clock():
            self._updater.clock_was_set()
        if self._recorder.is_due(self._period_s(now_s)):
            self._recorder.cut(self._runtimes.silent(now_s))
            self._lookout.judge(self._recorder.windows)
        self._recorder.sample()
        self._updater.tick()
        self._look(now_s)
        for reply in self._orderly.overdue():
            self._reply(reply)
        self._correct_presence(now_s)
        self._say_state()

    def _look(self, now_s: float) -> None:
        faults = self._recorder.faults
        faults.tell("spool", None, self._parts.keeping.fault)
        faults.tell("name", None, self._door.rival(now_s))
        faults.tell("config", None, self._parts.refused)
        self._lookout.look(now_s, self._updater.damage)

    def _period_s(self, now_s: float) -> float:
        period_s = self._parts.settings.telemetry_period_s
        return min(period_s, WATCHED_S) if now_s < self._watched_until_s else period_s

    def _watch(self, seconds: float) -> None:
        """Several may watch: the one that watches longest counts."""
        self._watched_until_s = max(self._watched_until_s, self._clock.uptime_s() + seconds)
        self._say_state()

    def _settings_changed(self) -> None:
        self._parts.set_log_level(self._parts.settings.log_level)
        for name in self._runtimes.names:
            self._apply(name)
        self._say_state()

    def _apply(self, name: str) -> bool:
        """Have the process of a pipeline use its settings, and say what it has counted. Whether it
        is there."""
        settings = self._parts.settings
        wish = Apply(settings.pipeline(name), settings.log_level)
        return self._runtimes.is_there(name, wish)

    def _send_picture(self, identity: str, jpeg: bytes) -> bool:
        topic = topics.snapshot(self._fleet, self._device, identity)
        return self._link.publish(topic, jpeg) is not None

    def _reply(self, reply: Reply | None) -> None:
        if reply is not None:
            self._link.publish(topics.reply(self._fleet, self._device), to_json(reply))

    def _correct_presence(self, now_s: float) -> None:
        if (word := self._door.correction(now_s)) is not None:
            self._link.publish(self._door.topic, word, retain=True)

    def _say_state(self) -> None:
        """Publish the state if it is not what was published last, at most once a second."""
        now_s = self._clock.uptime_s()
        if self._state_said is not None and now_s - self._state_said_s < STATE_GAP_S:
            return
        payload = to_json(self.state())
        if payload == self._state_said:
            return
        topic = topics.state(self._fleet, self._device)
        if self._link.publish(topic, payload, retain=True) is not None:
            self._state_said, self._state_said_s = payload, now_s
