"""Wheelhouses of other versions, made from one: what an upgrade meets, good or bad."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.laws.sources import ROOT
from wire.version import VERSION

# an agent that ends as soon as it is started
BROKEN = ("agent/commands/agent.py", b'raise SystemExit("this release does not start")\n')


def house(out: Path, processor: str = "x86_64") -> Path:
    """Of this checkout, for the machine's Python, by scripts/wheelhouse."""
    words = [sys.executable, str(ROOT / "scripts" / "wheelhouse"), str(out), "--python", "3.11"]
    words += ["--machine", processor]
    subprocess.run([*words, "--engines", "litert"], check=True, timeout=900)
    return out


def other(source: Path, out: Path, version: str, change: tuple[str, bytes] | None = None) -> Path:
    """The same wheels with a vedette of that version. change: a file of it, and its content."""
    shutil.copytree(source, out, copy_function=os.link)
    before, after = f"vedette-{VERSION}.", f"vedette-{version}."
    old = out / f"vedette-{VERSION}-py3-none-any.whl"
    with (
        zipfile.ZipFile(old) as read,
        zipfile.ZipFile(out / f"vedette-{version}-py3-none-any.whl", "w") as write,
    ):
        for name in read.namelist():
            content = read.read(name)
            if name == "wire/version.py":
                content = content.replace(f'"{VERSION}"'.encode(), f'"{version}"'.encode())
            elif name.endswith("/METADATA"):
                content = content.replace(f": {VERSION}".encode(), f": {version}".encode(), 1)
            elif name.endswith("/RECORD"):
                content = content.replace(before.encode(), after.encode())
            elif change is not None and name == change[0]:
                content = change[1]
            write.writestr(name.replace(before, after), content)
    old.unlink()
    return out
