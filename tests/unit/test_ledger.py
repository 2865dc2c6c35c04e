"""Windows out of growing totals: nothing twice, nothing missing, whoever is killed when."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.ledger import Ledger, newest
from agent.sums import NO_STAGES
from wire.histogram import Counts, Histogram, merge, subtract
from wire.local import Totals
from wire.messages import Losses, PipelineSettings, StageCounts, Window, to_json

BOOT = "boot-1"


@dataclass
class Process:
    """A runtime process that counts, as the real one does."""

    run: str
    frames: int = 0
    skipped: int = 0
    times: Histogram = field(default_factory=Histogram)

    def work(self, durations_us: list[int]) -> None:
        for duration_us in durations_us:
            self.frames += 1
            self.skipped += 2
            self.times.record_ns(duration_us * 1000)

    def totals(self, pipeline: str = "door", digest: str = "d1") -> Totals:
        counts = self.times.counts()
        return Totals(
            pipeline=pipeline,
            run=self.run,
            seconds=float(self.frames),
            phase="serving",
            absent=None,
            model="digits",
            version="1",
            digest=digest,
            engine="null",
            camera="synthetic://64x48",
            frames=self.frames,
            losses=Losses(skipped=self.skipped),
            stages=StageCounts(counts, counts, counts, counts, counts),
            unsent=0,
            rss_bytes=1,
            settings=PipelineSettings(),
        )


def ledger(kept: list[bytes | None] | None = None, boot: str = BOOT, now_s: float = 0.0) -> Ledger:
    return Ledger(boot, now_s, newest(kept or []))


def cut(book: Ledger, now_s: float = 60.0) -> Window:
    _, windows = book.cut(now_s, set(), None)
    return windows["door"]


def test_a_window_is_what_came_since_the_last_one() -> None:
    process, book = Process("a"), ledger()
    process.work([100, 200])
    book.hear(process.totals())
    assert cut(book).frames == 2
    process.work([50_000])
    book.hear(process.totals())
    window = cut(book, 120.0)
    assert (window.frames, window.losses.skipped, window.fps) == (1, 2, 1.0)
    assert window.stages.end_to_end.count == 1
    median = window.stages.end_to_end.percentile(0.5)
    assert median is not None and 47_500 < median < 52_500


def test_a_lost_datagram_costs_nothing() -> None:
    process, book = Process("a"), ledger()
    for _ in range(5):
        process.work([100])
        process.totals()  # nobody hears it
    book.hear(process.totals())
    assert cut(book).frames == 5


def test_a_silent_pipeline_gives_an_empty_window() -> None:
    process, book = Process("a"), ledger()
    process.work([100])
    book.hear(process.totals())
    cut(book)
    _, windows = book.cut(120.0, {"door"}, ("throttled",))
    window = windows["door"]
    assert (window.frames, window.phase, window.fps, window.rss_bytes) == (0, "silent", None, None)
    assert window.stages == NO_STAGES
    assert window.throttled == ("throttled",)


def test_a_restarted_runtime_loses_nothing_and_is_counted() -> None:
    book = ledger()
    first, second = Process("a"), Process("b")
    first.work([100] * 3)
    book.hear(first.totals())
    second.work([100] * 2)
    book.hear(second.totals())
    window = cut(book)
    assert (window.frames, window.restarts) == (5, 1)


def test_totals_that_shrink_are_not_believed() -> None:
    process, book = Process("a"), ledger()
    process.work([100] * 3)
    big = process.totals()
    book.hear(big)
    small = Process("a")
    small.work([100])
    assert not book.hear(small.totals())
    assert cut(book).frames == 3


WHOLE = st.one_of(st.integers(0, 3), st.integers(2**62, 2**64 - 1))
HISTOGRAMS = st.builds(
    Counts,
    count=WHOLE,
    sum_us=st.floats(0, 1e18),
    offset=st.integers(0, 480),
    counts=st.lists(WHOLE, max_size=3).map(tuple),
    minimum_us=st.none() | st.floats(0, 1e15),
    maximum_us=st.none() | st.floats(0, 1e15),
)
STAGES = st.builds(StageCounts, HISTOGRAMS, HISTOGRAMS, HISTOGRAMS, HISTOGRAMS, HISTOGRAMS)
FORGED = st.builds(
    Totals,
    pipeline=st.just("door"),
    run=st.sampled_from(["a", "b", "c"]),
    seconds=st.floats(0, 1e12),
    phase=st.just("serving"),
    absent=st.none(),
    frames=WHOLE,
    losses=st.builds(Losses, WHOLE, WHOLE, WHOLE, WHOLE),
    stages=st.one_of(st.just(NO_STAGES), STAGES),
    unsent=WHOLE,
    rss_bytes=st.none(),
    settings=st.just(PipelineSettings()),
)


def forged(run: str, frames: int, counts: Counts) -> Totals:
    stages = StageCounts(counts, counts, counts, counts, counts)
    return replace(Process(run).totals(), frames=frames, stages=stages)


@example([forged(run, 2**64 - 1, NO_STAGES.queue) for run in "abc"])
@example(
    [forged("a", 1, Counts(7, 1, 0, (5,), 1, 1)), None, forged("a", 1, Counts(6, 1, 0, (6,), 1, 1))]
)
@example([forged(run, 1, Counts(1, 1e18, 0, (1,), 1, 1)) for run in "abc"])
@given(heard=st.lists(st.none() | FORGED, max_size=6))
def test_no_totals_whatever_spoil_the_book(heard: list[Totals | None]) -> None:
    """None: a cut."""
    book = ledger()
    for totals in (*heard, None):
        if totals is not None:
            book.hear(totals)
        else:
            _, windows = book.cut(60.0, set(), None)
            for window in windows.values():
                msgspec.json.decode(to_json(window), type=Window)
        assert newest([book.book()]) is not None, "it could not be read after a restart"


def test_another_model_is_noticed() -> None:
    process, book = Process("a"), ledger()
    book.hear(process.totals(digest="d1"))
    assert not book.swaps_model(process.totals(digest="d1"))
    assert book.swaps_model(process.totals(digest="d2"))


def test_a_reboot_begins_a_new_window() -> None:
    book = ledger(now_s=1000.0)
    process = Process("a")
    process.work([100])
    book.hear(process.totals())
    cut(book, 1060.0)
    after = ledger([book.book()], boot="boot-2", now_s=20.0)
    elapsed_s, _ = after.cut(50.0, set(), None)
    assert elapsed_s == 30.0


def test_a_moment_has_no_rate() -> None:
    first = replace(Process("r1", frames=1).totals(), seconds=0.004)
    book = ledger()
    assert book.hear(first)
    assert cut(book).fps is None


def test_a_damaged_book_is_no_book() -> None:
    assert newest([b"\xff\x00garbage", None, b""]) is None


def test_the_newer_of_two_books_counts() -> None:
    process, book = Process("a"), ledger()
    process.work([100])
    book.hear(process.totals())
    old = book.book()
    cut(book)
    noted = book.book()
    again = ledger([noted, old])  # killed after the record was written, before the run folder was
    process.work([100])
    again.hear(process.totals())
    assert cut(again, 90.0).frames == 1


STEPS = st.lists(
    st.one_of(
        st.lists(st.integers(1, 10**7), max_size=5),  # a process works
        st.sampled_from(["heard", "cut", "agent killed", "runtime restarted"]),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_windows_add_up_to_what_happened(steps: list[list[int] | str]) -> None:
    """The agent is killed anywhere, the runtime restarts in order anywhere."""
    process = Process("run-0")
    book = ledger()
    noted: bytes | None = None
    heard: bytes | None = None
    runs, worked, windows = 0, 0, []
    now_s = 0.0
    whole = Histogram()
    for step in [*steps, "heard", "cut"]:
        now_s += 1.0
        if isinstance(step, list):
            process.work(step)
            worked += len(step)
            for duration_us in step:
                whole.record_ns(duration_us * 1000)
        elif step == "heard":
            book.hear(process.totals())
            heard = book.book()
        elif step == "cut":
            _, cut_windows = book.cut(now_s, set(), None)
            windows += list(cut_windows.values())
            noted = book.book()
        elif step == "agent killed":
            book = ledger([noted, heard], now_s=now_s)
        else:
            book.hear(process.totals())  # its last word
            heard = book.book()
            runs += 1
            process = Process(f"run-{runs}")
    assert sum(window.frames for window in windows) == worked
    assert sum(window.losses.skipped for window in windows) == 2 * worked
    total = merge(window.stages.end_to_end for window in windows)
    exact = whole.counts()
    assert (total.count, total.offset, total.counts) == (exact.count, exact.offset, exact.counts)
    for share in (0.5, 0.95, 0.99):
        ours, wanted = total.percentile(share), exact.percentile(share)
        assert ours == wanted or (ours and wanted and abs(ours - wanted) <= 0.05 * wanted)


def test_a_difference_of_histograms_is_a_histogram_of_the_difference() -> None:
    grown = Histogram()
    for duration_us in (10, 1000, 1000, 5000):
        grown.record_ns(duration_us * 1000)
    earlier = grown.counts()
    for duration_us in (1000, 2_000_000):
        grown.record_ns(duration_us * 1000)
    rest = subtract(grown.counts(), earlier)
    alone = Histogram()
    for duration_us in (1000, 2_000_000):
        alone.record_ns(duration_us * 1000)
    wanted = alone.counts()
    assert (rest.count, rest.offset, rest.counts) == (wanted.count, wanted.offset, wanted.counts)
    assert subtract(earlier, earlier) == Counts(0, 0.0, 0, ())
