"""The alerts of a fleet: what is wrong is looked at, written down, and told to every target."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from fleet.alerts.book import AlertBook, Told
from fleet.alerts.bulletin import Message, bulletin, repeated
from fleet.alerts.ledger import Change, Key, Ledger, Trouble
from fleet.alerts.sending import Address, address_of, identity, send
from fleet.alerts.terms import Alerting, Target
from fleet.alerts.troubles import OF_THE_FLEET, sight_of
from fleet.live.line import Line
from wire.troubles import Refused, Unavailable, one_line

LEASE_S = 30.0  # who alerts must say so again within: longer than it takes to tell one target
AGAIN_S, SELDOM_S = 30.0, 1800.0  # between two tries to reach a target: the first, and the longest
MOST_UNSAVED = 50_000  # changes, while the database is away

Send = Callable[[Address, Message], None]

log = logging.getLogger("vedette.alerts")


class Alerts:
    """`step` now and then, on one thread. now_s: Unix time. send: for tests."""

    def __init__(
        self,
        fleet: str,
        terms: Alerting,
        targets: Sequence[Target],
        book: AlertBook,
        send: Send = send,
    ) -> None:
        self._fleet = fleet
        self._terms = terms
        self._targets = targets
        self._book = book
        self._send = send
        self._holder = secrets.token_hex(8)
        self._ledger: Ledger | None = None  # None: another process alerts
        self._next = 0  # target
        self._unsaved: list[Change] = []
        self._forgotten: list[Key] = []
        self._said: dict[str, str] = {}  # what was last complained of, by what it is about

    @property
    def is_ours(self) -> bool:
        """Whether this process is the one that alerts."""
        return self._ledger is not None

    @property
    def trouble(self) -> str | None:
        """Who cannot be told, or why nothing can be written down."""
        return "; ".join(f"{about}: {what}" for about, what in self._said.items()) or None

    def step(self, lines: Sequence[Line], whole: Iterable[Trouble], now_s: float) -> None:
        """Look at all devices, and at what is known of the whole fleet; tell what is new."""
        try:
            if not self._book.hold(self._holder, now_s, LEASE_S):
                self._ledger = None
                return
            ledger = self._ledger or self._begin(now_s)
            self._look(ledger, lines, whole, now_s)
            self._tell_one(now_s)
            self._say("the database", None)
        except Unavailable as error:
            self._say("the database", str(error))

    def close(self) -> None:
        """Let another process go on at once."""
        if self._ledger is not None:
            try:
                self._book.let_go(self._holder)
            except Unavailable as error:
                self._say("the database", str(error))

    def _begin(self, now_s: float) -> Ledger:
        repeat_s = self._terms.repeat_hours * 3600
        self._ledger = Ledger(self._terms.terms, repeat_s, self._book.standing())
        self._unsaved, self._forgotten = [], []
        for number, target in enumerate(self._targets, 1):
            self._check(number, target)
        return self._ledger

    def _check(self, number: int, target: Target) -> None:
        """Who is new is told of what is found from now on. Complain early of what will not work."""
        self._book.told(identity(target))
        try:
            address_of(target)
        except (Refused, Unavailable) as error:
            self._say(_place(number), str(error))

    def _look(
        self, ledger: Ledger, lines: Sequence[Line], whole: Iterable[Trouble], now_s: float
    ) -> None:
        told = {key for key, one in ledger.standing.items() if one.is_told}
        changes = ledger.look(sight_of(lines, whole), now_s)
        over = {change.trouble.key for change in changes}
        self._forgotten += [key for key in told if key not in ledger.standing and key not in over]
        for change in changes:
            log.info("%s", _line(change))
        self._unsaved = (self._unsaved + changes)[-MOST_UNSAVED:]
        if self._unsaved or self._forgotten:
            self._book.save(self._unsaved, self._forgotten)
            self._unsaved, self._forgotten = [], []

    def _tell_one(self, now_s: float) -> None:
        """The next target for which there is something: one in a step, as that may take a while."""
        many = len(self._targets)
        for place in range(self._next, self._next + many):
            number = place % many
            if self._tell(number + 1, self._targets[number], now_s):
                self._next = number + 1
                return

    def _tell(self, number: int, target: Target, now_s: float) -> bool:
        """Send one target what it does not know yet, if it is time to. Whether that was tried.
        Raises Unavailable where the database is away."""
        place, name = _place(number), identity(target)
        told = self._book.told(name)
        if self._rests(told, now_s):
            return False
        kept = self._book.changes(told.told)
        if told.sending is not None:  # as it was begun
            kept = tuple(one for one in kept if one.number <= told.sending)
        if not kept:
            if told.sending is not None:  # it is too old to be kept
                self._book.tell(name, replace(told, sending=None))
            return False
        newest = kept[-1].number
        wanted = [one.change for one in kept if _is_for(one.change, target)]
        if not wanted:
            self._book.tell(name, _moved(told, newest))
            return False
        if _is_within(self._terms.gather_s, wanted[0].at_s, now_s):
            return False
        message = bulletin(self._fleet, wanted, self._terms.page)
        if message is not None and told.sending is not None:
            message = repeated(self._fleet, message)
        if message is not None:
            # who dies from here on leaves a trace, and who follows sends it again, and says so
            self._book.begin(name, newest)
        try:
            if message is not None:
                self._send(address_of(target), message)
        except (Refused, Unavailable) as error:
            failed = replace(told, tried_s=now_s, tries=told.tries + 1, why=str(error))
            self._book.tell(name, failed)
            self._say(place, str(error))
            return True
        self._book.tell(name, Told(newest, now_s))
        self._say(place, None)
        return True

    def _rests(self, told: Told, now_s: float) -> bool:
        """Whether a target got something a moment ago, or could not be reached."""
        if told.told_s is not None and _is_within(self._terms.pace_s, told.told_s, now_s):
            return True
        if not told.tries or told.tried_s is None:
            return False
        again_s = min(AGAIN_S * 2 ** min(told.tries - 1, 16), SELDOM_S)
        return _is_within(again_s, told.tried_s, now_s)

    def _say(self, about: str, what: str | None) -> None:
        """Complain of something once, and say when it is well again."""
        before = self._said.get(about)
        if what is None:
            if self._said.pop(about, None) is not None:
                log.info("alerts: %s is well again", about)
        elif before != what:
            self._said[about] = what
            log.warning("alerts: %s: %s", about, one_line(what))


def _is_within(seconds: float, at_s: float, now_s: float) -> bool:
    """Whether something was not longer ago. What seems still to come was before the clock was set
    back: nothing waits for that."""
    return at_s <= now_s < at_s + seconds


def _place(number: int) -> str:
    return f"[[alerts]] number {number}"


def _is_for(change: Change, target: Target) -> bool:
    trouble = change.trouble
    if trouble.kind not in target.wanted:
        return False
    is_there = not target.groups or bool(set(target.groups) & set(trouble.groups))
    return trouble.kind in OF_THE_FLEET or is_there


def _moved(told: Told, newest: int) -> Told:
    return Told(newest, told.told_s, told.tried_s, told.tries, told.why)


def _line(change: Change) -> str:
    trouble = change.trouble
    return one_line(f"{change.turn}: {trouble.kind}: {trouble.subject or 'fleet'}: {trouble.words}")
