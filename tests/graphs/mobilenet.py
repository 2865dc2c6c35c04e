"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen 2018, table 2), width 1.0, in any format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.graphs.network import Network, Node
from tests.graphs.numbers import Array, Scaling

# expansion, channels, repeats, stride of the first: the paper's t, c, n, s
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
INPUT = Scaling(1 / 127.5, -1)  # int8 over -1 to 1, as Keras' MobileNetV2 wants its pixels


@dataclass(frozen=True)
class Known:
    """A picture (1, H, W, 3), float32 in -1 to 1, and what the float network says of it."""

    picture: Array
    logits: Array


def picture(size: int, seed: int) -> Array:
    """Soft random blobs with some noise: statistics closer to a photograph's than white noise."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(-1, 1, (1, 8, 8, 3))
    where = np.linspace(0, 7, size)
    low = np.minimum(where.astype(int), 6)
    share = where - low
    rows = coarse[:, low] * (1 - share)[:, None, None] + coarse[:, low + 1] * share[:, None, None]
    soft = rows[:, :, low] * (1 - share)[:, None] + rows[:, :, low + 1] * share[:, None]
    noise = random.uniform(-0.2, 0.2, (1, size, size, 3))
    return np.asarray(np.clip(soft + noise, -1, 1), np.float32)


def backbone(net: Network, x: Node) -> tuple[Node, Node]:
    """Up to the last 1x1 convolution. Returns it (1,280 channels, 1/32 of the size) and the
    expansion of block 13 (576 channels, 1/16 of the size), from which SSD heads branch off."""
    x = net.conv(x, 32, size=3, stride=2)
    middle = x
    for expansion, channels, repeats, first_stride in BLOCKS:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            wide = x if expansion == 1 else net.conv(x, x.sample.shape[-1] * expansion)
            if channels == 160 and repeat == 0:
                middle = wide
            narrow = net.conv(net.depthwise(wide, stride), channels, ceiling=None, mean=0.0)
            x = net.add(x, narrow) if repeat else narrow
    return net.conv(x, 1280), middle


def classifier(net: Network, x: Node, classes: int) -> Node:
    """The whole network, to its logits (1, classes)."""
    features, _ = backbone(net, x)
    return net.dense(net.mean(features), classes, spread=2.0)
