"""The one aim that serves several readers of a camera."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.frames import Aim


def for_all(aims: Sequence[Aim | None], source: tuple[int, int]) -> Aim | None:
    """An aim of which every reader gets enough; None, the whole picture, if one needs that.

    source: (width, height) of the camera's pictures, as far as known, else zeros: then it may be
    more than enough.
    """
    known = [aim for aim in aims if aim is not None]
    if not known or len(known) < len(aims):
        return None
    if all(source):
        return max(known, key=lambda aim: aim.least(*source))
    return Aim(
        max(aim.width for aim in known),
        max(aim.height for aim in known),
        any(aim.cover for aim in known),
    )
