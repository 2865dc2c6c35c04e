"""How a simulated device obeys: what is asked for is answered as a real one would, made up."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from msgspec.structs import replace

from fleet.simulate.door import Door
from fleet.simulate.faring import bench_of
from fleet.simulate.picture import picture
from fleet.simulate.running import Running
from fleet.simulate.telling import WATCH_S, Teller
from wire import orders
from wire.messages import PipelineSettings, Reply
from wire.orders import Command, Restart, Set, Setting, Snapshot, Status, Watch
from wire.troubles import Refused, Unavailable

RESTART_S = 2.0  # until a process that ended is there again
NOTHING_RUNS = "no model runs here: deploy one, or wait until it is loaded"
OF_PIPELINE: tuple[Setting, ...] = ("results", "results_per_s", "min_score")


class Voice(Protocol):
    """Of the device."""

    def say_state(self) -> None: ...

    def answer(self, reply: Reply) -> None: ...

    def show(self, identity: str, jpeg: bytes) -> bool:
        """Send a picture. Whether the link took it."""


class Obedient:
    """`take` and `tick` where devices are driven. watched_until_s: by time.monotonic."""

    def __init__(
        self,
        door: Door,
        pipeline: str,
        teller: Teller,
        voice: Voice,
        acknowledged_by: Literal["broker", "registry"],
    ) -> None:
        self.door = door
        self.watched_until_s = 0.0
        self._pipeline = pipeline
        self._teller = teller
        self._voice = voice
        self._acknowledged_by: Literal["broker", "registry"] = acknowledged_by
        self._is_measuring = False
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # a heap

    def take(self, payload: bytes, now_s: float) -> None:
        """A payload of the topic of commands. now_s: by time.monotonic."""
        judged = self.door.judge(payload, time.time())
        if isinstance(judged, Reply):
            self._voice.answer(judged)
        elif judged is not None:
            self._answer(judged, lambda: self._carried_out(judged, now_s))

    def tick(self, now_s: float) -> None:
        """Do what is due."""
        while self._due and self._due[0][0] <= now_s:
            heapq.heappop(self._due)[2]()
        if self._teller.is_watched and now_s >= self.watched_until_s:
            self._teller.is_watched = False
            self._voice.say_state()

    def _answer(self, command: Command, act: Callable[[], Reply | None]) -> None:
        try:
            reply = act()
        except (Refused, Unavailable) as trouble:
            reply = Reply(command.id, False, str(trouble))
        if reply is not None:
            self._voice.answer(self.door.finish(reply))

    def _carried_out(self, command: Command, now_s: float) -> Reply | None:
        """The reply, or None: it comes later."""
        identity, order = command.id, command.order
        if isinstance(order, Status):
            state = self._teller.state(self._acknowledged_by)
            return Reply(identity, True, "the state", msgspec.to_builtins(state))
        if isinstance(order, Watch):
            return Reply(identity, True, self._watched(order, now_s))
        if isinstance(order, Set):
            return Reply(identity, True, self._set(order))
        orders.pipeline_of(order, (self._pipeline,))
        if isinstance(order, Restart):
            self._later(now_s + RESTART_S, self._restarted)
            return Reply(identity, True, "it ends now")
        if (runs := self._teller.runs) is None:
            raise Refused(NOTHING_RUNS)
        if self._teller.absent is not None:
            raise Unavailable(f"there is nothing to see: {self._teller.absent}")
        if isinstance(order, Snapshot):
            return self._shown(identity)
        self._bench(command, order.frames, runs, now_s)
        return None

    def _later(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    def _watched(self, order: Watch, now_s: float) -> str:
        self.watched_until_s = now_s + 60.0 * order.minutes
        self._teller.is_watched = True
        self._voice.say_state()
        plural = "" if order.minutes == 1 else "s"
        return f"telemetry every {WATCH_S:g} s for {order.minutes} minute{plural}"

    def _restarted(self) -> None:
        self._teller.restarts += 1
        self._voice.say_state()

    def _shown(self, identity: str) -> Reply:
        digit, place = self._teller.seen()
        if not self._voice.show(identity, picture(digit, place)):
            raise Unavailable("the picture could not be sent: ask again")
        return Reply(identity, True, "a made-up frame of 320x240")

    def _bench(self, command: Command, frames: int, runs: Running, now_s: float) -> None:
        """Answer when so many frames would have come. Raises Unavailable."""
        if self._is_measuring:
            raise Unavailable("another bench is running: ask again when it is done")
        self._is_measuring = True
        figures = bench_of(self._teller.character, runs, frames)

        def measured() -> Reply:
            self._is_measuring = False
            if self._teller.runs != runs:
                raise Unavailable("the model changed meanwhile: ask again")
            text = f"{frames} frames of the live loop, made up"
            return Reply(command.id, True, text, msgspec.to_builtins(figures))

        self._later(now_s + figures.seconds, lambda: self._answer(command, measured))

    def _set(self, order: Set) -> str:
        """Change settings, and say what is in force now. Raises Refused."""
        wanted: dict[Setting, str | float | None] = {
            each: value
            for each in (*OF_PIPELINE, "log_level", "telemetry_period_s")
            if (value := getattr(order, each)) is not None
        }
        if both := [each for each in order.reset if each in wanted]:
            raise Refused(f"{both[0]}: set it or reset it, not both")
        wanted.update(dict.fromkeys(order.reset))
        if not wanted:
            raise Refused("say what to set")
        if "telemetry_period_s" in wanted:
            raise Refused("telemetry_period_s: simulated devices all tell at --telemetry-s")
        name = self._pipeline
        if order.pipeline is not None:
            orders.pipeline_of(order, (name,))
        usual = PipelineSettings()
        changes = {
            each: getattr(usual, each) if value is None else value
            for each, value in wanted.items() if each in OF_PIPELINE
        }  # fmt: skip
        self._teller.settings = replace(self._teller.settings, **changes)
        if "log_level" in wanted:
            self._teller.log_level = order.log_level or "info"
        self._voice.say_state()
        return ", ".join(self._in_words(each, value is None) for each, value in wanted.items())

    def _in_words(self, each: Setting, is_reset: bool) -> str:
        if each in OF_PIPELINE:
            value: object = getattr(self._teller.settings, each)
            subject = f"{each} of {self._pipeline}"
        else:
            value, subject = self._teller.log_level, each
        shown = "as the model has it" if value is None else value
        number = f"{shown:g}" if isinstance(shown, float) else shown
        return f"{subject} is now {number}{' (as configured)' if is_reset else ''}"
