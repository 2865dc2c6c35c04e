"""What stands above the table of a fleet: how many there are, how fast, and what is wrong."""

from __future__ import annotations

from fleet.devices import Fleet
from fleet.portrait import Line
from fleet.screens import Standing
from fleet.wording import count, plural, printable, spread


def head_lines(fleet: Fleet, standing: Standing) -> list[Line]:
    """How many there are, and what is wrong with the watching itself."""
    devices = fleet.devices.values()
    heard = [device.presence.online for device in devices if device.presence is not None]
    offline = heard.count(False)
    parts = [plural(len(devices), "device"), f"{count(heard.count(True))} online"]
    if offline:
        parts.append(f"{count(offline)} offline")
    parts.append(plural(fleet.records, "record"))
    lines = [Line(f"{fleet.name} at {printable(standing.where)}: {', '.join(parts)}", "title")]
    return lines + [Line(text, "bad") for text in trouble_lines(fleet, standing)]


def trouble_lines(fleet: Fleet, standing: Standing) -> list[str]:
    lines = []
    if standing.why is not None:
        lines.append(f"not connected: {printable(standing.why, 300)}")
    parts = []
    if fleet.garbage:
        parts.append(plural(fleet.garbage, "unreadable message"))
    if fleet.beyond:
        parts.append(f"{plural(fleet.beyond, 'message')} of devices beyond what can be shown")
    return [*lines, *([", ".join(parts)] if parts else [])]


def latency_words(fleet: Fleet) -> str:
    """Of all frames of the fleet; empty where there is none."""
    whole, inference = fleet.latency("end_to_end"), fleet.latency("inference")
    if not whole.count and not inference.count:
        return ""
    told = f"end to end {spread(whole)} ms, inference {spread(inference)} ms"
    return f"all frames, p50 p95 p99: {told}"
