"""Which variant of a model fits this board and the engines that its runtime has."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from wire.troubles import Refused

if TYPE_CHECKING:
    from wire.trust import Bundle

MOST_NAMED = 5  # variants in one sentence


def chosen(
    bundles: Sequence[Bundle], board: str, formats: Sequence[str], running: Collection[str]
) -> Bundle:
    """The best variant that fits. What is `running` (digests) stays if it fits.

    board: as the device calls it, "Raspberry Pi 5 Model B Rev 1.0". formats: the best first.
    Raises Refused with what there is.
    """
    fitting = [
        (nearness, formats.index(bundle.variant.format), bundle.path, bundle)
        for bundle in bundles
        if (nearness := _nearness(bundle.variant.boards, board)) is not None
        and bundle.variant.format in formats
    ]
    if not fitting:
        raise Refused(_what_there_is(bundles, board, formats))
    kept = [one for one in fitting if one[-1].digest in running]
    return min(kept or fitting, key=lambda one: one[:3])[-1]


def _nearness(boards: Sequence[str], board: str) -> int | None:
    """0: made for this very board, 1: for its kind, 2: for all, None: for others."""
    if not boards:
        return 2
    if board in boards:
        return 0
    # names in a manifest have no spaces: `raspberry-pi-5` is every Raspberry Pi 5
    own = f"{_plain(board)}-"
    return 1 if any(own.startswith(f"{_plain(one)}-") for one in boards) else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _what_there_is(bundles: Sequence[Bundle], board: str, formats: Sequence[str]) -> str:
    if not bundles:
        return "the fleet has released no such version, or has retired it"
    there = [
        " for ".join(filter(None, (one.variant.format, ", ".join(one.variant.boards))))
        for one in bundles[:MOST_NAMED]
    ]
    return (
        f"no variant of it fits this board ({board}), which runs {', '.join(formats)}: "
        f"there is {'; '.join(there)}"
    )
