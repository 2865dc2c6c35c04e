"""Where the parts of a bundle come from: files of the system, programs, and listings."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path

import msgspec

from models.store import Store
from wire.accepted import FILE_NAME
from wire.folders import Folders
from wire.troubles import Trouble
from wire.version import VERSION

COMMAND_S = 30.0
DOCTOR_S = 300.0
MOST_LINES = 3000
READ_BYTES = 1 << 20
FACTS = (
    "/etc/os-release", "/etc/debian_version", "/proc/version", "/proc/cmdline", "/proc/uptime",
    "/proc/loadavg", "/proc/meminfo", "/proc/cpuinfo", "/proc/cgroups", "/proc/mounts",
    "/proc/device-tree/model", "/proc/pressure/memory", "/proc/pressure/io",
    "/sys/fs/cgroup/cgroup.controllers", "/boot/firmware/cmdline.txt", "/boot/firmware/config.txt",
)  # fmt: skip
UNITS = ("vedette-agent.service", "vedette-runtime@*.service")

Give = Callable[[], str]


def sources(folders: Folders) -> Iterator[tuple[str, Give]]:
    """The name of each part, and what gives its text. The most telling first."""
    yield "doctor.json", lambda: _doctor(folders)
    yield "config/vedette.toml", lambda: _file(folders.config)
    yield f"config/{FILE_NAME}", lambda: _of_service(folders.state / FILE_NAME)
    yield "versions.txt", _versions
    yield (
        "journal.txt",
        lambda: command(
            "journalctl", "--no-pager", "-o", "short-iso", "-n", "5000", "-u", "vedette*"
        ),
    )
    yield "services/status.txt", lambda: command("systemctl", "status", "--no-pager", "-l", *UNITS)
    yield "services/show.txt", lambda: command("systemctl", "show", "--no-pager", *UNITS)
    yield "models.txt", lambda: _pipelines(folders.state / "models")
    yield "state.txt", lambda: _listing(folders.state)
    yield "run.txt", lambda: _listing(folders.run)
    yield "config.txt", lambda: _listing(folders.config.parent)
    yield "system/facts.txt", lambda: "".join(f"== {path}\n{_fact(path)}\n" for path in FACTS)
    yield "system/dmesg.txt", lambda: command("dmesg")
    yield "system/disks.txt", lambda: command("df", "-hT") + command("df", "-i")
    yield "system/processes.txt", lambda: command("ps", "-eo", "pid,ppid,user,stat,pcpu,rss,comm")
    yield "system/clock.txt", lambda: command("timedatectl", "show") + _now()
    yield "system/power.txt", lambda: command("vcgencmd", "get_throttled")


def command(*words: str, patience_s: float = COMMAND_S) -> str:
    """What a program says, on both ways; or why it does not."""
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=patience_s, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return f"{words[0]} is not installed here\n"
    except OSError as error:
        return f"{words[0]}: {error.strerror}\n"
    except subprocess.TimeoutExpired:
        return f"{words[0]} said nothing in {patience_s:g} s\n"
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _doctor(folders: Folders) -> str:
    """In a process of its own: if it fails, that is what the report is about."""
    words = [sys.executable, "-m", "vedette", "doctor", "--json", "--config", str(folders.config)]
    words += ["--state", str(folders.state), "--run", str(folders.run)]
    return command(*words, patience_s=DOCTOR_S)


def _file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(READ_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"{path}: {error.strerror}\n"


def _of_service(path: Path) -> str:
    """Of a folder that others than root may write: no link to what is none of its, and no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return f"{path}: is no file\n"
            return file.read(READ_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"{path}: {error.strerror}\n"


def _fact(path: str) -> str:
    return _file(Path(path)).rstrip("\0\n") + "\n"


def _now() -> str:
    return f"now: {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC\n"


def _versions() -> str:
    packages = sorted({f"{one.metadata['Name']}=={one.version}" for one in distributions()})
    lines = [f"vedette {VERSION}", f"python {sys.version}", f"at {sys.prefix}", platform.platform()]
    return "\n".join([*lines, "", *packages]) + "\n"


def _pipelines(root: Path) -> str:
    """What the store says of each pipeline: what runs, what is tried, what was rejected and why."""
    store = Store(root)
    try:
        lines = [f"installed: {' '.join(store.installed()) or 'nothing'}"]
        for name in store.pipelines():
            lines.append(f"{name}: {msgspec.json.encode(store.pipeline(name)).decode()}")
    except (Trouble, OSError) as trouble:
        return f"{trouble}\n"
    return "\n".join(lines) + "\n"


def _listing(folder: Path) -> str:
    """Each file with mode, owner, size and age: no content."""
    lines = [f"{folder}, {_now().strip()}"]
    lines += islice((_entry(path) for path in _below(folder)), MOST_LINES)
    return "\n".join(lines) + "\n"


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    for at, folders, names in os.walk(folder):
        yield from (Path(at, name) for name in sorted((*folders, *names)))


def _entry(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    at = datetime.fromtimestamp(found.st_mtime, timezone.utc)
    link = f" -> {os.readlink(path)}" if stat.S_ISLNK(found.st_mode) else ""
    return (
        f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {found.st_size:>10} "
        f"{at:%Y-%m-%d %H:%M:%S} {path}{link}"
    )
