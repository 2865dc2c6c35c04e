"""Where boxes are going: a Kalman filter of constant velocity for each of their coordinates.

State and noise as in BoT-SORT (Aharon et al. 2022, arXiv:2206.14651), which took them from SORT
(Bewley et al. 2016, arXiv:1602.00763): middle, width and height, with deviations in proportion to
the box's size. There the four coordinates never mix, so the filter of eight dimensions is four of
two, and those are a few lines over arrays. Time is real: its noise is that of white acceleration
over the seconds that passed (Bar-Shalom et al. 2001, Estimation with Applications to Tracking and
Navigation, 6.2.2), so that one step over a skipped frame is two steps without it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FRAME_S = 1 / 30  # the published deviations are per frame of such a video
PLACE = 1 / 20  # deviation of a place after one frame, and of what is measured, in box sizes
SPEED = 1 / 160 / FRAME_S  # deviation of a speed after one frame, in box sizes a second
SMALLEST = 1e-6  # side of a box


def begun(boxes: Floats) -> Floats:
    """The state (5, n, 4) of boxes seen for the first time: place, speed, and their covariance as
    (place, both, speed). boxes: (n, 4), middle x, middle y, width, height."""
    state = np.zeros((5, *boxes.shape))
    size = _sizes(boxes)
    state[0] = boxes
    state[2] = (2 * PLACE * size) ** 2
    state[4] = (10 * SPEED * size) ** 2
    return state


def predict(state: Floats, seconds: float) -> None:
    """Move a state (5, n, 4) on by some time, in place."""
    place, speed, both = state[0], state[1], state[3]
    size2 = _sizes(place) ** 2
    push = size2 * (SPEED**2 / FRAME_S)  # variance that a speed gains a second
    place += speed * seconds
    state[2] += (
        (2 * seconds) * both
        + seconds**2 * state[4]
        + (seconds / FRAME_S * PLACE**2) * size2
        + (seconds**3 / 3) * push
    )
    both += seconds * state[4] + (seconds**2 / 2) * push
    state[4] += seconds * push
    np.maximum(place[:, 2:], SMALLEST, out=place[:, 2:])


def correct(state: Floats, rows: list[int], boxes: Floats) -> None:
    """Take in where the boxes of some rows were seen, (n, 4), in place."""
    part = state[:, rows]
    place, speed, spread, both = part[0], part[1], part[2], part[3]
    whole = spread + (PLACE * _sizes(place)) ** 2
    gain, steer = spread / whole, both / whole
    error = boxes - place
    place += gain * error
    speed += steer * error
    part[4] -= steer * both
    kept = 1 - gain
    both *= kept
    spread *= kept
    np.maximum(place[:, 2:], SMALLEST, out=place[:, 2:])
    state[:, rows] = part


def _sizes(boxes: Floats) -> Floats:
    """(n, 4): width, height, width, height."""
    size = boxes[:, 2:]
    return np.concatenate((size, size), axis=1)
