"""Whatever is done to a spool, in whatever order, it is a list with numbers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.spool.change import Limits, Record
from agent.spool.spool import Spool

MIB = 1 << 20
SIZES = st.sampled_from((0, 1, 300, 3000, 9000, 60_000))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own


class SpoolMachine(RuleBasedStateMachine):
    """A spool beside the list of what must wait in it. 1 MiB, so that some must go for others."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=MEMORY)
        self.now_s = 0.0
        self.boot = 1
        self.waiting: list[Record] = []
        self.given: set[tuple[str, int]] = set()
        self.lost = 0
        self.note: bytes | None = None
        self.count = 0
        self.most_mib = 1
        self.open()

    def open(self) -> None:
        limits = Limits(self.most_mib * MIB, 1000.0)
        path = Path(self.place.name) / "spool.db"
        self.spool = Spool(path, limits, lambda: self.now_s, f"boot-{self.boot}", "identity")

    def entered(self) -> None:
        """What every write may do: drop what is too old, then the oldest for want of room. The
        spool chooses how many; that they are the oldest, and counted, is what must hold."""
        dropped = self.spool.lost - self.lost
        assert dropped >= 0
        self.waiting = self.waiting[dropped:]
        self.lost = self.spool.lost

    @rule(sizes=st.lists(SIZES, max_size=4), with_note=st.booleans())
    def append(self, sizes: list[int], with_note: bool) -> None:
        bodies = []
        for size in sizes:
            self.count += 1
            bodies.append(b"%d:" % self.count + b"." * size)
        notes = {"ledger": b"%d" % self.count} if with_note else {}
        if with_note:
            self.note = notes["ledger"]
        records = self.spool.append([("telemetry", body) for body in bodies], notes)
        if sum(sizes) < 100_000:
            assert [r.body for r in records] == bodies
        keys = {(r.spool, r.seq) for r in records}
        assert len(keys) == len(records)
        assert not keys & self.given, "a number was given twice"
        self.given |= keys
        refused = len(bodies) - len(records)
        self.lost += refused
        self.waiting += records
        self.entered()

    @precondition(lambda self: self.waiting)
    @rule(where=st.floats(0, 1))
    def acknowledge(self, where: float) -> None:
        last = self.waiting[int(where * (len(self.waiting) - 1))]
        left = [r for r in self.waiting if r.spool != last.spool or r.seq > last.seq]
        assert self.spool.acknowledge(last.spool, last.seq) == len(self.waiting) - len(left)
        self.waiting = left

    @precondition(lambda self: self.waiting)
    @rule(where=st.floats(0, 1))
    def forget(self, where: float) -> None:
        one = self.waiting.pop(int(where * (len(self.waiting) - 1)))
        assert self.spool.forget(one.spool, one.seq)
        assert not self.spool.forget(one.spool, one.seq)

    @precondition(lambda self: self.waiting)
    @rule(where=st.floats(0, 1))
    def discard(self, where: float) -> None:
        one = self.waiting.pop(int(where * (len(self.waiting) - 1)))
        self.spool.discard(one.spool, one.seq)
        self.lost += 1

    @rule()
    def tidy(self) -> None:
        self.spool.tidy()
        self.entered()

    @rule(seconds=st.sampled_from((1.0, 400.0)))
    def time_goes_by(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(is_reboot=st.booleans())
    def close_and_open(self, is_reboot: bool) -> None:
        self.spool.close()
        self.entered()
        name = self.spool.id
        self.boot += is_reboot
        self.now_s = 0.0
        self.open()
        assert self.spool.id == name

    @rule(is_power_cut=st.booleans())
    def die(self, is_power_cut: bool) -> None:
        """Acknowledgements that were not written down come back: the far end knows the numbers."""
        self.spool.tidy()
        self.entered()
        self.spool.abandon()
        self.boot += is_power_cut
        self.now_s = 0.0
        self.open()

    @rule(count=st.integers(1, 3))
    def come_back_from_memory(self, count: int) -> None:
        limits = Limits(4 * MIB, 1000.0)
        memory = Spool(None, limits, lambda: self.now_s, "any", self.spool.identity)
        entries = [b"memory %d" % n for n in range(self.count, self.count + count)]
        self.count += count
        records = memory.append([("event", body) for body in entries], {})
        memory.abandon()
        self.spool.adopt(records, len(records))
        self.given |= {(r.spool, r.seq) for r in records}
        self.waiting += records
        self.entered()

    @invariant()
    def it_is_the_list(self) -> None:
        kept = [r for name in self.spool.ids() for r in self.spool.after(name, 0, 10_000)]
        assert kept == self.waiting
        assert self.spool.waiting == len(self.waiting)
        assert self.spool.lost == self.lost
        assert self.spool.note("ledger") == self.note
        for name in self.spool.ids():
            seqs = [r.seq for r in self.waiting if r.spool == name]
            assert self.spool.oldest(name) == (seqs[0] if seqs else self.spool.newest(name) + 1)
            assert self.spool.newest(name) >= max(seqs, default=0)

    @invariant()
    def it_fits(self) -> None:
        size = sum(path.stat().st_size for path in Path(self.place.name).iterdir())
        assert size <= self.most_mib * MIB

    def teardown(self) -> None:
        self.spool.abandon()
        self.place.cleanup()


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=30, stateful_step_count=30)
