"""The courier under every order of events that chance can think of: nothing is missing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pace import MOST_RETRY_S, RETRY_S
from tests.delivery import Delivery, FarEnd, HandClock, Reading
from wire.messages import Ack

LARGE = b'{"n":0,"x":"' + b"x" * 1000 + b'"}'
STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 40)),
    st.tuples(st.just("append many at once"), st.integers(1, 120)),
    st.tuples(st.just("append a large one"), st.just(0)),
    st.tuples(st.just("connect"), st.just(0)),
    st.tuples(st.just("disconnect"), st.just(0)),
    st.tuples(st.just("puback some"), st.integers(0, 1 << 20)),
    st.tuples(st.just("puback without the registry"), st.integers(0, 1 << 20)),
    st.tuples(st.just("ack"), st.integers(0, 200)),
    st.tuples(st.just("forget"), st.just(0)),
    st.tuples(st.just("run"), st.sampled_from([0.1, 1.0, 5.0, 40.0])),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 31.0, 700.0])),
    st.tuples(st.just("room"), st.integers(0, 30)),
    st.tuples(st.just("discard"), st.integers(0, 200)),
    st.tuples(st.just("adopt"), st.integers(1, 30)),
)


class Story:
    """One run. received: by the broker, or stored by the registry before it lost its memory."""

    def __init__(self, by: str, chance: float) -> None:
        clock = HandClock()
        self.spool = Reading(clock)
        self.by = by
        self.delivery = Delivery(self.spool, clock, by, chance)  # type: ignore[arg-type]
        self.received: set[tuple[str, int]] = set()
        self.foreign = 0
        self.made_more: set[tuple[str, int]] = set()

    def do(self, what: str, number: float) -> None:
        delivery = self.delivery
        if what == "append":
            delivery.append(int(number))
        elif what == "append many at once":
            delivery.append_bodies([b'{"n":7}'] * int(number))
        elif what == "append a large one":
            delivery.append_bodies([LARGE])
        elif what == "connect" and not delivery.wire.is_up:
            delivery.connect(most_bytes=1000)
        elif what == "disconnect" and delivery.wire.is_up:
            delivery.disconnect()
        elif what.startswith("puback"):
            self.puback(int(number), what)
        elif what == "ack":
            self.ack(int(number))
        elif what == "forget":
            self.remember()
            delivery.far = FarEnd()
        elif what == "run":
            self.run(number)
        elif what == "wait":
            delivery.wait(number)
        elif what == "room":
            delivery.wire.room = int(number)
        elif what == "discard":
            self.spool.discard(self.spool.ids()[0], int(number))
        elif what == "adopt":
            self.adopt(int(number))

    def puback(self, seed: int, what: str) -> None:
        """Some PUBACKs come, in whatever order; the registry hears of these records, or not."""
        if not self.delivery.wire.is_up:
            return
        chosen = [n for n in self.delivery.wire.waiting if (seed >> n % 20) & 1]
        far = self.delivery.far
        if "without" in what:
            self.delivery.far = None
        self.note(chosen)
        self.delivery.puback(chosen[::-1] if seed & 1 else chosen)
        self.delivery.far = far

    def note(self, numbers: list[int]) -> None:
        if self.by == "broker":
            self.received |= {self.delivery.wire.waiting[n].key for n in numbers}

    def ack(self, seq: int) -> None:
        """A true ack that comes again late, or one that is about nothing we know."""
        far, spool = self.delivery.far, self.spool.ids()[0]
        if far is not None and seq <= far.floors.get(spool, 0):
            self.delivery.courier.acked(Ack(spool, seq))
        self.delivery.courier.acked(Ack("strange", seq))
        self.delivery.courier.acked(Ack(spool, self.spool.newest(spool) + 1 + seq))

    def run(self, seconds: float) -> None:
        if not self.delivery.wire.is_up:
            return
        end_s = self.delivery.clock.now_s + seconds
        while self.delivery.clock.now_s < end_s:
            while self.delivery.wire.waiting:
                numbers = list(self.delivery.wire.waiting)
                self.note(numbers)
                self.delivery.puback(numbers)
            self.delivery.wait(0.25)

    def adopt(self, count: int) -> None:
        self.foreign += 1
        spool = f"foreign{self.foreign}"
        records = [self.spool_record(spool, seq) for seq in range(3, 3 + count)]
        self.spool.adopt(records, 3 + count)
        self.made_more |= {(spool, record.seq) for record in records}
        self.delivery.courier.fresh()

    def spool_record(self, spool: str, seq: int):  # type: ignore[no-untyped-def]
        from agent.spool.change import Record

        return Record(spool, seq, "event", b'{"n":8}')

    def remember(self) -> None:
        if self.delivery.far is not None and self.by == "registry":
            self.received |= self.delivery.far.keys


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["broker", "registry"]), st.floats(0, 0.99), st.lists(STEPS, max_size=40))
def test_all_arrives_in_the_end_or_was_counted_lost(
    by: str, chance: float, steps: list[tuple[str, float]]
) -> None:
    story = Story(by, chance)
    try:
        for step in steps:
            story.do(*step)
        story.delivery.wire.room = None
        story.do("connect", 0)
        for _ in range(10):  # a quiet time; the longest wait is over after it
            story.run(MOST_RETRY_S / 4)
            story.run(RETRY_S)
        story.remember()
        made = set(story.delivery.made) | story.made_more
        assert story.spool.waiting == 0
        assert made - story.received <= story.spool.given_up
        assert len(story.spool.given_up) == story.spool.lost
        assert story.received <= made
    finally:
        story.spool.close()
