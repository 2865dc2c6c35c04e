"""What an operator types after `vedette ask DEVICE`, as the order that is signed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import get_args

import msgspec

from wire import orders
from wire.orders import Bench, Order, Restart, Set, Setting, Snapshot, Status, Watch
from wire.troubles import Refused

USES = {
    "status": "status",
    "snapshot": "snapshot [PIPELINE] [--output FILE.jpg]",
    "restart": "restart [PIPELINE]",
    "watch": "watch [MINUTES]",
    "set": "set [PIPELINE] KEY=VALUE...",
    "bench": "bench [PIPELINE] [--frames N]",
}
SETTINGS: tuple[str, ...] = get_args(Setting)
NUMBERS = ("results_per_s", "min_score", "telemetry_period_s")
AS_CONFIGURED = "default"
# seconds that the device and its runtime may take, with some for the way
PATIENCE_S: dict[type[Order], float] = {
    Status: 15.0,
    Snapshot: 20.0,
    Restart: 25.0,
    Watch: 15.0,
    Set: 15.0,
    Bench: 240.0,
}

Value = str | int | float | list[str]


def order_of(verb: str, arguments: Sequence[str], frames: int | None = None) -> Order:
    """The order that was typed. frames: what --frames says, for a bench.

    Raises Refused with what is possible.
    """
    if verb not in USES:
        raise Refused(f"there is no verb {verb!r}{_near(verb, USES)}")
    if frames is not None and verb != "bench":
        raise Refused(f"--frames is for bench, not for {verb}")
    fields: dict[str, Value] = {"verb": verb}
    if verb == "set":
        fields |= _settings(arguments)
    else:
        fields |= _argument(verb, arguments)
    if frames is not None:
        fields["frames"] = frames
    return orders.order_of(msgspec.json.encode(fields))


def _argument(verb: str, arguments: Sequence[str]) -> dict[str, Value]:
    """The one argument that a verb may have."""
    if len(arguments) > (0 if verb == "status" else 1):
        raise Refused(f"too many words: {USES[verb]}")
    if not arguments:
        return {}
    if verb != "watch":
        return {"pipeline": arguments[0]}
    try:
        return {"minutes": int(arguments[0])}
    except ValueError:
        raise Refused(f"{arguments[0]!r} is no whole number of minutes: {USES[verb]}") from None


def _settings(arguments: Sequence[str]) -> dict[str, Value]:
    """What to set, and what goes back to the configuration."""
    fields: dict[str, Value] = {}
    reset: list[str] = []
    for place, argument in enumerate(arguments):
        key, equals, text = argument.partition("=")
        if not equals and place == 0:
            fields["pipeline"] = argument
            continue
        if not equals:
            raise Refused(f"{argument!r} has no value: {USES['set']}")
        if key not in SETTINGS:
            raise Refused(f"there is no setting {key!r}{_near(key, SETTINGS)}")
        if key in fields or key in reset:
            raise Refused(f"{key} is there twice")
        if text == AS_CONFIGURED:
            reset.append(key)
        else:
            fields[key] = _number(key, text) if key in NUMBERS else text
    if not reset and not fields.keys() - {"pipeline"}:
        raise Refused(f"say what to set: {USES['set']}; KEY is one of {', '.join(SETTINGS)}")
    return fields | {"reset": reset}


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):  # JSON has no such numbers
        raise Refused(f"{key}: {text!r} is no number: write one, or {AS_CONFIGURED}")
    return value


def _near(word: str, known: Sequence[str] | dict[str, str]) -> str:
    """A hint at what was meant, and what there is."""
    close = difflib.get_close_matches(word, list(known), 1)
    meant = f": did you mean {close[0]}?" if close else ":"
    return f"{meant} possible are {', '.join(known)}"
