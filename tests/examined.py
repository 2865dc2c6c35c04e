"""`vedette doctor` and `vedette agent --check` as a person runs them, and what they find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from tests.laws.sources import ROOT
from wire.finding import Finding

PATIENCE_S = 120
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# root, that may not look or write where others are shut out
NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")

NOTHING: Mapping[str, str] = {}
Words = Sequence[str]


class Found(Struct, frozen=True):
    """As much of the answers as both have."""

    findings: tuple[Finding, ...]

    def of(self, section: str, about: str = "") -> list[Finding]:
        return [one for one in self.findings if one.section == section and about in one.about]

    def bad(self, section: str) -> list[Finding]:
        return [one for one in self.of(section) if one.level == "bad"]

    def the_bad(self, section: str) -> Finding:
        (one,) = self.bad(section)
        return one


@dataclass(frozen=True)
class Place:
    """A device's folders."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "etc" / "vedette.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def make(self, url: str = "mqtt://127.0.0.1:9", broker: str = "", more: str = "") -> Place:
        """Write the configuration. broker: lines of that table. more: tables."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        head = f'fleet = "yard"\ndevice = "door"\n[broker]\nurl = "{url}"\n{broker}\n{more}\n'
        self.config.write_text(head)
        return self

    @property
    def words(self) -> list[str]:
        run = str(self.folder / "run")
        return ["--config", str(self.config), "--state", str(self.state), "--run", run]

    def doctor(self, environment: Mapping[str, str] = NOTHING, before: Words = ()) -> Found:
        return self._asked(["doctor"], environment, before)

    def check(self, environment: Mapping[str, str] = NOTHING, before: Words = ()) -> Found:
        return self._asked(["agent", "--check"], environment, before)

    def _asked(self, command: Words, environment: Mapping[str, str], before: Words) -> Found:
        """before: the program that starts it."""
        words = [*before, sys.executable, "-m", "vedette", *command, "--json", *self.words]
        done = subprocess.run(
            words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True,
            timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.stderr == b"", done.stderr.decode()
        found = msgspec.json.decode(done.stdout, type=Found)
        assert done.returncode == (1 if any(x.level == "bad" for x in found.findings) else 0)
        return found


def with_clock(at: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong. at: as `2030-01-01 00:00:00`, or `-3y`."""
    if not LIBRARIES:
        pytest.skip("faketime is missing: apt install faketime")
    return {
        "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": at, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


def shut_out() -> tuple[str, ...]:
    """What starts a process to which permissions mean something, also where root runs the tests."""
    if os.geteuid() != 0:
        return ()
    if subprocess.run([*NO_OVERRIDE, "true"], capture_output=True).returncode != 0:
        pytest.skip("setpriv cannot take rights away here")
    return NO_OVERRIDE
