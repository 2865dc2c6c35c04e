"""Where everything lies on the device, and what may be found there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """root: of the system that is installed into: `/`, or the folder where an image is mounted."""

    root: Path

    @property
    def is_here(self) -> bool:
        """Whether it is the system that runs."""
        return self.root == Path("/")

    def at(self, path: str) -> Path:
        """A path of that system, as one of this."""
        return self.root / path.lstrip("/")

    @property
    def home(self) -> Path:
        return self.at("/opt/vedette")

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """A link to the release that runs."""
        return self.home / "current"

    @property
    def previous(self) -> Path:
        """A link to the one that ran before, if there was one."""
        return self.home / "previous"

    @property
    def marker(self) -> Path:
        """There while an upgrade is under way."""
        return self.home / "upgrade.json"

    @property
    def outcome(self) -> Path:
        """How the last upgrade ended."""
        return self.home / "last-upgrade.json"

    @property
    def links(self) -> tuple[tuple[Path, str], ...]:
        """What never changes from release to release: link, target."""
        return (
            (self.home / "bin", "current/bin"),
            (self.home / "installer", "current/installer"),
            (self.at("/usr/local/bin/vedette"), "/opt/vedette/bin/vedette"),
        )

    @property
    def config(self) -> Path:
        return self.etc / "vedette.toml"

    @property
    def etc(self) -> Path:
        return self.at("/etc/vedette")

    @property
    def kept(self) -> tuple[Path, ...]:
        """What only --purge removes."""
        return (self.etc, self.at("/var/lib/vedette"), self.at("/var/cache/vedette"))

    @property
    def units(self) -> Path:
        return self.at("/etc/systemd/system")

    @property
    def sysusers(self) -> Path:
        return self.at("/usr/lib/sysusers.d/vedette.conf")

    @property
    def tmpfiles(self) -> Path:
        return self.at("/usr/lib/tmpfiles.d/vedette.conf")

    @property
    def watchdog(self) -> Path:
        return self.at("/etc/systemd/system.conf.d/vedette-watchdog.conf")

    def linked(self, link: Path) -> str | None:
        """The name of the release that a link means, if it means one."""
        try:
            return Path(os.readlink(link)).name
        except OSError:
            return None

    def release_names(self) -> Iterator[str]:
        if self.releases.is_dir():
            yield from sorted(path.name for path in self.releases.iterdir() if path.is_dir())
