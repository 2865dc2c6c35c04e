"""Doors of the agent: a whole one, with what comes by the broker and from its runtimes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from agent.faults import Faults
from agent.fetch.day_budget import DayBudget
from agent.homeassistant import remembered
from agent.ledger import Ledger, newest
from agent.seen import SeenCommands
from agent.settings import Settings
from agent.update.log import UpdateBook, UpdateLog, What
from tests import telling
from tests.fuzz.door import Attempt, Door, Opened
from tests.fuzz.wire_doors import FROM_RUNTIME, ORDERS
from tests.rig import FixedBoard, Rig, SetClock, config_text, totals
from wire import local, orders, topics
from wire.config import parse
from wire.memory_link import MemoryBroker
from wire.messages import Ack, Window, to_json
from wire.signing import make_key
from wire.troubles import Refused

PERIOD_S = 61.0  # longer than between two records


class Live:
    """An agent that runs, with a broker in memory; `quiet` lets it take what came."""

    def __init__(self, folder: Path, last: ExitStack) -> None:
        self.key = make_key(folder / "key.pem")
        text = config_text(by="registry", mib=1)
        config = parse(f'{text}\n[commands]\nkeys = ["{self.key.public}"]\n', "vedette.toml")
        self.broker = MemoryBroker()
        self.clock = SetClock()
        self.rig = last.enter_context(
            Rig(folder, self.broker.link, config, self.clock, run=folder / "run")
        )
        self.rig.board = FixedBoard()
        self._round = 0

    def hear(self, topic: str, payload: bytes) -> None:
        self.broker.carry(topic, payload, retain=False)
        self.quiet()

    def quiet(self) -> None:
        """Now and then time passes, so that records are made of what came."""
        self._round += 1
        self.broker.sent.clear()
        self.rig.agent.step(0.0)
        while self.rig.inbox.last is not None:
            self.rig.agent.step(0.0)
        self.clock.up_s += PERIOD_S if self._round % 16 == 0 else 0.5
        self.rig.agent.step(0.0)
        to_json(self.rig.agent.state())


def open_broker(folder: Path, last: ExitStack) -> Opened:
    """First a byte that says on which topic, then the payload."""
    live = Live(folder, last)
    names = ("yard", "door")
    heard = (topics.command(*names), topics.ack(*names), topics.presence(*names))

    def attempt(content: bytes) -> None:
        number = content[0] if content else 0
        live.hear(heard[number % len(heard)], content[1:])

    command = orders.Command("yard", "door", "c1", 1_800_001_000, 1_800_001_300, orders.Status())
    spool = live.rig.keeping.ids()[-1]
    seeds = (
        b"\0" + orders.signed(command, live.key),
        b"\1" + to_json(Ack(spool, 1)),
        b"\2" + to_json(telling.presence(False)),
    )
    return Opened(attempt, seeds)


def open_command(folder: Path, last: ExitStack) -> Opened:
    """Orders of somebody who holds the command key."""
    live = Live(folder, last)
    count = 0

    def attempt(content: bytes) -> None:
        nonlocal count
        count += 1
        now = int(live.clock.wall_s())
        body = content.replace(b"@now@", str(now).encode()).replace(b"@id@", b"c%d" % count)
        body = body.replace(b"@end@", str(now + 60).encode())
        try:
            payload = orders.envelope.sealed(orders.DOMAIN, body, live.key)
        except UnicodeDecodeError:
            raise Refused("no text") from None
        live.hear(topics.command("yard", "door"), payload)
        live.clock.up_s += 1.0

    start = b'{"fleet":"yard","device":"door","id":"@id@","issued":@now@,"expires":@end@,"order":'
    seeds = tuple(start + msgspec.json.encode(order) + b"}" for order in ORDERS)
    return Opened(attempt, seeds)


def open_runtime(folder: Path, last: ExitStack) -> Opened:
    """Datagrams of a runtime that lost its mind, or of another process of its group."""
    live = Live(folder, last)
    decoder = msgspec.msgpack.Decoder(local.FromRuntime)

    def attempt(content: bytes) -> None:
        try:
            message = decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Refused("garbage: the mailbox counts it") from None
        live.rig.inbox.post(message)
        live.quiet()

    more = (totals(600, 20.0), totals(5, 1.0, run="run2", rss_bytes=None, absent="no camera"))
    seeds = tuple(map(msgspec.msgpack.encode, (*FROM_RUNTIME, *more)))
    return Opened(attempt, seeds)


def open_book(folder: Path, last: ExitStack) -> Opened:
    """The ledger's book as a killed agent left it; then it counts on."""
    ledger = Ledger("boot1", 10.0, None)
    ledger.hear(totals(300, 10.0))
    ledger.cut(20.0, set(), ())
    ledger.hear(totals(400, 14.0))
    seed = ledger.book()

    def attempt(content: bytes) -> None:
        again = Ledger("boot1", 30.0, newest([content]))
        again.hear(totals(600, 20.0))
        again.hear(totals(5, 1.0, run="run2"))
        _, windows = again.cut(40.0, set(), None)
        assert all(isinstance(window, Window) for window in windows.values())
        again.book()

    return Opened(attempt, (seed,))


