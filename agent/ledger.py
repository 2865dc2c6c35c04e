"""Turns the growing totals of runtime processes into windows, so that nothing is counted twice.

A window is the difference between two cuts. What a cut has taken is written into the spool in the
same transaction as the record; what came since then is kept in the run folder, in memory, so that
an agent that is killed goes on where it was. A reboot ends every process that counts, so nothing
has to outlive it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agent.sums import Sum, added, has_grown, is_possible, since, sum_of
from wire.happenings import Places
from wire.local import Totals
from wire.messages import Window
from wire.unreadable import UNREADABLE

LEAST_S = 1.0  # a rate of less is one of chance: the first word of a process has one frame


class Account(Struct, frozen=True):
    """One pipeline. latest: its newest totals. taken: how much of them older windows have.
    carried: what earlier processes left for the next window. restarts: processes after the first.
    """

    latest: Totals
    taken: Sum
    carried: Sum
    restarts: int


class Book(Struct, frozen=True):
    """Every account. cuts: how often windows were taken; the higher, the newer the book.
    boot, cut_s: when that was, on the clock of that boot."""

    cuts: int
    boot: str
    cut_s: float
    accounts: dict[str, Account]


class Ledger:
    """Hears totals, gives windows. A restart begins with the newest book that was kept."""

    def __init__(self, boot: str, now_s: float, kept: Book | None) -> None:
        self._boot = boot
        same_boot = kept is not None and kept.boot == boot and kept.cut_s <= now_s
        self._cut_s = kept.cut_s if kept is not None and same_boot else now_s
        self._cuts = kept.cuts if kept is not None else 0
        self._accounts = dict(kept.accounts) if kept is not None else {}
        self._ending: set[str] = set()

    def latest(self, pipeline: str) -> Totals | None:
        """The newest totals of a pipeline, also of one that has ended."""
        account = self._accounts.get(pipeline)
        return account.latest if account else None

    def restarts(self, pipeline: str) -> int:
        account = self._accounts.get(pipeline)
        return account.restarts if account else 0

    def swaps_model(self, totals: Totals) -> bool:
        """Whether these totals come from another model than the newest ones of the same process:
        then `cut` first, or one window would hold the times of two models."""
        before = self.latest(totals.pipeline)
        return before is not None and before.run == totals.run and before.digest != totals.digest

    def hear(self, totals: Totals) -> bool:
        """Take in new totals. False, and nothing changes, if they cannot be true."""
        account = self._accounts.get(totals.pipeline)
        is_same_run = account is not None and account.latest.run == totals.run
        before = sum_of(account.latest) if account is not None and is_same_run else Sum()
        if not has_grown(sum_of(totals), before):
            return False
        if account is None:
            fresh = Account(totals, Sum(), Sum(), 0)
        elif is_same_run:
            fresh = replace(account, latest=totals)
        else:
            rest = since(sum_of(account.latest), account.taken)
            fresh = Account(totals, Sum(), added(account.carried, rest), account.restarts + 1)
        self._accounts[totals.pipeline] = fresh
        return True

    def keep_only(self, pipelines: frozenset[str]) -> None:
        """The next window of every other pipeline, which is no longer configured, is its last."""
        self._ending = self._accounts.keys() - pipelines

    def book(self) -> bytes:
        """Everything, to be kept outside."""
        book = Book(self._cuts, self._boot, self._cut_s, self._accounts)
        return msgspec.msgpack.encode(book)

    def cut(
        self, now_s: float, silent: set[str], throttled: tuple[str, ...] | None
    ) -> tuple[float, dict[str, Window]]:
        """The seconds since the cut before, and one window for each pipeline. Write `book` down in
        one transaction with the record that is made of them."""
        elapsed_s = now_s - self._cut_s
        windows = {}
        for name, account in self._accounts.items():
            windows[name] = _window(account, name in silent | self._ending, throttled)
            total = sum_of(account.latest)
            self._accounts[name] = replace(account, taken=total, carried=Sum())
        for name in self._ending:
            del self._accounts[name]
        self._ending = set()
        self._cuts += 1
        self._cut_s = now_s
        return elapsed_s, windows


def newest(books: list[bytes | None]) -> Book | None:
    """The newest of the books that were kept; one that cannot be read does not count."""
    readable = []
    for kept in books:
        try:
            book = msgspec.msgpack.decode(kept or b"", type=Book)
        except UNREADABLE:
            continue
        if all(map(_is_possible, book.accounts.values())):
            readable.append(book)
    # of two with as many cuts the later in the list has heard more since
    return max(reversed(readable), key=lambda book: book.cuts, default=None)


def _is_possible(account: Account) -> bool:
    whole = is_possible(account.taken) and is_possible(account.carried)
    return whole and has_grown(sum_of(account.latest), account.taken)


def _window(account: Account, silent: bool, throttled: tuple[str, ...] | None) -> Window:
    latest = account.latest
    rest = added(account.carried, since(sum_of(latest), account.taken))
    return Window(
        model=latest.model,
        version=latest.version,
        digest=latest.digest,
        engine=latest.engine,
        camera=latest.camera,
        phase="silent" if silent else latest.phase,
        absent=latest.absent,
        seconds=rest.seconds,
        frames=rest.frames,
        fps=rest.frames / rest.seconds if rest.seconds >= LEAST_S else None,
        losses=rest.losses,
        stages=rest.stages,
        restarts=account.restarts,
        unsent=rest.unsent,
        scores=rest.scores,
        rss_bytes=None if silent else latest.rss_bytes,
        throttled=throttled,
        places=_places(latest, rest, silent),
    )


def _places(latest: Totals, rest: Sum, silent: bool) -> Places | None:
    """Who is inside is known of a process that is heard and sees."""
    is_blind = silent or latest.phase != "serving"
    inside = {} if is_blind or latest.places is None else latest.places.inside
    return Places(inside, rest.passed) if inside or rest.passed or latest.places else None
