"""Commands on their way to a device: a signed text in an envelope, and the typed order inside.

The envelope is that of wire/envelope.py. A command is carried out as it was signed or not at all:
here an unknown argument is refused, not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct, inspect

from wire import envelope
from wire.complaints import PATTERNS_IN_WORDS, shortened
from wire.envelope import HINT_DIGITS as HINT_DIGITS  # for who decides about commands
from wire.envelope import Envelope as Envelope
from wire.messages import Identity, LogLevel, ResultMode
from wire.names import Name
from wire.signing import SigningKey
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

LARGEST = 16 * 1024  # bytes of a whole command
LONGEST_LIFETIME_S = 3600
MOST_NAMES = 10  # of pipelines, in one sentence
# what is signed begins with this, so that the signature fits nothing else that a key may sign
DOMAIN = b"vedette command 1\n"

Time = Annotated[int, Meta(ge=0, le=10**11)]  # Unix seconds
Setting = Literal["results", "results_per_s", "min_score", "telemetry_period_s", "log_level"]


class Status(Struct, frozen=True, tag="status", tag_field="verb", forbid_unknown_fields=True):
    """Reply with the state."""


class Snapshot(Struct, frozen=True, tag="snapshot", tag_field="verb", forbid_unknown_fields=True):
    """Send the newest frame with what was found in it, to the topic of snapshots."""

    pipeline: Name | None = None


class Restart(Struct, frozen=True, tag="restart", tag_field="verb", forbid_unknown_fields=True):
    """Start the process of a pipeline anew."""

    pipeline: Name | None = None


class Watch(Struct, frozen=True, tag="watch", tag_field="verb", forbid_unknown_fields=True):
    """Send telemetry every 10 s for a while."""

    minutes: Annotated[int, Meta(ge=1, le=60)] = 5


class Set(
    Struct, frozen=True, tag="set", tag_field="verb", forbid_unknown_fields=True, omit_defaults=True
):
    """Change settings, until they are changed again. reset: these become as configured again."""

    pipeline: Name | None = None
    results: ResultMode | None = None
    results_per_s: Annotated[float, Meta(ge=0.01, le=30)] | None = None
    min_score: Annotated[float, Meta(ge=0, le=1)] | None = None
    telemetry_period_s: Annotated[float, Meta(ge=10, le=3600)] | None = None
    log_level: LogLevel | None = None
    reset: Annotated[tuple[Setting, ...], Meta(max_length=5)] = ()


class Bench(Struct, frozen=True, tag="bench", tag_field="verb", forbid_unknown_fields=True):
    """Measure the model of a pipeline beside the live loop."""

    pipeline: Name | None = None
    frames: Annotated[int, Meta(ge=50, le=2000)] = 300


Order = Status | Snapshot | Restart | Watch | Set | Bench
VERBS = ("status", "snapshot", "restart", "watch", "set", "bench")
_ORDER = msgspec.json.Decoder(Order)
_CHOICES: dict[str, tuple[str, ...]] = {
    "verb": VERBS,
    "results": get_args(ResultMode),
    "log_level": get_args(LogLevel),
    "reset": get_args(Setting),
}
_WORDS = {
    " | null": "",
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "Object contains unknown field": "there is no such argument:",
    "Object missing required field": "missing:",
    "Invalid": "invalid",
    "Expected": "expected",
    "Number out": "out",
    "`": "",
}


class Command(Struct, frozen=True):
    """What is signed. id: random; the device carries it out once. issued, expires: Unix seconds."""

    fleet: Name
    device: Name
    id: Identity
    issued: Time
    expires: Time
    order: Order


class Claim(Struct, frozen=True):
    """What a command says of itself, with its order still unread: nobody has believed it yet."""

    fleet: Name
    device: Name
    id: Identity
    issued: Time
    expires: Time
    order: msgspec.Raw


def signed(command: Command, key: SigningKey) -> bytes:
    """The payload for the topic of commands."""
    return envelope.sealed(DOMAIN, msgspec.json.encode(command), key)


def opened(payload: bytes) -> Envelope:
    """The envelope in a payload. Raises Refused, whatever the bytes are."""
    return envelope.opened(payload, LARGEST, "command")


def signer_of(command: Envelope, public_keys: Collection[str]) -> str | None:
    """Which of the public keys signed the body; None if none did."""
    return envelope.signer_of(DOMAIN, command, public_keys)


def claim_of(command: Envelope) -> Claim:
    """What the body says. Raises Refused, whatever the text is."""
    try:
        return msgspec.json.decode(command.body, type=Claim)
    except UNREADABLE as error:
        raise Refused(f"not a command: {why(error)}") from None


def command_of(claim: Claim) -> Command:
    """The typed command of a claim whose signature was verified. Raises Refused."""
    order = order_of(bytes(claim.order))
    return Command(claim.fleet, claim.device, claim.id, claim.issued, claim.expires, order)


def order_of(text: bytes) -> Order:
    """The order that a JSON text means. Raises Refused with the argument that is wrong."""
    try:
        order: Order = _ORDER.decode(text)
        return order
    except msgspec.ValidationError as error:
        raise Refused(_complaint(str(error))) from None
    except UNREADABLE as error:
        raise Refused(f"not an order: {why(error)}") from None


def pipeline_of(order: Snapshot | Restart | Set | Bench, configured: Collection[str]) -> str:
    """The pipeline that an order is about: it need not say so where there is one only.

    Raises Refused.
    """
    names = ", ".join(sorted(configured)[:MOST_NAMES]) or "none"
    if len(configured) > MOST_NAMES:
        names += f" and {len(configured) - MOST_NAMES} more"
    if order.pipeline is None:
        if len(configured) != 1:
            raise Refused(f"say which pipeline: this device has {names}")
        return next(iter(configured))
    if order.pipeline not in configured:
        raise Refused(f"there is no pipeline {order.pipeline}: this device has {names}")
    return order.pipeline


def _complaint(error: str) -> str:
    """What msgspec found, for the person who typed the order."""
    found = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", error, re.DOTALL)
    what, where = (found[1], found[2]) if found else (error, None)
    for pattern, words in PATTERNS_IN_WORDS.items():
        if repr(pattern) in what:
            what = f"expected {words}"
    if value := re.fullmatch(r"Invalid (?:enum )?value (.*)", what, re.DOTALL):
        what = f"{value[1]} is not possible"
    for code, words in _WORDS.items():
        what = what.replace(code, words)
    name = (where or "").partition("[")[0]
    if name in _CHOICES:
        *others, last = _CHOICES[name]
        return shortened(f"{where}: {what}") + f": write {', '.join(others)} or {last}"
    return shortened(f"{where}: {_bounds(name) or what}" if where else what)


def _bounds(argument: str) -> str | None:
    """What an argument may be, if that is a number: `write a number from 0 to 1`."""
    for order in get_args(Order):
        shape = inspect.type_info(order)
        assert isinstance(shape, inspect.StructType)
        for kind in (field.type for field in shape.fields if field.name == argument):
            for each in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
                if isinstance(each, inspect.IntType):
                    return f"write a whole number from {each.ge} to {each.le}"
                if isinstance(each, inspect.FloatType):
                    return f"write a number from {each.ge:g} to {each.le:g}"
    return None
