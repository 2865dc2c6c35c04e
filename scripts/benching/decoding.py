"""From a head's stored output to what was found, for every kind of head."""

from __future__ import annotations

from scripts.benching.page import machine

SHAPES = """
Maps, masks, keypoints and vectors, in microseconds: the best median of {tries} runs of {rounds}.
Maps are smooth and have all of their 21 classes in a frame of 1280x720, masks up to 128 cells
across and down. A pass is one turning around of the first output by OpenCV;
`tests/budget/test_decoding_shapes.py` holds the ratio. JSON: of what was found.

| head and output | found | decoding | a pass | JSON |
| --- | --- | --- | --- | --- |
"""


def section(tries: int) -> str:
    from tests.budget import decoding, decoding_shapes

    shapes = SHAPES.format(tries=tries, rounds=decoding_shapes.ROUNDS)
    boxes = decoding.table(tries).replace("## Decoding\n", f"## Decoding\n\n{machine()}.\n", 1)
    return boxes + shapes + decoding_shapes.table(tries)
