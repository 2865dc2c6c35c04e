"""What a configuration means to a release, or why it is refused: its `check-config` says it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from installing.places import Places
from installing.troubles import Trouble, Wrong
from installing.units import NETWORK, Pipeline

CHECK_S = 300.0
PATH = re.compile(r"(?<![\w/.:])/[\w.@+/-]*[\w@+-]")
# cameras that are looked for among the devices of the machine
DEVICES = ("v4l2:", "csi:")


@dataclass(frozen=True)
class Meaning:
    """What the configuration says, as far as installing goes."""

    fleet: str
    device: str
    broker: str
    period_s: float
    pipelines: tuple[Pipeline, ...]
    warnings: tuple[str, ...]


def read(places: Places, release: str) -> Meaning | None:
    """None if there is none. Raises Wrong, with file, line and key, if the release refuses it, and
    Trouble if the release gives no answer."""
    if not places.config.exists():
        return None
    try:
        return judge(places, release, places.config)
    except Wrong as refused:
        raise Wrong(f"the configuration cannot be used: {refused}") from None


def judge(places: Places, release: str, file: Path) -> Meaning:
    """Of the configuration, or of what shall become it. Raises as `read`."""
    done = call(places, release, ["check-config", "--json", file], CHECK_S)
    try:
        said = json.loads(done.stdout)
        if said["refused"] is not None:
            raise Wrong(said["refused"])
        meant = said["config"]
        shown = said.get("cameras", {})
        pipelines = tuple(
            Pipeline(name, shown.get(name) or _hidden(one["camera"]))
            for name, one in meant.get("pipeline", {}).items()
        )
        return Meaning(
            fleet=meant.get("fleet", "home"),
            device=meant["device"],
            broker=meant["broker"]["url"],
            period_s=meant.get("telemetry", {}).get("period_s", 60.0),
            pipelines=pipelines,
            warnings=tuple(_true(places, said["warnings"], pipelines)),
        )
    except (ValueError, KeyError, TypeError):
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise Trouble(f"check-config of release {release} failed: {''.join(last)}") from None


def _hidden(camera: str) -> str:
    """An address that an older release does not tell without its password."""
    kind = camera.partition("://")[0].lower()
    return f"{kind}://[hidden]" if f"{kind}://" in NETWORK else camera


def _true(places: Places, warnings: Iterable[str], pipelines: Iterable[Pipeline]) -> Iterable[str]:
    """Of an image, only what is true of it: the release looked at the files and the devices of the
    machine that it runs on now, and the paths are those of the image."""
    if places.is_here:
        return warnings
    devices = tuple(
        f"pipeline.{one.name}.camera:" for one in pipelines if one.camera.startswith(DEVICES)
    )
    return (
        warning
        for warning in warnings
        if not warning.startswith(devices)
        and not any(places.at(path).exists() for path in PATH.findall(warning))
    )


def call(
    places: Places, release: str, words: Sequence[str | Path], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """A command of a release, whatever it ends with. Raises Trouble if it gives no answer."""
    folder = places.releases / release / "bin"
    # -I: nothing of where the installer is called from gets into what root runs
    command = [folder / "python", "-I", folder / "vedette", *words]
    try:
        return subprocess.run(
            [str(word) for word in command], capture_output=True, encoding="utf-8",
            errors="replace", check=False, stdin=subprocess.DEVNULL, timeout=timeout_s,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"{words[0]} of release {release} gives no answer: {error}") from None
