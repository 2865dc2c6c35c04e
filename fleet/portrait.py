"""One device in depth, as lines: all stages, its health in full, what it runs and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.concerns import concerns, cpu_percent, memory_percent
from fleet.devices import Device, Happened
from fleet.lines import event_words, result_words
from fleet.wording import (
    clock_time,
    count,
    duration,
    model_words,
    number,
    plural,
    printable,
    share,
    size,
    stretch,
)
from wire.happenings import Places
from wire.health import Health
from wire.messages import PipelineState, StageCounts, Telemetry, Window

MOST_NAMES = 24  # of sensors, clocks, interfaces
MOST_EVENTS = 8


@dataclass(frozen=True)
class Line:
    """kind: title, bad, plain, dim: how it is coloured."""

    text: str
    kind: str = "plain"


def portrait(device: Device, events: list[Happened], now_s: float) -> list[Line]:
    """Everything that is known, top down."""
    lines = [Line(_title(device), "title")]
    lines += [Line(f"! {concern.words}", "bad") for concern in concerns(device, now_s)]
    lines += [Line(text, "dim") for text in _identity(device)]
    if device.newest is not None:
        lines += [Line(_record(device, device.newest, now_s))]
    windows = device.windows
    states = {} if device.state is None else device.state.pipelines
    for name in sorted({*windows, *states}):
        lines += [Line(""), *_pipeline(name, states.get(name), windows.get(name))]
        if name in device.results:
            result = device.results[name]
            lines.append(Line(f"  found {printable(result_words(result), 200)}"))
    if device.newest is not None:
        lines += [Line(""), *(Line(text) for text in _health(device.newest.health))]
    own = [h for h in events if h.device == device.name][-MOST_EVENTS:]
    if own:
        lines.append(Line(""))
    lines += [Line(f"{clock_time(h.at_s)} {event_words(h.event)}", "dim") for h in reversed(own)]
    return lines


def _title(device: Device) -> str:
    presence = device.presence
    word = "presence not heard" if presence is None else "online" if presence.online else "offline"
    since = "" if device.online_s is None else f" since {clock_time(device.online_s)}"
    board = "" if device.state is None else f", {printable(device.state.board)}"
    return f"{device.name} {word}{since}{board}"


def _identity(device: Device) -> Iterator[str]:
    state = device.state
    if state is not None:
        groups = ", ".join(state.groups[:MOST_NAMES]) or "none"
        allowed = "allowed" if state.snapshots else "not allowed"
        yield printable(
            f"agent {state.agent}, groups {groups}, log {state.log_level}, snapshots {allowed}, "
            f"records acknowledged by the {state.acknowledged_by}",
            300,
        )


def _record(device: Device, newest: Telemetry, now_s: float) -> str:
    age = "" if device.reached_s is None else f" {stretch(now_s - device.reached_s)} ago"
    every = "" if device.state is None else f", one every {number(device.state.telemetry_s)} s"
    return (
        f"record {count(newest.seq)}{age}{every}, {count(device.backlog)} older ones to come, "
        f"{count(newest.lost)} lost, up {stretch(newest.uptime_s)}"
    )


def _pipeline(name: str, state: PipelineState | None, window: Window | None) -> Iterator[Line]:
    now = state or window
    assert now is not None
    title = f"{name}: {now.phase.replace('_', ' ')}, {model_words(now.model, now.version)}"
    yield Line(printable(title, 200), "title")
    if now.absent:
        yield Line("  " + printable(f"camera absent: {now.absent}", 300), "bad")
    digest = f" ({now.digest[:16]})" if now.digest else ""
    yield Line("  " + printable(f"{now.engine or '-'}{digest} on {now.camera}", 300), "dim")
    if state is not None:
        settings = state.settings
        score = "as the model has it" if settings.min_score is None else f"{settings.min_score:g}"
        yield Line(
            f"  results {settings.results}, at most {settings.results_per_s:g} per second, "
            f"least score {score}, restarted {plural(state.restarts, 'time')}",
            "dim",
        )
    if window is not None:
        yield from (Line(text) for text in _window(window))


def _window(window: Window) -> Iterator[str]:
    losses = window.losses
    yield (
        f"  {number(window.fps, 'per second', 1)}, {plural(window.frames, 'result')} in "
        f"{stretch(window.seconds)}; without one: {count(losses.skipped)} skipped, "
        f"{count(losses.driver)} lost, {count(losses.decode)} damaged, "
        f"{count(losses.refused)} refused"
    )
    throttled = "not known" if window.throttled is None else ", ".join(window.throttled) or "no"
    yield "  " + printable(
        f"memory {size(window.rss_bytes)}, throttled {throttled}, "
        f"{count(window.unsent)} datagrams unsent",
        300,
    )
    if window.places is not None:
        yield from _places(window.places)
    yield f"  {'stage':<14}{'p50':>10}{'p95':>10}{'p99':>10}{'most':>10}"
    for stage in StageCounts.__struct_fields__:
        counts = getattr(window.stages, stage)
        cells = [counts.percentile(part) for part in (0.50, 0.95, 0.99)]
        cells.append(counts.maximum_us)
        words = "".join(f"{duration(us):>10}" for us in cells)
        yield f"  {stage.replace('_', ' '):<14}{words}"


def _places(places: Places) -> Iterator[str]:
    """Who is inside, and what tracks did in the newest window."""
    words = [f"{zone} {count(inside)} inside" for zone, inside in places.inside.items()]
    sums: dict[tuple[str, str], int] = {}
    for each in places.passed:
        sums[each.where, each.way] = sums.get((each.where, each.way), 0) + each.count
    words += [f"{where} {count(passed)} {way}" for (where, way), passed in sums.items()]
    if words:
        yield "  " + printable(f"zones and lines: {', '.join(words)}", 300)


def _health(health: Health) -> Iterator[str]:
    cores = " ".join(number(core) for core in (health.cpu_percent or ())[:64])
    load = " ".join(number(part, digits=2) for part in health.load or ()) or "-"
    yield f"cpu {number(cpu_percent(health), '%')} (cores {cores or '-'}), load {load}"
    memory, disk = health.memory, health.disk
    if memory is not None:
        swap = f", swap {size(memory.swap_used)} of {size(memory.swap_total)}"
        yield (
            f"memory {number(memory_percent(health), '%')} of {size(memory.total)}, "
            f"{size(memory.available)} available{swap}"
        )
    if disk is not None:
        used = share(disk.total - disk.free, disk.total)
        yield f"disk {number(used, '%')} of {size(disk.total)}, {size(disk.free)} free"
    rss = health.process_rss or {}
    yield from _named("processes", {name: size(value) for name, value in rss.items()})
    degrees = health.temperatures_c or {}
    yield from _named("temperatures", {n: number(c, "C", 1) for n, c in degrees.items()})
    clocks = health.clocks_mhz or {}
    yield from _named("clocks", {n: number(mhz, "MHz") for n, mhz in clocks.items()})
    for name, traffic in list((health.network or {}).items())[:MOST_NAMES]:
        yield printable(
            f"{name}: {size(traffic.received_bytes)} in, {size(traffic.sent_bytes)} out, "
            f"{count(traffic.errors)} errors, {count(traffic.dropped)} dropped",
            200,
        )
    yield from _throttle(health)
    synchronised = health.clock_synchronised
    words = "not known whether synchronised" if synchronised is None else (
        "synchronised" if synchronised else "not synchronised"
    )  # fmt: skip
    yield f"clock {words}"
    yield from _jetson(health)


def _throttle(health: Health) -> Iterator[str]:
    if health.throttle is None:
        yield "throttling not known"
        return
    now = ", ".join(health.throttle.now) or "none"
    before = ", ".join(health.throttle.since_boot) or "none"
    yield printable(f"throttling now: {now}; since boot: {before}", 300)


def _jetson(health: Health) -> Iterator[str]:
    rails = {n: number(mw, "mW") for n, mw in (health.power_mw or {}).items()}
    yield from _named("power", rails)
    parts = [("gpu", health.gpu_percent), ("fan", health.fan_percent)]
    known = [f"{name} {number(value, '%')}" for name, value in parts if value is not None]
    if health.power_mode is not None:
        known.append(f"power mode {health.power_mode}")
    if known:
        yield printable(", ".join(known), 300)


def _named(what: str, values: dict[str, str]) -> Iterator[str]:
    if values:
        shown = [f"{name} {value}" for name, value in list(values.items())[:MOST_NAMES]]
        more = f", {len(values) - MOST_NAMES} more" if len(values) > MOST_NAMES else ""
        yield printable(f"{what}: {', '.join(shown)}{more}", 400)
