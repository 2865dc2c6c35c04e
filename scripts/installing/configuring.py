"""The device's configuration: enrolled, begun from a few options, or the one that is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from installing import accounts
from installing.meaning import call, judge
from installing.places import Places
from installing.progress import Progress
from installing.release import UNITS
from installing.troubles import Trouble, Wrong

CONFIG = "vedette.toml"
ENROLL_S = 120.0


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


def configure(places: Places, release: str, wish: Wish, progress: Progress) -> None:
    """Write vedette.toml if that is wished. Raises Wrong if the release refuses what would be
    written, or Trouble; what is there stays then."""
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
    content = _begun(template.read_text(encoding="utf-8"), wish)
    with _trial(places) as trial:
        (trial / CONFIG).write_bytes(content)
        judge(places, release, trial / CONFIG)
    accounts.write(places.config, content, places)


def _enroll(places: Places, release: str, wish: Wish) -> None:
    """First where nobody reads it: what the release's `enroll` writes may be refused by its
    runtimes, which alone know cameras."""
    with _trial(places) as trial:
        if places.config.exists():
            shutil.copyfile(places.config, trial / CONFIG)
        _write_enrolled(places, release, wish, trial)
        judge(places, release, trial / CONFIG)
    _write_enrolled(places, release, wish, places.etc)
    if not places.is_here:
        text = places.config.read_text(encoding="utf-8")
        accounts.write(places.config, text.replace(f"{places.root}/", "/").encode(), places)
        _give(places)


@contextmanager
def _trial(places: Places) -> Iterator[Path]:
    """A folder like /etc/vedette that nobody but us can read, and that goes again. What is refused
    there is said of the real one."""
    with tempfile.TemporaryDirectory(prefix="vedette-") as name:
        try:
            yield Path(name)
        except Wrong as refused:
            said = str(refused)
            if places.config.exists():
                said = said.replace(f"{name}/", f"{places.etc}/")
                raise Wrong(f"{places.config} stays as it was, this is refused: {said}") from None
            # a line of a file that is nowhere would say nothing
            said = re.sub(rf"^{re.escape(name)}/{CONFIG}(:\d+)?: ", "", said)
            raise Wrong(f"nothing is configured, this is refused: {said}") from None


def _write_enrolled(places: Places, release: str, wish: Wish, etc: Path) -> None:
    """By `vedette enroll`. Raises Wrong where it refuses the file or what would come of it."""
    words: list[str | Path] = ["enroll", wish.enroll or "", "--etc", etc, "--json"]
    words += ["--camera", wish.camera] if wish.camera else []
    words += ["--model", wish.model] if wish.model else []
    done = call(places, release, words, ENROLL_S)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        kind = Wrong if done.returncode == Wrong.code else Trouble
        raise kind(said.removeprefix("vedette: "))


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
