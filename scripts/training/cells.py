"""What an FCOS head must say for a picture (Tian et al. 2019, arXiv:1904.01355), and its loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from pictures import Seen

RADIUS = 1.0  # cells this near to the middle of a box answer for it
NOTHING = -1.0


def targets(seen: Sequence[Seen], cell: int, grid: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(n, rows, columns, 5): class or -1, then left, top, right, bottom distances in cells."""
    rows, columns = grid
    middle_y, middle_x = np.mgrid[0:rows, 0:columns] + 0.5
    wanted = np.zeros((len(seen), rows, columns, 5), np.float32)
    wanted[..., 0] = NOTHING
    for one, picture in zip(wanted, seen, strict=True):
        view = picture.view
        for box in sorted(picture.boxes, key=lambda each: -each.width * each.height):
            left, right = ((x - view.x0) / view.step_x / cell for x in (box.x, box.x + box.width))
            top, bottom = ((y - view.y0) / view.step_y / cell for y in (box.y, box.y + box.height))
            near = (abs(middle_x - (left + right) / 2) < RADIUS) & (
                abs(middle_y - (top + bottom) / 2) < RADIUS
            )
            inside = (middle_x > left) & (middle_x < right) & (middle_y > top) & (middle_y < bottom)
            edges = (middle_x - left, middle_y - top, right - middle_x, bottom - middle_y)
            one[near & inside] = np.stack([np.full_like(middle_x, box.index), *edges], axis=-1)[
                near & inside
            ]
    return wanted


def loss(wanted: tf.Tensor, outputs: list[tf.Tensor]) -> tf.Tensor:
    """Focal loss of the scores (Lin et al. 2017) and IoU loss of the edges where there is a box."""
    scores, edges = outputs
    positive = tf.cast(wanted[..., 0] >= 0, tf.float32)
    count = tf.reduce_sum(positive) + 1
    is_class = tf.one_hot(tf.cast(wanted[..., 0], tf.int32), scores.shape[-1])
    right = is_class * scores + (1 - is_class) * (1 - scores)
    weight = is_class * 0.5 + (1 - is_class) * 0.5
    focal = -weight * (1 - right) ** 2 * tf.math.log(tf.clip_by_value(right, 1e-6, 1))
    true = wanted[..., 1:]
    across = tf.minimum(edges, true)
    shared = (across[..., 0] + across[..., 2]) * (across[..., 1] + across[..., 3])
    area = (edges[..., 0] + edges[..., 2]) * (edges[..., 1] + edges[..., 3])
    true_area = (true[..., 0] + true[..., 2]) * (true[..., 1] + true[..., 3])
    iou = shared / (area + true_area - shared + 1e-6)
    # L1 beside it: the overlap says little about a side that is far off
    misfit = (1 - iou) + 0.1 * tf.reduce_mean(abs(edges - true), axis=-1)
    return (4 * tf.reduce_sum(focal) + tf.reduce_sum(misfit * positive)) / count
