"""Takes the boxes that an operator wants: by label, score and size."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.tasks import Box
from wire.observation import Bounds, Filter


@dataclass(frozen=True)
class Mesh:
    """What boxes of one label must be. Sizes: width, height in shares of the picture."""

    score: float
    least: tuple[float, float]
    most: tuple[float, float]


class Sieve:
    """A filter that was configured."""

    def __init__(self, wanted: Filter) -> None:
        self._for_all = mesh(wanted, wanted)
        self._of_label = {label: mesh(own, wanted) for label, own in wanted.label.items()}
        self._labels = frozenset(wanted.labels)
        self.is_open = wanted == Filter()

    def passes(self, box: Box, picture: tuple[int, int]) -> bool:
        """Whether a box of a picture of (width, height) pixels is taken."""
        if self._labels and box.label not in self._labels:
            return False
        bounds = self._of_label.get(box.label, self._for_all)
        wide, tall = box.width / picture[0], box.height / picture[1]
        return (
            box.score >= bounds.score
            and bounds.least[0] <= wide <= bounds.most[0]
            and bounds.least[1] <= tall <= bounds.most[1]
        )


def mesh(own: Bounds, for_all: Bounds) -> Mesh:
    """Bounds of a label; what it leaves out is as for all."""
    score = own.min_score if own.min_score is not None else for_all.min_score
    return Mesh(
        score or 0.0,
        _pair(own.min_size or for_all.min_size, 0.0),
        # a box that is cut at the edges fills the picture, give or take a rounding
        _pair(own.max_size or for_all.max_size, 1.0 + 1e-9),
    )


def _pair(size: tuple[float, ...] | None, otherwise: float) -> tuple[float, float]:
    return (otherwise, otherwise) if size is None else (size[0], size[1])
