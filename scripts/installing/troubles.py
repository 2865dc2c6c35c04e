"""What the installer says instead of a traceback: one line that says what to do."""

from __future__ import annotations


class Trouble(Exception):
    """Something is not there, or failed: exit code 1."""

    code = 1


class Wrong(Trouble):
    """The request cannot be meant: exit code 2."""

    code = 2
