"""What msgspec raises for bytes that are not what they should be: all of it, in one place.

Its own errors are not all: text that is no UTF-8 and what is nested too deeply have Python's. Who
catches only some of them is ended by a stranger with one byte.
"""

from __future__ import annotations

import msgspec

from wire.complaints import shortened

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def why(error: Exception) -> str:
    """What is wrong with them, for a sentence: a stranger's words are in it, and it stays short."""
    return shortened(str(error))
