"""What the agent's part finds, asked in a process of its own, as the user of the service."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import msgspec

from runtime.readers import USER, obstacle
from wire.finding import Checked, Finding
from wire.folders import Folders
from wire.health import Health
from wire.unreadable import UNREADABLE

PATIENCE_S = 90.0
ROOT = Path(__file__).resolve().parents[2]  # where the front door is found


def ask_agent(folders: Folders) -> Checked:
    """`vedette agent --check --json`. A failure of it is a finding too."""
    command = [sys.executable, "-m", "vedette", "agent", "--check", "--json"]
    command += ["--config", str(folders.config), "--state", str(folders.state)]
    command += ["--run", str(folders.run)]
    # as in runtime/child.py: what lies in the user's folder is not ours
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    user = service_user()
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE_S, cwd=ROOT, stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths}, user=user, group=user,
            extra_groups=None if user is None else [],
        )  # fmt: skip
        return msgspec.json.decode(done.stdout, type=Checked)
    except UNREADABLE:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return _failed(said[-1] if said else f"exit code {done.returncode}")
    except subprocess.TimeoutExpired:
        return _failed(f"no answer in {PATIENCE_S:g} s")
    except OSError as error:
        return _failed(str(error.strerror))


def service_user() -> str | None:
    """The units' user, if we may become it and it can run this very program; None: who we are."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return None
    needed = (sys.executable, str(ROOT / "vedette.py"))
    return USER if not any(obstacle(path) for path in needed) else None


def _failed(why: str) -> Checked:
    says = f"`vedette agent --check` says nothing: {why}"
    return Checked("", Health(), (Finding("broker", "bad", "", says, "vedette agent --check"),))
