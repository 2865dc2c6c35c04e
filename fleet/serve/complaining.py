"""What is wrong with a request, in plain words: which value, why, and what it may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args, get_origin

from litestar.exceptions import ValidationException
from litestar.handlers import BaseRouteHandler

from wire.troubles import Refused, one_line

LONGEST = 500  # characters of an answer
SPAN_NAMES = ("from_s", "to_s")  # what a handler's `span` is made of
TAKES = "takes"  # of a handler's opt: names that it reads by itself
_MISSING = re.compile(r"Missing required query parameter '(\w+)'")
_NO_VALUE = re.compile(r"Invalid enum value (.+)", re.DOTALL)
_LENGTH = re.compile(r"Expected `(str|array)` of length ([<>]=) (\d+)")
_BOUND = re.compile(r"Expected `(?:int|float)` ([<>]=) ([0-9.e+]+)")
_TYPE = re.compile(r"Expected `(int|float|bool)")
_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_BOUNDS = {">=": "at least", "<=": "at most"}
_MANY = {"str": "characters", "array": "of them"}


def complaint(error: ValidationException, handler: BaseRouteHandler | None) -> str | None:
    """One line; None where nothing more is known. handler: that was asked."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = [
        f"{each.get('key')}: {_plain(str(each.get('key')), str(each.get('message')), handler)}"
        for each in extra
        if isinstance(each, dict)
    ]
    if found:
        return one_line("; ".join(found))[:LONGEST]
    missing = _MISSING.match(error.detail or "")
    return None if missing is None else f"{missing[1]} is missing: add {missing[1]}=..."


def check_is_known(handler: BaseRouteHandler, asked: Iterator[str]) -> None:
    """asked: names of query parameters. Raises Refused: the handler takes none of that name."""
    known = known_to(handler)
    for name in asked:
        if name not in known:
            may_be = f"it may be {', '.join(known)}" if known else "there are none here"
            raise Refused(f"{one_line(repr(name[:64]))}: no such parameter: {may_be}")


def known_to(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The query parameters of a handler of the API."""
    takes = handler.opt.get(TAKES)
    if takes is not None:
        return tuple(takes)
    names = [name for name in handler.parsed_fn_signature.parameters if name != "request"]
    path = {"name"} if any("{name" in path for path in handler.paths) else set()
    plain = [name for name in names if name != "span" and name not in path]
    return (*plain, *(SPAN_NAMES if "span" in names else ()))


def _plain(key: str, message: str, handler: BaseRouteHandler | None) -> str:
    """What the framework says of a value, as one says it to people."""
    if (wrong := _NO_VALUE.match(message)) is not None:
        possible = ", ".join(_possible(key, handler))
        return f"{wrong[1]} is none of {possible}" if possible else f"{wrong[1]} is not possible"
    if (length := _LENGTH.match(message)) is not None:
        return f"{_BOUNDS[length[2]]} {length[3]} {_MANY[length[1]]}"
    if (bound := _BOUND.match(message)) is not None:
        return f"{_BOUNDS[bound[1]]} {float(bound[2]):.0f}"
    if (type_ := _TYPE.match(message)) is not None:
        unit = ": Unix seconds, like 1767225600" if key in SPAN_NAMES else ""
        return f"write {_TYPES[type_[1]]}{unit}"
    return "holds a character that cannot be looked for" if "regex" in message else message


def _possible(key: str, handler: BaseRouteHandler | None) -> list[str]:
    if handler is None or key not in handler.parsed_fn_signature.parameters:
        return []
    return list(_literals(handler.parsed_fn_signature.parameters[key].annotation))


def _literals(kind: object) -> Iterator[str]:
    """All values of a type that is a Literal, or has some in it."""
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    elif get_origin(kind) is Annotated:
        yield from _literals(get_args(kind)[0])
    else:
        for each in get_args(kind):
            yield from _literals(each)
