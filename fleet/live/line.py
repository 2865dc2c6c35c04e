"""One line of the fleet's table: a device as it is now, judged, with all that is sorted by."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from fleet.concerns import (
    LOST,
    OVERDUE_PERIODS,
    OVERDUE_S,
    Concern,
    Kind,
    concerns,
    hottest_c,
    period_s,
)
from fleet.devices import Device, merged
from fleet.live.kinds import Level, level_of
from fleet.live.peers import Peers, slowness
from fleet.wording import plural, printable
from wire.messages import PipelineState, Update, Window

MOST_PIPELINES = 16
TWICE = ("throttled: ", "now ")  # how a board that is slowed down is told of
LONGEST = 100  # characters of a name


class Runs(Struct, frozen=True):
    """What a pipeline does. Latency is end to end, of its newest window, in us."""

    pipeline: str
    phase: str
    model: str
    version: str | None
    digest: str | None
    engine: str | None
    camera: str
    absent: str | None
    restarts: int
    update: Update | None
    fps: float | None
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None

    @property
    def release(self) -> str:
        """`NAME VERSION`."""
        return f"{self.model} {self.version or '-'}" if self.model else ""


class Line(Struct, frozen=True):
    """A device. What is not known is None. Times are Unix time by our clock.

    weight: of its worst concern. kinds: of all its concerns. is_online: as its presence says.
    models: `NAME VERSION` of each pipeline. heard_s: when anything came of it; reached_s: when its
    newest record was made. fps: of all pipelines, None while it is offline; latency: end to end of
    all pipelines, in us. is_slower: than the same on other boards of its kind. found: what a search
    looks through, in small letters. due_s: when time alone may change what is wrong.
    """

    name: str
    level: Level
    weight: int
    concerns: tuple[Concern, ...]
    kinds: frozenset[Kind]
    is_online: bool | None
    board: str
    groups: tuple[str, ...]
    pipelines: tuple[Runs, ...]
    models: frozenset[str]
    fps: float | None
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None
    hottest_c: float | None
    heard_s: float | None
    reached_s: float | None
    lost: int
    is_slower: bool
    found: str
    due_s: float

    @property
    def model(self) -> str:
        """What it runs, shortly: the first pipeline's model, and how many others there are."""
        if not self.pipelines:
            return ""
        more = f" +{len(self.pipelines) - 1}" if len(self.pipelines) > 1 else ""
        return self.pipelines[0].release + more

    @property
    def trial(self) -> Runs | None:
        """The first pipeline that tries a model."""
        return next((r for r in self.pipelines if r.update and r.update.phase == "trial"), None)


def line_of(device: Device, heard_s: float | None, lost: int, peers: Peers, now_s: float) -> Line:
    """A device, judged. lost: records of it that never came, as the registry counts them."""
    runs = runs_of(device)
    judged = _told_once(device, concerns(device, now_s))
    if lost and not any(one.kind == "lost" for one in judged):
        judged.append(Concern(LOST, f"{plural(lost, 'record')} never came", "lost"))
    board = "" if device.state is None else _short(device.state.board)
    slower = [one for each in runs if (one := slowness(board, each, peers)) is not None]
    judged += slower
    judged.sort(key=lambda one: -one.weight)
    p50_us, p95_us, p99_us = _together(device, runs)
    weight = judged[0].weight if judged else 0
    groups = () if device.state is None else device.state.groups[:MOST_PIPELINES]
    rates = [each.fps for each in runs if each.fps is not None]
    is_gone = device.presence is not None and not device.presence.online
    health = None if device.newest is None else device.newest.health
    return Line(
        name=device.name,
        level=level_of(weight),
        weight=weight,
        concerns=tuple(judged),
        kinds=frozenset(one.kind for one in judged),
        is_online=None if device.presence is None else device.presence.online,
        board=board,
        groups=groups,
        pipelines=runs,
        models=frozenset(each.release for each in runs if each.model),
        fps=sum(rates) if rates and not is_gone else None,
        p50_us=p50_us,
        p95_us=p95_us,
        p99_us=p99_us,
        hottest_c=None if health is None else hottest_c(health),
        heard_s=heard_s,
        reached_s=device.reached_s,
        lost=lost,
        is_slower=bool(slower),
        found=_found(device.name, board, groups, runs, judged),
        due_s=_due_s(device, now_s),
    )


