"""A whole agent inside this process: real spool, real local socket, a clock that tests set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agent.agent import Agent
from agent.commander import Commander
from agent.inbox import Inbox, LocalReader
from agent.keeping import Keeping
from agent.parts import MakeLink, Parts
from agent.settings import Settings
from wire.config import Config, parse
from wire.folders import Folders
from wire.health import Health, Throttle
from wire.histogram import Histogram
from wire.link import LinkEvent
from wire.local import (
    FromAgent,
    FromRuntime,
    Mailbox,
    Totals,
    agent_mailbox,
    agent_socket,
    pipeline_mailbox,
)
from wire.messages import Losses, PipelineSettings, StageCounts
from wire.pulse import Pulse

BOOT = "boot1"
CONFIG = """\
fleet = "yard"
device = "door"

[broker]
url = "mqtt://127.0.0.1:{port}"

[telemetry]
acknowledged_by = "{by}"
spool_mib = {mib}

[pipeline.lane]
camera = "synthetic://64x48@30"
model = "digits"
"""


def config_text(port: int = 1883, by: str = "broker", mib: int = 64) -> str:
    return CONFIG.format(port=port, by=by, mib=mib)


@dataclass
class SetClock:
    """Both clocks of a device, moved by hand."""

    up_s: float = 1000.0
    wall_ahead_s: float = 1_800_000_000.0

    def uptime_s(self) -> float:
        return self.up_s

    def wall_s(self) -> float:
        return self.up_s + self.wall_ahead_s


class FixedBoard:
    """A board that reads the same always."""

    name = "test board"

    def __init__(self) -> None:
        self.health = Health(uptime_s=1.0, temperatures_c={"soc": 48.5})

    def read(self) -> Health:
        return self.health

    def throttle(self, *reasons: str) -> None:
        self.health = Health(throttle=Throttle(now=reasons))


class WatchedInbox(Inbox):
    """Shows what was taken last."""

    last: LinkEvent | FromRuntime | None = None

    def take(self, timeout_s: float) -> LinkEvent | FromRuntime | None:
        self.last = super().take(timeout_s)
        return self.last


class Rig:
    """The agent, opened; `runtime` sends as the process of pipeline `lane` would."""

    def __init__(
        self,
        folder: Path,
        make_link: MakeLink,
        config: Config | None = None,
        clock: SetClock | None = None,
        boot: str = BOOT,
        run: Path | None = None,
    ) -> None:
        self.config = config or parse(config_text(), "vedette.toml")
        self.clock = clock or SetClock()
        self.board = FixedBoard()
        self.folders = Folders(folder / "vedette.toml", folder / "state", run or folder / "run")
        for each in (self.folders.state, self.folders.run):
            each.mkdir(parents=True, exist_ok=True)
        self.runtime_lives = True
        self._said: Totals | None = None
        self._stack = ExitStack()
        self.keeping = Keeping(self.folders.state, self.config.telemetry, self.clock)
        self._stack.callback(self.keeping.close)
        mailbox = agent_mailbox(self.folders.run)
        self._stack.callback(mailbox.close)
        self.inbox = WatchedInbox()
        self.agent = Agent(
            Parts(
                config=self.config,
                refused=None,
                folders=self.folders,
                boot=boot,
                clock=self.clock,
                board=self.board,
                keeping=self.keeping,
                settings=Settings(self.folders.state, self.config),
                commander=Commander(self.folders.state, self.config, self.clock.wall_s()),
                mailbox=mailbox,
                inbox=self.inbox,
                make_link=make_link,
                set_log_level=lambda _: None,
            )
        )
        reading = Pulse("local", math.inf)
        self._stack.callback(LocalReader(mailbox, self.inbox, reading).close)
        self.runtime: Mailbox[FromAgent] = pipeline_mailbox(self.folders.run, "lane")
        self._stack.callback(self.runtime.close)
        self.agent.open()
        self._stack.callback(self.agent.close)

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def say(self, totals: Totals) -> None:
        """As the runtime; returns when the agent has taken it."""
        self._said = totals
        assert self.runtime.send(agent_socket(self.folders.run), totals)
        self.until(lambda: self.inbox.last == totals)

    def quiet(self, seconds: float = 0.02) -> None:
        """Take what there is, until nothing comes for a moment."""
        self.agent.step(seconds)
        while self.inbox.last is not None:
            self.agent.step(seconds)

    def forward(self, seconds: float) -> None:
        """Let time pass, in steps as small as a turn. A runtime that lives repeats itself."""
        end_s = self.clock.up_s + seconds
        while self.clock.up_s < end_s:
            self.clock.up_s = min(end_s, self.clock.up_s + 1.0)
            if self._said is not None and self.runtime_lives and int(self.clock.up_s) % 10 == 0:
                self.inbox.post(self._said)
                self.agent.step(0.0)
            self.agent.step(0.0)

    def until(self, holds: Callable[[], bool], patience_s: float = 10.0) -> None:
        """Step, in real time, until something holds."""
        end_s = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < end_s, "it never came to that"
            self.agent.step(0.02)


def stages(frames: int, us: float = 4_000.0) -> StageCounts:
    histogram = Histogram()
    for _ in range(min(frames, 1000)):
        histogram.record_ns(int(us * 1000))
    counts = histogram.counts()
    return StageCounts(counts, counts, counts, counts, counts)


def totals(frames: int, seconds: float, run: str = "run1", **more: object) -> Totals:
    """What a runtime at 30 fps says."""
    fields: dict[str, object] = {
        "pipeline": "lane",
        "run": run,
        "seconds": seconds,
        "phase": "serving",
        "absent": None,
        "model": "digits",
        "version": "1",
        "digest": "a" * 64,
        "engine": "null",
        "camera": "synthetic://64x48@30",
        "frames": frames,
        "losses": Losses(),
        "stages": stages(frames),
        "unsent": 0,
        "rss_bytes": 50_000_000,
        "settings": PipelineSettings(),
        **more,
    }
    return Totals(**fields)  # type: ignore[arg-type]
