"""The files that systemd reads: those that a release brings, and the drop-ins for this device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installing import durable
from installing.machine import Machine
from installing.places import Places
from installing.release import UNITS
from installing.services import AGENT, SETTLE, Services, runtime_unit

TEMPLATE = "vedette-runtime@.service"
SHIPPED = (AGENT, TEMPLATE, SETTLE)
OURS = "10-vedette-"  # how our drop-ins are named, so that nobody's own are touched
NETWORK = ("rtsp://", "rtsps://", "http://", "https://", "rows+mqtt://", "rows+mqtts://")
BACK_OFF_SYSTEMD = 254


@dataclass(frozen=True)
class Pipeline:
    """As far as its service is concerned. camera: as it may be shown, without a password."""

    name: str
    camera: str

    @property
    def unit(self) -> str:
        return runtime_unit(self.name)


def write(places: Places, release: str, machine: Machine, pipelines: Sequence[Pipeline]) -> bool:
    """Write what the release brings and this device needs, remove what it needs no more. Whether
    something changed."""
    wanted = _wanted(places, places.releases / release / UNITS, machine, pipelines)
    changed = [durable.write(path, content) for path, content in wanted.items()]
    stale = [path for path in written(places) if path not in wanted]
    return any(changed) | bool([durable.remove(path) for path in stale])


def _wanted(
    places: Places, brought: Path, machine: Machine, pipelines: Sequence[Pipeline]
) -> dict[Path, bytes]:
    files = {places.units / name: brought / name for name in SHIPPED}

    def add(unit: str, name: str) -> None:
        files[places.units / f"{unit}.d" / f"{OURS}{name}"] = brought / "drop-ins" / name

    if machine.systemd >= BACK_OFF_SYSTEMD:
        add(AGENT, "back-off.conf")
        add(TEMPLATE, "back-off.conf")
    if machine.is_jetson:
        add(TEMPLATE, "jetson.conf")
    for pipeline in pipelines:
        if pipeline.camera.startswith("csi:"):
            add(pipeline.unit, "jetson-camera.conf" if machine.is_jetson else "pi-camera.conf")
        if pipeline.camera.startswith(NETWORK):
            add(pipeline.unit, "network-camera.conf")
    return {
        place: file.read_bytes() for place, file in files.items() if file.exists()
    }  # an older release may not bring all


def write_accounts(places: Places, release: str) -> None:
    """Who the services are and who may read the configuration."""
    brought = places.releases / release / UNITS
    durable.write(places.sysusers, (brought / "vedette.sysusers").read_bytes())
    durable.write(places.tmpfiles, (brought / "vedette.tmpfiles").read_bytes())


def written(places: Places) -> list[Path]:
    """The files of ours that are there."""
    units = [places.units / name for name in SHIPPED]
    added = [path for folder in drop_ins(places) for path in folder.glob(f"{OURS}*.conf")]
    return [path for path in (*units, *sorted(added)) if path.exists()]


def drop_ins(places: Places) -> list[Path]:
    """Folders of drop-ins of these units. The fleet's server, which may be here, has its own."""
    found = places.units.glob("vedette-*.service.d")
    ours = (AGENT, runtime_unit("").removesuffix(".service"), SETTLE)
    return sorted(path for path in found if path.name.startswith(ours))


def remove(places: Places) -> None:
    """Remove ours, and folders of drop-ins that are empty then."""
    for path in written(places):
        durable.remove(path)
    for folder in drop_ins(places):
        if not any(folder.iterdir()):
            folder.rmdir()


def align(services: Services, pipelines: Sequence[Pipeline]) -> list[str]:
    """Enable what the configuration names and nothing else. The units that it names no more are
    stopped, and returned."""
    wanted = [SETTLE] + ([AGENT, *(one.unit for one in pipelines)] if pipelines else [])
    there = services.enabled()
    if missing := [unit for unit in wanted if unit not in there]:
        services.enable(missing)
    stale = [unit for unit in there if unit not in wanted]
    services.disable(stale)
    services.stop(stale)
    return stale
