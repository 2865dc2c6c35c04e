"""The fleet as Prometheus sees it: the whole, the parts of this server, and each device."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fleet.concerns import cpu_percent, memory_percent
from fleet.live.line import Line
from fleet.live.view import Sight
from fleet.registry.words import Known
from fleet.serve.crew import PartState
from fleet.serve.metrics.families import Family, Labels
from fleet.serve.metrics.meter import Meter
from wire.health import Health
from wire.messages import Telemetry

# "quantile" is a label that Prometheus keeps for summaries
PERCENTILES: tuple[tuple[str, Callable[[Line], float | None]], ...] = (
    ("50", lambda line: line.p50_us),
    ("95", lambda line: line.p95_us),
    ("99", lambda line: line.p99_us),
)


def whole(sight: Sight, states: Iterable[PartState], meter: Meter) -> list[Family]:
    """Without a line for each device."""
    summary = sight.summary
    unheard = summary.devices - summary.online - summary.offline
    stood = (("online", summary.online), ("offline", summary.offline), ("unknown", unheard))
    return [
        _gauge("vedette_devices", "Devices, by whether they are connected.", [
            ((("state", state),), count) for state, count in stood
        ]),
        _gauge("vedette_devices_needing_attention", "Devices with a trouble.", [
            ((), summary.needing)
        ]),
        _gauge("vedette_devices_in_trouble", "Devices with a trouble, by its kind.", [
            ((("kind", each.kind),), each.count) for each in summary.troubles
        ]),
        _gauge("vedette_pipelines", "Pipelines, by what they run.", [
            (_release(each.name), each.count) for each in summary.releases
        ]),
        _gauge("vedette_pipelines_on_trial", "Pipelines that try a model.", [
            (_release(each.name), each.trial) for each in summary.releases
        ]),
        _gauge("vedette_server_part_up", "Whether a part of the server works.", [
            ((("part", each.name),), float(each.status == "working")) for each in states
        ]),
        *_counted(meter),
    ]  # fmt: skip


def each_device(sight: Sight) -> list[Family]:
    """One sample or more of each device that is known. Made while they are read: there are many."""
    found: list[Family] = []
    lines = sight.lines

    def add(name: str, what: str, value: Callable[[Line], float | None]) -> None:
        known = ((line.name, value(line)) for line in lines)
        samples = (((("device", name),), number) for name, number in known if number is not None)
        found.append(_gauge(f"vedette_device_{name}", what, samples))

    def health(line: Line) -> Health | None:
        record = _record(sight.known.get(line.name))
        return None if record is None else record.health

    add("up", "Whether the device is connected.", lambda line: _number(line.is_online))
    add("heard_timestamp_seconds", "When anything came of it.", lambda line: line.heard_s)
    add("frames_per_second", "Over all pipelines.", lambda line: line.fps)
    add("temperature_celsius", "Of its hottest sensor.", lambda line: line.hottest_c)
    add("cpu_ratio", "Busy share of its processors.", lambda line: _cpu(health(line)))
    add("memory_ratio", "Share of its memory in use.", lambda line: _memory(health(line)))
    add("disk_ratio", "Share of its disk in use.", lambda line: _disk(health(line)))
    add("throttled", "Whether the board is slowed down.", lambda line: _throttled(health(line)))
    add("lost_records", "Records that never came.", lambda line: line.lost)
    found.append(_gauge("vedette_device_latency_seconds", "End to end, of the newest record.", (
        ((("device", line.name), ("percentile", percent)), value / 1e6)
        for line in lines for percent, of in PERCENTILES if (value := of(line)) is not None
    )))  # fmt: skip
    found.append(_gauge("vedette_device_trouble", "1 for each trouble that a device has.", (
        ((("device", line.name), ("kind", kind)), 1.0)
        for line in lines for kind in sorted(line.kinds)
    )))  # fmt: skip
    return found


def _counted(meter: Meter) -> list[Family]:
    """What only grows."""
    records, counted = meter.counted()
    releases = sorted(counted.items())
    labels = {name: (("model", name[0]), ("version", name[1])) for name, _ in releases}
    return [
        Family("vedette_records_total", "counter", "Telemetry records, the newest of each device.",
               (((), float(records)),)),
        Family("vedette_frames_total", "counter", "Frames with a result.",
               tuple((labels[name], float(each.frames)) for name, each in releases)),
        Family("vedette_frames_lost_total", "counter", "Frames without a result, by reason.",
               tuple(((*labels[name], ("reason", reason)), float(count))
                     for name, each in releases for reason, count in each.losses.items())),
        Family("vedette_stage_duration_seconds", "histogram", "Time of a frame in each stage.",
               histograms=tuple(((*labels[name], ("stage", stage)), grown)
                                for name, each in releases
                                for stage, grown in each.stages.items())),
    ]  # fmt: skip


def _gauge(name: str, what: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    return Family(name, "gauge", what, samples)


def _release(name: str) -> Labels:
    model, _, version = name.partition(" ")
    return (("model", model), ("version", version))


def _record(known: Known | None) -> Telemetry | None:
    return None if known is None else known.telemetry


def _number(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _cpu(health: Health | None) -> float | None:
    percent = None if health is None else cpu_percent(health)
    return None if percent is None else percent / 100


def _memory(health: Health | None) -> float | None:
    percent = None if health is None else memory_percent(health)
    return None if percent is None else percent / 100


def _disk(health: Health | None) -> float | None:
    disk = None if health is None else health.disk
    return None if disk is None or disk.total <= 0 else 1 - disk.free / disk.total


def _throttled(health: Health | None) -> float | None:
    throttle = None if health is None else health.throttle
    return None if throttle is None else float(bool(throttle.now))
