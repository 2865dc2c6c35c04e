"""Keeps native libraries from chatting on stderr: their INFO lines go, all else is passed on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = (b"INFO:", b"I0000")


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2 meanwhile, and then pass on what matters."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said = [line for line in file.read().splitlines(True) if not line.startswith(CHATTER)]
            os.write(2, b"".join(said))
