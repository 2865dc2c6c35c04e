"""What the README says under "Install" can be typed as it stands there, line after line."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.laws.sources import ROOT
from wire.enrolment import read


def commands() -> list[str]:
    """The lines of the first block."""
    section = (ROOT / "README.md").read_text().partition("\n## Install\n")[2]
    found = re.search(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return [line for line in found[1].splitlines() if line and not line.startswith("#")]


def test_the_operators_lines_make_the_file_that_the_devices_line_takes(tmp_path: Path) -> None:
    """In a checkout, where a folder of the sources is called `fleet`, too."""
    install, *typed, on_device = commands()
    assert install == "python3 -m venv .venv && .venv/bin/pip install '.[fleet]'"
    checkout = tmp_path / "checkout"
    program = checkout / ".venv" / "bin" / "vedette"
    for folder in (program.parent, checkout / "fleet"):
        folder.mkdir(parents=True)
    (checkout / "fleet" / "__init__.py").touch()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vedette "$@"\n')
    program.chmod(0o755)
    told = {name: value for name, value in os.environ.items() if not name.startswith("VEDETTE_")}
    told |= {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "VEDETTE_PASSPHRASE": "correct horse"}
    script = "\n".join(("set -e", *typed, "pwd"))
    done = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=told, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = shlex.split(on_device)
    assert words[:3] == ["sudo", "scripts/install", "--enroll"]
    made = Path(done.stdout.splitlines()[-1]) / words[3]
    assert read(made).url.startswith("mqtts://broker.example")
    assert os.listdir(checkout / "fleet") == ["__init__.py"]