def open_updates(folder: Path, last: ExitStack) -> Opened:
    """What was said about updates, kept beside the records."""
    what = What("digits", "2", "a" * 64, 4)
    books: list[bytes] = []
    first = UpdateBook(None, lambda _pipeline, _update, book: books.append(book), SetClock())
    UpdateLog("lane", first).report("fetching", what, 1, "reason", 3)

    def attempt(content: bytes) -> None:
        book = UpdateBook(content, lambda *_: None, SetClock())
        log = UpdateLog("lane", book)
        log.report("trial", what, 2)
        log.renew(what, 3)

    return Opened(attempt, tuple(books))


def open_faults(folder: Path, last: ExitStack) -> Opened:
    first = Faults(None)
    first.tell("camera", "lane", "it went away")
    first.due(100.0)

    def attempt(content: bytes) -> None:
        faults = Faults(content)
        faults.tell("camera", "lane", None)
        faults.due(1000.0)
        faults.standing()
        faults.book()

    return Opened(attempt, (first.book(),))


def kept(name: str, seed: bytes, use: Attempt, path: str) -> Door:
    """A file of the state folder."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        def attempt(content: bytes) -> None:
            (folder / path).write_bytes(content)
            use(str(folder).encode())
            (folder / f"{path}.damaged").unlink(missing_ok=True)

        return Opened(attempt, (seed,))

    return Door(f"kept.{name}", "a disk", open_, form="json")


CONFIG = parse(config_text(), "vedette.toml")
SEEN = (
    b'{"forgotten_s":1.0,"latest_s":2.0,"seen":[{"id":"c1","issued":1,"expires":9,"digest":"ab",'
    b'"done":true,"reply":{"id":"c1","ok":true,"text":"done","content":{"a":1}}}]}'
)
CHANGES = (
    b'{"telemetry_period_s":30.0,"log_level":"debug","pipelines":{"lane":{"results":"every",'
    b'"results_per_s":5.0,"min_score":0.5}}}'
)


def _use_settings(folder: bytes) -> None:
    settings = Settings(Path(folder.decode()), CONFIG)
    settings.pipeline("lane")
    assert 10 <= settings.telemetry_period_s <= 3600


def _use_seen(folder: bytes) -> None:
    seen = SeenCommands(Path(folder.decode()) / "commands.json", 1_800_000_000.0)
    for reply in seen.interrupted:
        to_json(reply)
    seen.get("c1")


def _use_budget(folder: bytes) -> None:
    budget = DayBudget(Path(folder.decode()) / "budget.json", 5, lambda: 1_800_000_000.0)
    budget.spend(1000)
    budget.why_not()


def open_topics_kept(folder: Path, last: ExitStack) -> Opened:
    def attempt(content: bytes) -> None:
        assert all(isinstance(one, str) for one in remembered(content))

    return Opened(attempt, (b'["homeassistant/device/a/config"]',))


DOORS: tuple[Door, ...] = (
    Door("agent.broker", "a broker", open_broker),
    Door("agent.command", "a thief of a command key", open_command, form="json"),
    Door("agent.runtime", "a process of this device", open_runtime, form="msgpack"),
    Door("kept.ledger", "a disk", open_book, form="msgpack"),
    Door("kept.updates", "a disk", open_updates, form="json"),
    Door("kept.faults", "a disk", open_faults, form="json"),
    Door("kept.announced", "a disk", open_topics_kept, form="json"),
    kept("settings", CHANGES, _use_settings, "settings.json"),
    kept("commands", SEEN, _use_seen, "commands.json"),
    kept("budget", b'{"day":20833,"fetched":1000}', _use_budget, "budget.json"),
)
