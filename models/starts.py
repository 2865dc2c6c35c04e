"""How often a trial was started, and how the processes of it ended, as far as can be known."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.names import Digest

MOST_ENDS = 4

# Opening is begun; the model is open and runs; it gave a result.
Came = Literal["begun", "opened", "answered"]
WHERE: dict[Came, str] = {
    "begun": "when it was opened",
    "opened": "at its first frame",
    "answered": "after its first results",
}


class Starts(Struct, frozen=True, omit_defaults=True):
    """How often one attempt with one model was started. Written by the runtime alone.

    came: how far the last start came. boot: in which it was. ends: of the starts before, in words.
    """

    digest: Digest
    attempt: str
    count: Annotated[int, Meta(ge=0)]
    came: Came = "begun"
    boot: str = ""
    ends: tuple[str, ...] = ()


def end_of(starts: Starts, boot: str, said: str) -> str:
    """How the last start ended, which another one follows now.

    said: systemd's words on the process that had it (SERVICE_RESULT and EXIT_STATUS); "": none.
    """
    where = WHERE[starts.came]
    if starts.boot not in ("", boot):
        return f"the whole device went down {where}"
    result, _, status = said.partition(" ")
    if result in ("watchdog", "timeout") or status == "ALRM":
        return f"it hung {where}"
    if result == "success":
        return f"it was stopped {where}"
    if result == "exit-code":
        return f"it ended {where} with exit code {status}"
    if status == "KILL":
        return f"it was killed {where}, most often that is for want of memory"
    return f"it died of SIG{status} {where}" if status else f"it died {where}"


def ends_in_words(ends: tuple[str, ...]) -> str:
    """All of them in one sentence; "" if nothing is known."""
    return ", then ".join(dict.fromkeys(ends))
