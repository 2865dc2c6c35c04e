"""The systemd units: valid, hardened, and tied to each other as the two processes need it."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import vedette
from fleet.commands import depot as fleet_depot
from fleet.commands import serve as fleet_serve
from models.pipelines import Layout
from tests.laws.sources import ROOT
from wire.folders import RUN, STATE

UNITS = ROOT / "systemd"
AGENT, RUNTIME = "vedette-agent.service", "vedette-runtime@.service"
DEPOT, SERVE = "vedette-depot.service", "vedette-serve.service"
DROP_INS = sorted(path.name for path in (UNITS / "drop-ins").glob("*.conf"))
MOST_EXPOSED = 2.0
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze here")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *words], capture_output=True, text=True, timeout=60)


def version() -> int:
    found = re.match(r"systemd (\d+)", analyze("--version").stdout)
    return int(found[1]) if found else 0


def unit(folder: Path, name: str, drop_in: str | None = None) -> Path:
    """A copy whose program is one that is installed here."""
    text = (UNITS / name).read_text().replace("/opt/vedette/bin/vedette", sys.executable)
    (folder / name).write_text(text)
    if drop_in is not None:
        (folder / f"{name}.d").mkdir()
        shutil.copy(UNITS / "drop-ins" / drop_in, folder / f"{name}.d")
    return folder / name


class Settings:
    """The lines of a unit, in order: keys may come more than once."""

    def __init__(self, name: str) -> None:
        lines = [
            line.partition("=")
            for line in (UNITS / name).read_text().splitlines()
            if "=" in line and not line.startswith("#")
        ]
        self.lines = [(key, value) for key, _, value in lines]

    def __getitem__(self, key: str) -> str:
        (value,) = (value for known, value in self.lines if known == key)
        return value


@needs_systemd
@pytest.mark.parametrize("name", [AGENT, RUNTIME, DEPOT, SERVE])
def test_systemd_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", str(unit(tmp_path, name)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_systemd_would_say_something(tmp_path: Path) -> None:
    path = unit(tmp_path, AGENT)
    path.write_text(path.read_text().replace("WatchdogSec", "WatchdogSecs"))
    assert "Unknown key" in analyze("verify", "--man=no", str(path)).stderr


@needs_systemd
@pytest.mark.parametrize("drop_in", DROP_INS)
def test_drop_ins_are_understood(drop_in: str, tmp_path: Path) -> None:
    if drop_in == "back-off.conf" and version() < 254:
        pytest.skip("systemd 254 or newer knows RestartSteps")
    done = analyze("verify", "--man=no", str(unit(tmp_path, RUNTIME, drop_in)))
    assert (done.returncode, done.stderr) == (0, "")


def exposure(path: Path) -> float:
    done = analyze("security", "--offline=yes", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("name", [AGENT, RUNTIME, DEPOT, SERVE])
def test_hardened(name: str, tmp_path: Path) -> None:
    assert exposure(unit(tmp_path, name)) <= MOST_EXPOSED


@needs_systemd
def test_a_unit_without_hardening_is_noticed(tmp_path: Path) -> None:
    path = unit(tmp_path, AGENT)
    path.write_text(
        re.sub(r"(?m)^(Protect|Restrict|SystemCall|Capab|Private).*$", "", path.read_text())
    )
    assert exposure(path) > MOST_EXPOSED


@needs_systemd
@pytest.mark.parametrize("drop_in", [name for name in DROP_INS if name != "back-off.conf"])
def test_still_hardened_with_any_one_drop_in(drop_in: str, tmp_path: Path) -> None:
    path = unit(tmp_path, RUNTIME)
    extra = (UNITS / "drop-ins" / drop_in).read_text().partition("[Service]\n")[2]
    path.write_text(path.read_text().replace("[Install]", extra + "\n[Install]"))
    assert exposure(path) <= MOST_EXPOSED + 0.5


@pytest.mark.parametrize("name", [AGENT, RUNTIME])
def test_never_gives_up_and_is_watched(name: str) -> None:
    settings = Settings(name)
    assert settings["Type"] == "notify" and settings["NotifyAccess"] == "main"
    assert settings["Restart"] == "always" and settings["StartLimitIntervalSec"] == "0"
    assert settings["WatchdogSec"] == "30s" and settings["RestartSec"] == "5s"
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert settings["User"] == "vedette" and settings["OOMPolicy"] == "continue"


@pytest.mark.parametrize("name", [AGENT, RUNTIME])
def test_the_sockets_folder_outlives_either(name: str) -> None:
    settings = Settings(name)
    assert f"/run/{settings['RuntimeDirectory']}" == str(RUN)
    assert settings["RuntimeDirectoryPreserve"] == "yes"


def test_the_runtime_depends_on_nobody() -> None:
    lines = Settings(RUNTIME).lines
    strong = {"Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts"}
    assert not strong & {key for key, _ in lines}
    assert [value for key, value in lines if key == "Wants"] == ["modprobe@videodev.service"]
    assert ("After", AGENT) in lines  # so that it stops first, and its last counts are heard


def test_the_runtime_writes_starts_and_nothing_else_of_the_state() -> None:
    runtime, agent = Settings(RUNTIME), Settings(AGENT)
    starts = Layout(STATE / "models").starts("door").parent
    assert runtime["ReadWritePaths"] == f"-{starts}"
    assert not {"StateDirectory", "BindPaths"} & {key for key, _ in runtime.lines}
    # what is not there when a unit starts is not made writable
    folders = [f"/var/lib/{folder}" for folder in agent["StateDirectory"].split()]
    assert folders[0] == str(STATE) and str(starts) in folders


@pytest.mark.parametrize(("name", "command"), [(AGENT, ["agent"]), (RUNTIME, ["runtime", "%i"])])
def test_starts_a_command_that_there_is(name: str, command: list[str]) -> None:
    assert Settings(name)["ExecStart"].split(" ") == ["/opt/vedette/bin/vedette", *command]
    assert command[0] in vedette.COMMANDS


@pytest.mark.parametrize(
    ("name", "command"), [(DEPOT, fleet_depot), (SERVE, fleet_serve)], ids=["depot", "serve"]
)
def test_who_signs_never_gives_up_and_keeps_its_keys_to_itself(
    name: str, command: ModuleType
) -> None:
    depot = Settings(name)
    assert depot["Type"] == "notify" and depot["Restart"] == "always"
    assert depot["StartLimitIntervalSec"] == "0" and depot["WatchdogSec"] == "120s"
    assert (depot["UMask"], depot["StateDirectoryMode"]) == ("0077", "0700")
    assert depot["User"] not in (Settings(AGENT)["User"], "root")
    program, *words = depot["ExecStart"].split(" ")
    assert program == "/opt/vedette/bin/vedette"
    assert words[:2] == ["fleet", command.__name__.rpartition(".")[2]]
    folder = f"/var/lib/{depot['StateDirectory']}"
    assert command.parser().parse_args(words[2:]).dir == Path(folder)


def test_the_engine_says_nothing_to_its_maker() -> None:
    assert "ORT_DISABLE_TELEMETRY=1" in Settings(RUNTIME)["Environment"].split()


def test_units_are_ini_files() -> None:
    for path in [*UNITS.glob("*.service"), *UNITS.glob("drop-ins/*.conf")]:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(path)
        assert "Service" in parser.sections(), path
