"""Asks whether a changed configuration can be run: cameras and engines are the runtime's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from wire.accepted import Judge
from wire.config import Config
from wire.folders import Folders
from wire.troubles import Refused
from wire.unreadable import UNREADABLE

PATIENCE_S = 20.0  # less than our watchdog's: who asks does nothing else meanwhile
REFUSED = 2  # how `vedette check-config` ends then
TEXT = "/dev/stdin"  # not the file, which may be another one by now
ROOT = Path(__file__).resolve().parents[1]  # where `python -m vedette` is found

log = logging.getLogger("vedette.agent")


class _Verdict(msgspec.Struct, frozen=True):
    """What we read of what `vedette check-config --json` says."""

    refused: str | None


def judge_of(folders: Folders) -> Judge:
    """Judges by `vedette check-config`, in a process of its own. What cannot be asked is taken for
    possible: each runtime sees for itself."""

    def judge(meant: Config, text: str) -> None:
        paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        command = [sys.executable, "-m", "vedette", "check-config", TEXT, "--json"]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=PATIENCE_S, cwd=ROOT,
                env=os.environ | {"PYTHONPATH": paths}, input=text.encode(),
            )  # fmt: skip
            why = msgspec.json.decode(done.stdout, type=_Verdict).refused
        except (OSError, subprocess.TimeoutExpired, *UNREADABLE) as error:
            log.warning("whether the changed configuration can be run was not found out: %s", error)
            return
        if done.returncode == REFUSED and why is not None:
            raise Refused(why.replace(TEXT, str(folders.config)))

    return judge
