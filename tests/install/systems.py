"""Systems to install into: a folder as an image is mounted, and what lies in it afterwards."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.laws.sources import ROOT

INSTALL = ROOT / "scripts" / "install"
FOLDERS = [
    "etc/systemd/system", "opt", "usr/bin", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d",
    "usr/local/bin", "var/lib", "var/cache", "run", "proc",
]  # fmt: skip
ACCOUNTS = "root:x:0:0:root:/root:/bin/bash\n"
GROUPS = "root:x:0:\nvideo:x:44:\nshadow:x:42:\n"
# systemd-sysusers and userdel keep copies of what they change, and locks
TRACES = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)(-|\.lock)?|/etc/\.pwd\.lock")


def bare(folder: Path) -> Path:
    """A system with accounts, and nothing else that matters here."""
    for place in FOLDERS:
        (folder / place).mkdir(parents=True)
    (folder / "etc/passwd").write_text(ACCOUNTS)
    (folder / "etc/group").write_text(GROUPS)
    (folder / "etc/shadow").write_text("root:*:1::::::\n")
    (folder / "etc/os-release").write_text(
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
    )
    return folder


def install(
    root: Path, *words: str | Path, cwd: str | Path = "/", **env: str
) -> subprocess.CompletedProcess[str]:
    """scripts/install, as it is. cwd, env: where it is called from, and what is said there."""
    command = [str(word) for word in (INSTALL, "--root", root, *words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd,
        stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **env},
    )  # fmt: skip


def tree(root: Path) -> dict[str, str]:
    """Every file, folder and link below, with what it has: no times, and nothing of accounts."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if TRACES.fullmatch(name):
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = f"folder {path.stat().st_mode:o}"
        else:
            found[name] = f"{path.stat().st_mode:o} {hash(path.read_bytes())}"
    return found


def groups(folder: Path) -> dict[str, int]:
    """Whose group each file below is, and the folder."""
    found = (folder, *folder.rglob("*"))
    return {str(path.relative_to(folder)): path.lstat().st_gid for path in found}
