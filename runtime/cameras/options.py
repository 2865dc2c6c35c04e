"""Reads a camera's URI: `kind://place?key=value&key=value`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from wire.troubles import Refused

SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True)
class Address:
    """Where a camera is, and what is asked of it. place and values are percent-decoded."""

    uri: str
    place: str
    given: Mapping[str, str]

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """One of a few words."""
        text = self.given.get(key, default)
        if text not in allowed:
            raise self.refused(f"{key}={text!r} is not known: use {either(allowed)}")
        return text

    def number(self, key: str, least: float, most: float) -> float | None:
        """A number within limits, or None if it is not given."""
        if key not in self.given:
            return None
        text = self.given[key]
        if not NUMBER.fullmatch(text) or not least <= float(text) <= most:
            raise self.refused(f"{key}={text!r} must be a number from {least:g} to {most:g}")
        return float(text)

    def size(self, key: str) -> tuple[int, int] | None:
        """(width, height) in pixels, or None if it is not given."""
        if key not in self.given:
            return None
        found = SIZE.fullmatch(self.given[key])
        if found is None:
            raise self.refused(f"{key}={self.given[key]!r} is no size: write for example 1280x720")
        return int(found[1]), int(found[2])

    def refused(self, why: str) -> Refused:
        """The trouble to raise, with the URI that was given."""
        return Refused(f"{self.uri}: {why}")


def parse(uri: str, keys: Sequence[str], mark: str = "?") -> Address:
    """Take a URI apart. keys: the options that this kind of camera has. mark: what they follow.
    Raises Refused.

    Only `?` and `%` are special, so that a file's name may hold `#`, `[` and blanks.
    """
    place, _, query = uri.partition("://")[2].partition(mark)
    given: dict[str, str] = {}
    for word in filter(None, query.split("&")):
        key, _, value = word.partition("=")
        if key not in keys:
            raise Refused(f"{uri}: there is no option {key!r}: use {either(keys)}")
        if key in given:
            raise Refused(f"{uri}: {key} is given twice: leave one")
        given[key] = unquote(value)
    return Address(uri, unquote(place), given)


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
