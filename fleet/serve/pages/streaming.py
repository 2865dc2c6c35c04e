"""Server-sent events: what a page is told while somebody looks at it."""

from __future__ import annotations

import msgspec
from litestar.response import ServerSentEventMessage
from msgspec import Struct


class Beat(Struct, frozen=True):
    """That we are here. at_s: when the registry was read last; trouble: why it cannot be now."""

    at_s: float | None
    trouble: str | None


def as_event(name: str, content: Struct | str) -> ServerSentEventMessage:
    """One event; its data is JSON on one line."""
    return ServerSentEventMessage(data=msgspec.json.encode(content).decode(), event=name)
