"""The device's configuration: enrolled, begun from a few options, or the one that is there."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from installing import accounts
from installing.places import Places
from installing.progress import Progress, run
from installing.release import UNITS
from installing.troubles import Trouble, Wrong
from installing.units import Pipeline

CHECK_S = 300.0


@dataclass(frozen=True)
class Wish:
    """What the options say of the configuration."""

    enroll: Path | None
    camera: str | None
    model: str | None
    broker: str | None

    @property
    def says_something(self) -> bool:
        return any((self.enroll, self.camera, self.model, self.broker))


@dataclass(frozen=True)
class Meaning:
    """What the configuration says, as far as installing goes."""

    fleet: str
    device: str
    broker: str
    period_s: float
    pipelines: tuple[Pipeline, ...]
    warnings: tuple[str, ...]


def configure(places: Places, release: str, wish: Wish, progress: Progress) -> None:
    """Write vedette.toml if that is wished. Raises Trouble; what is there stays then."""
    if wish.enroll is not None:
        _enroll(places, release, wish)
        return
    if places.config.exists():
        if wish.camera or wish.model or wish.broker:
            progress.note(f"{places.config} is there and stays: change it there")
        return
    if wish.camera is None:
        return
    template = places.releases / release / UNITS / "vedette.toml"
    accounts.write(places.config, _begun(template.read_text(encoding="utf-8"), wish), places)


def _enroll(places: Places, release: str, wish: Wish) -> None:
    words: list[str | Path] = [_vedette(places, release), "enroll", wish.enroll or ""]
    words += ["--etc", places.etc, "--json"]
    words += ["--camera", wish.camera] if wish.camera else []
    words += ["--model", wish.model] if wish.model else []
    run([*_python(places, release), *words], 120)
    if not places.is_here:
        text = places.config.read_text(encoding="utf-8")
        accounts.write(places.config, text.replace(f"{places.root}/", "/").encode(), places)
        _give(places)


def _begun(template: str, wish: Wish) -> bytes:
    """The commented template, with the camera and model of the options."""
    camera = json.dumps(wish.camera, ensure_ascii=False)
    replaced = []
    for line in template.splitlines():
        start = line.partition("=")[0].strip()
        if line.startswith("# Vedette on this device"):
            line = "# Vedette on this device. After a change: `vedette check-config`, then"
            line += "\n# `systemctl reload vedette-agent 'vedette-runtime@*'`."
        elif start == "camera":
            line = f"camera = {camera}"
        elif start == "model":
            line = f"model = {json.dumps(wish.model or 'digits', ensure_ascii=False)}"
        elif start == "url" and wish.broker is not None:
            line = f"url = {json.dumps(wish.broker, ensure_ascii=False)}"
        replaced.append(line.replace("[pipeline.door", "[pipeline.camera"))
    return "\n".join(replaced).encode() + b"\n"


def _give(places: Places) -> None:
    """Let the services read what is there. Groups have other numbers in another system."""
    number = accounts.group(places)
    for path in (places.etc, *places.etc.rglob("*")):
        os.chown(path, 0, number, follow_symlinks=False)
        if not path.is_symlink():  # enrolment closes them where it finds no group of that name
            path.chmod(0o750 if path.is_dir() else 0o640)


def read(places: Places, release: str) -> Meaning | None:
    """None if there is none. Raises Wrong, with file, line and key, if the release refuses it, and
    Trouble if the release gives no answer."""
    if not places.config.exists():
        return None
    words = [*_python(places, release), _vedette(places, release), "check-config", "--json"]
    try:
        done = subprocess.run(
            [str(word) for word in (*words, places.config)], capture_output=True, encoding="utf-8",
            errors="replace", check=False, stdin=subprocess.DEVNULL, timeout=CHECK_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"check-config of release {release} gives no answer: {error}") from None
    try:
        said = json.loads(done.stdout)
        if said["refused"] is not None:
            raise Wrong(f"the configuration cannot be used: {said['refused']}")
        meant = said["config"]
        return Meaning(
            fleet=meant.get("fleet", "home"),
            device=meant["device"],
            broker=meant["broker"]["url"],
            period_s=meant.get("telemetry", {}).get("period_s", 60.0),
            pipelines=tuple(
                Pipeline(name, one["camera"]) for name, one in meant.get("pipeline", {}).items()
            ),
            warnings=tuple(said["warnings"]),
        )
    except (ValueError, KeyError, TypeError):
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise Trouble(f"check-config of release {release} failed: {''.join(last)}") from None


def _python(places: Places, release: str) -> list[str | Path]:
    # -I: nothing of where the installer is called from gets into what root runs
    return [places.releases / release / "bin" / "python", "-I"]


def _vedette(places: Places, release: str) -> Path:
    return places.releases / release / "bin" / "vedette"
