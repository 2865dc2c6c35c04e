"""A signed text on its way: `{"body": TEXT, "key": HINT, "signature": BASE64}`, as JSON.

The body is the JSON text that was signed, letter by letter, so there is no canonical form to agree
on. What is signed begins with a domain, so that a signature fits nothing else that a key may sign.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

import msgspec
from msgspec import Struct

from wire.signing import SigningKey, key_that_signed
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

HINT_DIGITS = 16  # of the public key, so that a reader need not try every key it knows


class Envelope(Struct, frozen=True):
    """A signed text on the wire. key: the first 16 hex digits of the public key that signed it."""

    body: str
    key: str = ""
    signature: str = ""


def sealed(domain: bytes, body: bytes, key: SigningKey) -> bytes:
    """The payload that carries a body (a JSON text in UTF-8) and its signature."""
    signature = base64.b64encode(key.sign(domain + body)).decode()
    return msgspec.json.encode(Envelope(body.decode(), key.public[:HINT_DIGITS], signature))


def opened(payload: bytes, most_bytes: int, what: str) -> Envelope:
    """The envelope in a payload. what: it should hold. Raises Refused, whatever the bytes are."""
    if len(payload) > most_bytes:
        raise Refused(f"{len(payload)} bytes are too many for a {what}")
    try:
        return msgspec.json.decode(payload, type=Envelope)
    except UNREADABLE as error:
        raise Refused(f"not a {what}: {why(error)}") from None


def signer_of(domain: bytes, envelope: Envelope, public_keys: Collection[str]) -> str | None:
    """Which of the public keys signed the body; None if none did."""
    hinted = [key for key in public_keys if key[:HINT_DIGITS] == envelope.key]
    try:
        signature = base64.b64decode(envelope.signature, validate=True)
        content = domain + envelope.body.encode()
    except (binascii.Error, ValueError):
        return None
    return key_that_signed(content, signature, hinted) if hinted else None
