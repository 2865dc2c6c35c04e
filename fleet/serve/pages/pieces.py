"""Pages in pieces: each is told anew when it looks otherwise, as HTML for the element of its id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable

from litestar.response import ServerSentEventMessage
from msgspec import Struct
from msgspec.structs import replace

from fleet.serve.pages.streaming import as_event, beat_of
from fleet.serve.scope import WebRequest, parts_of
from wire.troubles import Unavailable

LOOK_S = 1.5
AGES = re.compile(r'(?<=">)[^<]* ago(?=</time>)')  # a page lets them grow by itself


class Piece(Struct, frozen=True):
    """id: of the element whose content it is. said: read out to who cannot see it, when it is
    another sentence than before; empty: nothing."""

    id: str
    html: str
    said: str = ""


async def pieces_news(
    request: WebRequest, look: Callable[[], Iterable[Piece]]
) -> AsyncIterator[ServerSentEventMessage]:
    """A `piece` for each that changed, and a `beat`. look: all of them as they are now; raises
    Unavailable: then the beat says why nothing changes."""
    parts, told = parts_of(request), dict[str, str]()
    while True:
        trouble = None
        try:
            for piece in await asyncio.to_thread(lambda: tuple(look())):
                if (lasting := AGES.sub("", piece.html)) != told.get(piece.id):
                    told[piece.id] = lasting
                    yield as_event("piece", piece)
        except Unavailable as unavailable:
            trouble = str(unavailable)
        beat = beat_of(parts)
        yield as_event("beat", replace(beat, trouble=beat.trouble or trouble))
        await asyncio.sleep(LOOK_S)
