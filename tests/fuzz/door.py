"""A door: a place where bytes of a stranger come in, and what may come of them at most."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wire.troubles import Refused, Trouble, Unavailable

Attempt = Callable[[bytes], None]  # may raise Refused and Unavailable, and nothing else
Form = Literal["bytes", "json", "toml", "msgpack"]
Outcome = Literal["taken", "refused"]

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there is this process's own folder


@dataclass(frozen=True)
class Opened:
    """A door that stands open. seeds: inputs that it takes, or would have in better times."""

    attempt: Attempt
    seeds: tuple[bytes, ...]


@dataclass(frozen=True)
class Door:
    """who: stands before it. open: gets a scratch folder; what it opens is closed with the stack.

    form: what its inputs are made of, for changes that keep the form. words: that an input may
    hold. most_bytes: of an input. limit_s: of the processor, for one input; hangs_s: by the clock.
    most_mib: of memory, beyond what the process had when the door was opened. examples: tried in
    the suite; 0: it is too slow for that.
    """

    name: str
    who: str
    open: Callable[[Path, ExitStack], Opened]
    form: Form = "bytes"
    words: tuple[bytes, ...] = ()
    most_bytes: int = 64 * 1024
    limit_s: float = 2.0
    hangs_s: float = 30.0
    most_mib: int = 64
    examples: int = 60


@contextmanager
def scratch(within: Path | None = None) -> Iterator[Path]:
    """A folder to open a door in, where an fsync costs nothing if there is such a place. within:
    somebody else's, who removes it although this process may be killed before it can."""
    place = within or (MEMORY if MEMORY.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="vedette-", dir=place) as folder:
        yield Path(folder)


def tried(attempt: Attempt, content: bytes) -> Outcome:
    """What became of an input. Raises what must not be raised, also a message that is no line."""
    try:
        attempt(content)
    except (Refused, Unavailable) as trouble:
        check_words(trouble)
        return "refused"
    return "taken"


def check_words(trouble: Trouble) -> None:
    """A person reads it: it is there, and not a page of somebody else's text."""
    words = str(trouble)
    assert words, "a trouble without a word"
    assert len(words) < 10_000, f"a trouble of {len(words)} characters: {words[:200]}"
