"""From when to when a certificate is valid, read from its bytes: all that we ask of it."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timezone

from msgspec import Struct

LARGEST = 1 << 20  # bytes of a file
_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII
)
INTEGER, SEQUENCE, UTC_TIME, TIME, VERSION = 0x02, 0x30, 0x17, 0x18, 0xA0


class Validity(Struct, frozen=True):
    """Unix seconds."""

    starts_s: float
    ends_s: float


def validity_of(path: str) -> Validity | None:
    """Of the first certificate in a PEM file: of a device's own, it is the device's. None where
    there is none that can be read; others say why."""
    try:
        with open(path, "rb") as file:
            found = _PEM.search(file.read(LARGEST))
        return None if found is None else _validity(base64.b64decode(found[1]))
    except (OSError, ValueError, IndexError, OverflowError, binascii.Error):
        return None


def _validity(der: bytes) -> Validity | None:
    """Certificate ::= { { [0] version, serial, algorithm, issuer, validity, ... }, ... }"""
    _, whole, _ = _element(der, 0)
    _, signed, _ = _element(whole, 0)
    tag, _, end = _element(signed, 0)
    at = end if tag == VERSION else 0
    for wanted in (INTEGER, SEQUENCE, SEQUENCE):
        tag, _, at = _element(signed, at)
        if tag != wanted:
            return None
    tag, times, _ = _element(signed, at)
    if tag != SEQUENCE:
        return None
    kind, starts, at = _element(times, 0)
    other, ends, _ = _element(times, at)
    return Validity(_seconds(kind, starts), _seconds(other, ends))


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of what begins there, and where the next begins."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    if start + length > len(der):
        raise ValueError("cut short")
    return tag, der[start : start + length], start + length


def _seconds(kind: int, text: bytes) -> float:
    form = {UTC_TIME: "%y%m%d%H%M%SZ", TIME: "%Y%m%d%H%M%SZ"}[kind] if kind in (23, 24) else ""
    when = datetime.strptime(text.decode("ascii"), form)
    if kind == UTC_TIME and when.year >= 2050:  # RFC 5280; C's table turns at 69
        when = when.replace(year=when.year - 100)
    return when.replace(tzinfo=timezone.utc).timestamp()
