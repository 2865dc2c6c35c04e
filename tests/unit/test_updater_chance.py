"""Whatever happens in whatever order: nothing raises, and every update comes to an end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.fetch.words import NotRefreshed, Progress
from agent.update.log import TERMINAL
from tests.deployed import damage
from tests.update_bench import Bench, Bundles
from wire.deployments import Gates
from wire.local import Answer

VERSIONS = st.sampled_from(["1", "2", "3", "9", None])
GATES = st.sampled_from([Gates(trial_s=30.0), Gates(trial_s=60.0, p95_ms=20.0), Gates()])


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundles]:
    yield Bundles(tmp_path_factory.mktemp("bundles"))


def desire(bench: Bench, version: str | None, gates: Gates, attempt: int) -> None:
    bench.desire(version, gates, attempt)


def lack(bench: Bench, kind: str) -> None:
    bench.lack(kind, "it did not come")


def progress(bench: Bench, share: float) -> None:
    for digest in list(bench.wanted):
        bench.updater.take(Progress(digest, int(share * 2000)))


def answer(bench: Bench, ok: bool, later: bool) -> None:
    bench.answer(ok, "it says so", later and not ok)


def stray(bench: Bench, ok: bool) -> None:
    bench.updater.answered(Answer("lane", "nobody asked", ok, "what?"))


def live(bench: Bench, seconds: int, says: bool) -> None:
    bench.live(seconds, says)


def restart_agent(bench: Bench) -> None:
    bench.begin()


def restart_runtime(bench: Bench, says: bool) -> None:
    bench.runtime.asked.clear()
    bench.runtime.restart()
    if says:
        bench.say()


def camera(bench: Bench, absent: str | None) -> None:
    bench.runtime.absent = absent
    bench.say()


def listens(bench: Bench, whether: bool) -> None:
    bench.runtime.listens = whether


def model(bench: Bench, us: float, fps: float, score: float) -> None:
    bench.runtime.us, bench.runtime.fps, bench.runtime.score = us, fps, score


def fail(bench: Bench) -> None:
    bench.fail("it cannot start")


def fetch(bench: Bench) -> None:
    bench.fetch()


def distrust(bench: Bench, kind: str) -> None:
    bench.updater.take(NotRefreshed("no", kind))  # type: ignore[arg-type]


def take_away(bench: Bench, version: str) -> None:
    """Somebody removes a model that nothing names."""
    digest = bench.bundles.digest(version)
    state = bench.store.pipeline("lane")
    if bench.store.has(digest) and digest not in (state.active, state.good):
        shutil.rmtree(bench.store.folder(digest))


def spoil(bench: Bench, version: str) -> None:
    """The disk damages a model, whoever names it."""
    digest = bench.bundles.digest(version)
    if bench.store.has(digest):
        damage(bench.store, digest)


def examine(bench: Bench) -> None:
    bench.examined()


EVENTS = st.one_of(
    st.tuples(st.just(desire), VERSIONS, GATES, st.integers(0, 2)),
    st.tuples(st.just(fetch)),
    st.tuples(st.just(lack), st.sampled_from(["refused", "unavailable", "no_room"])),
    st.tuples(st.just(progress), st.floats(0, 2)),
    st.tuples(st.just(answer), st.booleans(), st.booleans()),
    st.tuples(st.just(stray), st.booleans()),
    st.tuples(st.just(live), st.integers(1, 120), st.booleans()),
    st.tuples(st.just(restart_agent)),
    st.tuples(st.just(restart_runtime), st.booleans()),
    st.tuples(st.just(camera), st.sampled_from([None, "it is gone"])),
    st.tuples(st.just(listens), st.booleans()),
    st.tuples(
        st.just(model),
        st.sampled_from([4000.0, 30_000.0]),
        st.sampled_from([30.0, 3.0]),
        st.sampled_from([0.9, 0.1]),
    ),
    st.tuples(st.just(fail)),
    st.tuples(st.just(distrust), st.sampled_from(["refused", "unavailable"])),
    st.tuples(st.just(take_away), st.sampled_from(["1", "2", "3"])),
    st.tuples(st.just(spoil), st.sampled_from(["1", "2", "3"])),
    st.tuples(st.just(examine)),
)


def check(bench: Bench) -> None:
    """What is true at every moment."""
    state, update = bench.store.pipeline("lane"), bench.update
    assert state.active is None or state.rejection(state.active) is None
    assert not state.problems
    if update is None:
        return
    if update.phase == "good":
        assert update.digest == state.good
    if update.phase == "trial":
        gone = update.digest is not None and state.rejection(update.digest) is not None
        assert gone or update.digest == state.active, "until its process runs another one"
    if update.phase in ("rejected", "rolled_back"):
        assert update.digest is None or update.digest != state.active
        assert update.reason


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, min_size=1, max_size=40))
def test_every_order_of_events(bundles: Bundles, events: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), bundles)
        bench.say()
        for happens, *words in events:
            happens(bench, *words)  # type: ignore[operator]
            check(bench)
        bench.runtime.us, bench.runtime.fps, bench.runtime.score = 4000.0, 30.0, 0.9
        bench.settle(700)
        check(bench)
        update = bench.update
        assert update is None or update.phase in TERMINAL, update
        state = bench.store.pipeline("lane")
        assert state.active == state.good, "no trial goes on for ever"
        assert bench.runtime.digest in (state.active, "c" * 64)
        assert state.active is None or bench.runtime.digest == state.active
        before = list(bench.told)
        assert len(before) <= 10 * (len(events) + 1), "nothing is told again and again"
        bench.settle(60)
        assert bench.told == before, "and then it is quiet"
