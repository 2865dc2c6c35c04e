"""Walks through all loads, lightest first, and ends a curve where more cannot help."""

from __future__ import annotations

import itertools
import time

from msgspec import Struct

from runtime.cameras import Camera, open_camera
from runtime.suite.machine import this_machine
from runtime.table import duration
from wire.masking import masked
from workshop.loading import FORM, Load, LoadTest, Point, Subject
from workshop.loading.cameras import RATES, Feed
from workshop.loading.knee import knee_of
from workshop.loading.running import Ran, Wish, point_of, run, run_flat_out
from workshop.step import Progress, Tell

FAR_TOO_MUCH = 0.5  # of the pictures are skipped: with more, more are
AROUND = (0.3, 0.6, 0.8, 0.95, 1.1, 1.4)  # times what a pipeline manages flat out
FLAT_OUT_S = 1.0
TASTED = 64  # pictures, to see what one costs the camera


class Plan(Struct, frozen=True):
    """What to walk through. rates: empty for those around what a pipeline manages here."""

    rates: tuple[float, ...]
    pipelines: tuple[int, ...]
    threads: tuple[int, ...]


def climb(wish: Wish, plan: Plan, camera: str, tell: Tell) -> LoadTest:
    """All of it. camera: as the user named it. Raises what the first load says if nothing comes of
    it."""
    climber = _Climber(wish, plan, tell)
    machine = this_machine()
    camera_us = cost_of_a_picture(wish.feed)
    for number in range(len(climber.curves)):
        climber.curve(number)
    points = climber.points
    knees = [knee_of(list(curve)) for _, curve in itertools.groupby(points, curve_of)]
    assert climber.subject is not None
    return LoadTest(
        FORM, climber.subject, machine, masked(camera), camera_us, wish.seconds, tuple(points),
        tuple(knees), tuple(climber.left_out),
    )  # fmt: skip


def curve_of(point: Point) -> tuple[int, int]:
    """Points of one curve differ in nothing but their rate."""
    return point.load.threads, point.load.pipelines


def cost_of_a_picture(feed: Feed) -> float | None:
    """Processor time of a picture in microseconds, by this process alone; None if none comes."""
    with open_camera(feed(None, 0)) as camera:
        _take(camera)
        before_s = time.process_time()
        taken = sum(_take(camera) for _ in range(TASTED))
        spent_s = time.process_time() - before_s
    return spent_s / taken * 1e6 if taken else None


def rates_around(flat_out: float) -> tuple[float, ...]:
    """Below and above what a pipeline manages when it is never without a picture."""
    least, most = RATES
    rates = (min(most, max(least, min(flat_out, most) * share)) for share in AROUND)
    return tuple(dict.fromkeys(float(f"{rate:.2g}") for rate in rates))


class _Climber:
    """Where it is, and what was found so far."""

    def __init__(self, wish: Wish, plan: Plan, tell: Tell) -> None:
        self.curves = list(itertools.product(sorted(plan.threads), sorted(plan.pipelines)))
        self.total = len(self.curves) * (len(plan.rates) or len(AROUND))
        self.points: list[Point] = []
        self.left_out: list[Load] = []
        self.subject: Subject | None = None
        self._wish = wish
        self._plan = plan
        self._tell = tell

    def curve(self, number: int) -> None:
        """All rates of one number of threads and pipelines, until it is far too much."""
        threads, pipelines = self.curves[number]
        done = number * self.total // len(self.curves)
        rates = self._plan.rates or self._usual(Load(0.0, pipelines, threads), done)
        for index, rate in enumerate(sorted(rates)):
            load = Load(rate, pipelines, threads)
            self._tell(Progress(f"{in_words(load)}{self._before()}", done + index, self.total))
            point = point_of(load, self._wish.seconds, self._run(load))
            self.points.append(point)
            if point.skipped > FAR_TOO_MUCH or point.latency_us is None:
                rest = sorted(rates)[index + 1 :]
                self.left_out += [Load(each, pipelines, threads) for each in rest]
                return

    def _usual(self, load: Load, done: int) -> tuple[float, ...]:
        self._tell(Progress(f"{in_words(load)}, flat out", done, self.total))
        seconds = min(FLAT_OUT_S, self._wish.seconds)
        ran = run_flat_out(self._wish, load.pipelines, load.threads, seconds)
        self._learn(ran)
        taken = sum(len(each.end_to_end_ns) for each in ran.counted if each is not None)
        return rates_around(taken / seconds / load.pipelines)

    def _before(self) -> str:
        """What the load before came to, for who waits."""
        if not self.points or (times := self.points[-1].latency_us) is None:
            return ""
        return f" (before: {self.points[-1].answered:.4g}/s, p95 {duration(times.p95)})"

    def _run(self, load: Load) -> Ran:
        ran = run(self._wish, load)
        self._learn(ran)
        return ran

    def _learn(self, ran: Ran) -> None:
        """Which model it is. Raises what ended the first pipelines, if not one of them answers."""
        if self.subject is not None:
            return
        ready = next((each for each in ran.ready if each is not None), None)
        if ready is None:
            raise ran.troubles[0]
        self.subject = Subject(ready.name, ready.version, ready.digest, ready.engine)


def in_words(load: Load) -> str:
    """`2 pipelines at 30/s, 1 thread`"""
    pipelines = f"{load.pipelines} pipeline{'s'[: load.pipelines != 1]}"
    rate = f" at {load.rate:g}/s" if load.rate else ""
    return f"{pipelines}{rate}, {load.threads} thread{'s'[: load.threads != 1]}"


def _take(camera: Camera) -> int:
    frame = camera.read(1.0)
    if frame is None:
        return 0
    frame.release()
    return 1
