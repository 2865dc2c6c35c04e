"""How the process before this one ended, in systemd's words: its unit has them noted."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

LONGEST = 100
WORDS = re.compile(r"[a-z-]{1,32} [A-Z0-9]{1,16}")  # SERVICE_RESULT and EXIT_STATUS


def last_end(run_folder: Path, pipeline: str) -> str:
    """ "" where nobody noted it. It is said once: the note is taken away."""
    note = run_folder / f"{pipeline}.ended"
    said = ""
    with contextlib.suppress(OSError, UnicodeError):
        with open(note, "rb") as file:
            said = file.read(LONGEST).decode("ascii").strip()
        note.unlink()
    return said if WORDS.fullmatch(said) else ""
