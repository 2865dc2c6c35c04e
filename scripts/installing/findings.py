"""What `vedette doctor` of a release finds wrong here, where it does not come up."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from installing.places import Places

DOCTOR_S = 300.0  # it tries models


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. mend: a command, None where there is none."""

    about: str
    says: str
    mend: str | None


def ask(places: Places, release: str) -> tuple[Finding, ...]:
    """What is bad. Empty, too, where the doctor itself gives no answer."""
    folder = places.releases / release / "bin"
    words = [str(folder / "python"), "-I", str(folder / "vedette"), "doctor", "--json"]
    try:
        done = subprocess.run(
            words, capture_output=True, encoding="utf-8", errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=DOCTOR_S,
        )  # fmt: skip
        found = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "bad"]
        return tuple(Finding(one["about"], one["says"], one["mend"]) for one in found)
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return ()
