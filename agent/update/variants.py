"""Which variant of a model fits this board and the engines that its runtime has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from wire.deployments import nearness
from wire.troubles import Refused

if TYPE_CHECKING:
    from wire.trust.trust import Bundle

MOST_NAMED = 5  # variants in one sentence


def chosen(
    bundles: Sequence[Bundle], board: str, formats: Sequence[str], running: Collection[str]
) -> Bundle:
    """The best variant that fits. What is `running` (digests) stays if it fits.

    board: as the device calls it, "Raspberry Pi 5 Model B Rev 1.0". formats: the best first.
    Raises Refused with what there is.
    """
    fitting = [
        (near, formats.index(bundle.variant.format), bundle.path, bundle)
        for bundle in bundles
        if (near := nearness(bundle.variant.boards, board)) is not None
        and bundle.variant.format in formats
    ]
    if not fitting:
        raise Refused(_what_there_is(bundles, board, formats))
    kept = [one for one in fitting if one[-1].digest in running]
    return min(kept or fitting, key=lambda one: one[:3])[-1]


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
