"""What was found: each input that ended a door, in a file of its own, with the reason beside it."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass
from pathlib import Path

REASON = ".txt"
ALARM = "_too_long"  # the function that hears the clock
MOST = 20  # different ones of one door: then something is wrong with the door itself


@dataclass(frozen=True)
class Find:
    """kind: error, slow, memory, death or hang. where: innermost line, so that each counts once."""

    kind: str
    where: str
    what: str


def find_of(error: BaseException, kind: str) -> Find:
    """What an exception tells."""
    frames = traceback.extract_tb(error.__traceback__)
    if len(frames) > 1 and frames[-1].name == ALARM:  # where it was interrupted, not by what
        frames.pop()
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    text = "".join(traceback.format_exception(error))
    return Find(kind, f"{type(error).__name__} at {where}", text[-20_000:])


def save(folder: Path, door: str, find: Find, content: bytes) -> Path:
    """Write it down, to be replayed by its name. The same input has the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{door}-{find.kind}-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    path.with_name(path.name + REASON).write_text(f"{find.where}\n\n{find.what}")
    return path


def door_of(path: Path) -> str:
    """The door at which a saved input was found."""
    return path.name.rsplit("-", 2)[0]
