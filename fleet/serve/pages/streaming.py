"""Server-sent events: what a page is told while somebody looks at it."""

from __future__ import annotations

import msgspec
from litestar.response import ServerSentEventMessage
from msgspec import Struct

from fleet.serve.parts import Parts


class Beat(Struct, frozen=True):
    """That we are here. at_s: when the registry was read last; trouble: why it cannot be now; ill:
    parts of the server that do not work, a sentence each."""

    at_s: float | None
    trouble: str | None
    ill: tuple[str, ...] = ()


def beat_of(parts: Parts) -> Beat:
    sight = parts.live.sight
    ill = tuple(
        f"{each.name} does not work: {each.words}"
        for each in parts.crew.states()
        if each.status == "broken"
    )
    return Beat(sight.at_s, sight.trouble, ill)


def as_event(name: str, content: Struct | str) -> ServerSentEventMessage:
    """One event; its data is JSON on one line."""
    return ServerSentEventMessage(data=msgspec.json.encode(content).decode(), event=name)
