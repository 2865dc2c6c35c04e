"""Where something is missing in the end, the installer says what the doctor found, with mends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest
from installing import findings
from installing.installation import Done, summary
from installing.meaning import Meaning
from installing.places import Places
from installing.vitals import Vital

from tests.install.devices import Device
from wire.finding import Finding

RELEASE = "1.0.0-1"
BAD = Finding("cameras", "bad", "pipeline door", "in use by python3", "sudo kill 584")
HINT = Finding("clock", "warning", "clock", "it follows no time server", "sudo timedatectl")


def doctor(root: Path, said: bytes, code: int = 1) -> Places:
    """A release whose doctor says this."""
    places = Places(root)
    folder = places.releases / RELEASE / "bin"
    folder.mkdir(parents=True)
    os.symlink(sys.executable, folder / "python")
    program = f"import sys; assert sys.argv[1:] == ['doctor', '--json']; print({said.decode()!r})"
    (folder / "vedette").write_text(f"{program}; sys.exit({code})")
    return places


def test_what_is_bad_is_said_with_its_mend(tmp_path: Path) -> None:
    places = doctor(tmp_path, msgspec.json.encode({"bad": 1, "findings": (HINT, BAD)}))
    found = findings.ask(places, RELEASE)
    assert found == (findings.Finding("pipeline door", "in use by python3", "sudo kill 584"),)
    missing = (Vital("frames of door", False, "no camera", "journalctl"),)
    done = Done(RELEASE, Meaning("yard", "gate", "mqtt://x", 60.0, (), ()), missing, found=found)
    lines = summary(done, Device(places), [])
    assert lines[-2:] == [
        "  found     pipeline door: in use by python3",
        "            $ sudo kill 584",
    ]


@pytest.mark.parametrize("said", [b"", b"[]", b'{"findings": 7}', b'{"findings": [{}]}'])
def test_a_doctor_that_gives_no_answer_is_no_trouble(tmp_path: Path, said: bytes) -> None:
    assert findings.ask(doctor(tmp_path, said), RELEASE) == ()
    assert findings.ask(Places(tmp_path / "nothing"), RELEASE) == ()
