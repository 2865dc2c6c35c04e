"""Makes the records: telemetry windows at every period, events when something happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from agent.boards import Board
from agent.clock import Clock
from agent.faults import LONGEST, Faults, Saying
from agent.keeping import Keeping
from agent.ledger import Ledger, newest
from wire.durable import write_durably
from wire.health import Health
from wire.local import Totals
from wire.messages import Event, EventKind, Telemetry, Update, Window, body_of

SAMPLE_S = 10.0  # how often the board is read; throttling in between may go unseen
LEAST_S = 1.0  # between two readings: shares of the processor need some time to be shares of
MOST_BYTES = 48_000  # of one record: the smallest brokers take packets of 64 KiB

BOOK, FAULTS_BOOK = "agent.book", "agent.faults"  # in the run folder
LEDGER_NOTE, FAULTS_NOTE, UPDATES_NOTE = "ledger", "faults", "updates"


class Recorder:
    """Everything between what is heard and what lies in the spool."""

    def __init__(
        self,
        keeping: Keeping,
        board: Board,
        clock: Clock,
        boot: str,
        run_folder: Path,
        fresh: Callable[[], None],
    ) -> None:
        """fresh: called after records were appended."""
        self._keeping = keeping
        self._board = board
        self._clock = clock
        self._boot = boot
        self._book = run_folder / BOOK
        self._fresh = fresh
        kept = newest([keeping.note(LEDGER_NOTE), _content(self._book)])
        self.ledger = Ledger(boot, clock.uptime_s(), kept)
        self._faults_book = run_folder / FAULTS_BOOK
        # what was said while the disk took nothing is known here alone
        self.faults = Faults(_content(self._faults_book) or keeping.note(FAULTS_NOTE))
        self.health = board.read()
        self.windows: dict[str, Window] = {}  # of the newest record
        self._sampled_s = clock.uptime_s()
        self._cut_s = clock.uptime_s()
        self._throttled: set[str] | None = None

    def hear(self, totals: Totals, silent: set[str]) -> bool:
        """Take in what a runtime counted. False if it cannot be true."""
        before = self.ledger.latest(totals.pipeline)
        if before is not None and self.ledger.swaps_model(totals):
            # what was counted until now belongs to the model of before
            last = replace(
                totals,
                model=before.model,
                version=before.version,
                digest=before.digest,
                engine=before.engine,
            )
            if not self.ledger.hear(last):
                return False
            self.cut(silent)
        if not self.ledger.hear(totals):
            return False
        _keep_for_this_boot(self._book, self.ledger.book())
        return True

    def sample(self) -> None:
        """Read the board, if that is due."""
        now_s = self._clock.uptime_s()
        if now_s - self._sampled_s >= SAMPLE_S:
            self._read_board(now_s)

    def is_due(self, period_s: float) -> bool:
        """Whether the next telemetry record should be made."""
        return self._clock.uptime_s() - self._cut_s >= period_s

    def cut(self, silent: set[str]) -> None:
        """Make one telemetry record (several if it would be too large) of all since the last."""
        now_s = self._clock.uptime_s()
        if now_s - self._sampled_s >= LEAST_S:
            self._read_board(now_s)
        throttled = None if self._throttled is None else tuple(sorted(self._throttled))
        window_s, windows = self.ledger.cut(now_s, silent, throttled)
        self._throttled, self._cut_s, self.windows = None, now_s, windows
        bodies = self._telemetry(window_s, windows, self.health)
        notes = {LEDGER_NOTE: self.ledger.book()}
        self._keeping.append([("telemetry", body) for body in bodies], notes)
        self._fresh()

    def say(self, sayings: list[Saying]) -> None:
        """Faults that began or ended become events."""
        if sayings:
            bodies = [self._event(s.kind, s.subject, s.pipeline, s.text) for s in sayings]
            book = self.faults.book()
            self._keeping.append([("event", body) for body in bodies], {FAULTS_NOTE: book})
            _keep_for_this_boot(self._faults_book, book)
            self._fresh()

    def note(self, subject: str, pipeline: str | None, text: str) -> None:
        """Something just happened."""
        body = self._event("note", subject, pipeline, text)
        self._keeping.append([("event", body)], {})
        self._fresh()

    def update(self, pipeline: str, update: Update, book: bytes) -> None:
        """A model came into another phase. book: what must be known of it after a restart."""
        about = f"{update.model} {update.version}: {update.phase.replace('_', ' ')}"
        text = about if update.reason is None else f"{about}: {update.reason}"
        body = self._event("update", "model", pipeline, text, update)
        self._keeping.append([("event", body)], {UPDATES_NOTE: book})
        self._fresh()

    def _read_board(self, now_s: float) -> None:
        self.health = self._board.read()
        self._sampled_s = now_s
        if self.health.throttle is not None:
            self._throttled = (self._throttled or set()) | set(self.health.throttle.now)

    def _telemetry(
        self, window_s: float, windows: dict[str, Window], health: Health
    ) -> list[bytes]:
        body = body_of(
            Telemetry(
                spool="",
                seq=0,
                oldest=0,
                boot=self._boot,
                time=self._clock.wall_s(),
                uptime_s=self._clock.uptime_s(),
                window_s=window_s,
                lost=self._keeping.lost,
                pipelines=windows,
                health=health,
            )
        )
        if len(body) <= MOST_BYTES or len(windows) < 2:
            return [body]
        names = list(windows)
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        return [
            part
            for half in halves
            for part in self._telemetry(window_s, {n: windows[n] for n in half}, health)
        ]

    def _event(
        self,
        kind: EventKind,
        subject: str,
        pipeline: str | None,
        text: str,
        update: Update | None = None,
    ) -> bytes:
        return body_of(
            Event(
                spool="",
                seq=0,
                oldest=0,
                boot=self._boot,
                time=self._clock.wall_s(),
                uptime_s=self._clock.uptime_s(),
                kind=kind,
                subject=subject,
                pipeline=pipeline,
                text=text[:LONGEST],
                update=update,
            )
        )


def _keep_for_this_boot(path: Path, content: bytes) -> None:
    with contextlib.suppress(OSError):  # it only matters if we are killed, or the disk is full
        write_durably(path, content)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