def _told_once(device: Device, judged: list[Concern]) -> list[Concern]:
    """Why the board is slowed down stands in the windows and in its health: one line for both."""
    health = None if device.newest is None else device.newest.health
    reasons = {why for window in device.windows.values() for why in window.throttled or ()}
    if health is not None and health.throttle is not None:
        reasons.update(health.throttle.now)
    told = [one for one in judged if one.kind == "throttled" and one.words.startswith(TWICE)]
    if not told or not reasons:
        return judged
    words = ", ".join(sorted(why.replace("_", " ") for why in reasons))
    once = Concern(told[0].weight, printable(f"throttled: {words}", 200), "throttled")
    return [once, *(one for one in judged if one not in told)]


def _together(
    device: Device, runs: tuple[Runs, ...]
) -> tuple[float | None, float | None, float | None]:
    """The percentiles of all pipelines, merged."""
    if len(runs) == 1:
        return runs[0].p50_us, runs[0].p95_us, runs[0].p99_us
    whole = merged(window.stages.end_to_end for window in device.windows.values())
    return whole.percentile(0.50), whole.percentile(0.95), whole.percentile(0.99)


def runs_of(device: Device) -> tuple[Runs, ...]:
    """Every pipeline that its state or its newest records tell of, by name."""
    states = {} if device.state is None else device.state.pipelines
    names = sorted({*states, *device.windows})[:MOST_PIPELINES]
    return tuple(_runs(name, states.get(name), device.windows.get(name)) for name in names)


def _runs(name: str, state: PipelineState | None, window: Window | None) -> Runs:
    now = state or window
    assert now is not None, "one of them has the name"
    p50_us, p95_us, p99_us = _percentiles(window)
    return Runs(
        pipeline=_short(name),
        phase=now.phase,
        model=_short(now.model),
        version=None if now.version is None else _short(now.version),
        digest=None if now.digest is None else _short(now.digest),
        engine=None if now.engine is None else _short(now.engine),
        camera=_short(now.camera),
        absent=None if now.absent is None else printable(now.absent, 200),
        restarts=now.restarts,
        update=None if state is None else state.update,
        fps=None if window is None else window.fps,
        p50_us=p50_us,
        p95_us=p95_us,
        p99_us=p99_us,
    )


@lru_cache(maxsize=8192)
def _short(text: str) -> str:
    """Thousands of devices run the same: what they call it is looked at once."""
    return printable(text, LONGEST)


def _percentiles(window: Window | None) -> tuple[float | None, float | None, float | None]:
    """p50, p95 and p99 end to end, in us."""
    if window is None:
        return None, None, None
    counts = window.stages.end_to_end
    return counts.percentile(0.50), counts.percentile(0.95), counts.percentile(0.99)


def _found(
    name: str,
    board: str,
    groups: tuple[str, ...],
    runs: tuple[Runs, ...],
    judged: list[Concern],
) -> str:
    """Newlines between the parts, so that no search runs over two of them."""
    parts = [name, board, *groups, *(one.words for one in judged)]
    for each in runs:
        parts += [each.pipeline, f"{each.model} {each.version or ''}", each.digest or ""]
    return "\n".join(parts).casefold()


def _due_s(device: Device, now_s: float) -> float:
    """When the words for what is wrong will be others although nothing was heard."""
    presence = device.presence
    since_s = device.reached_s
    if presence is not None and not presence.online:
        since_s = device.online_s
    elif since_s is not None:
        overdue_s = since_s + OVERDUE_PERIODS * period_s(device) + OVERDUE_S
        if overdue_s >= now_s:
            return overdue_s
    if since_s is None:
        return float("inf")
    age_s = now_s - since_s
    return now_s + (2.0 if age_s < 100 else 30.0 if age_s < 7200 else 900.0)
