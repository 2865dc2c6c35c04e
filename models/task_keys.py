"""What a manifest may not say of what only some tasks have: masks, keypoints, background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from wire.toml_lines import KeyPath

if TYPE_CHECKING:
    from models.manifest import Manifest

# Keys that mean something for one task only.
OF_TASK = {
    "min_share": "segment",
    "mask_side": "segment",
    "keypoints": "pose",
    "skeleton": "pose",
}


def task_keys(manifest: Manifest) -> Iterator[tuple[KeyPath, str]]:
    """Which key to change, and why."""
    decoding = manifest.decoding
    usual = {field.name: field.default for field in msgspec.structs.fields(decoding)}
    for key, task in OF_TASK.items():
        if manifest.task != task and getattr(decoding, key) != usual[key]:
            yield ("decoding", key), f"only task {task!r} has a use for it: remove it"
    if decoding.head == "classes" and decoding.background == "last":
        yield (
            ("decoding", "background"),
            "class numbers do not say which is the last: use 'first' or 'none'",
        )
    if decoding.background != "none" and manifest.task == "classify":
        yield ("decoding", "background"), "a picture of one class has none: remove it"
    yield from _skeleton(manifest)


def _skeleton(manifest: Manifest) -> Iterator[tuple[KeyPath, str]]:
    names, skeleton = manifest.decoding.keypoints, manifest.decoding.skeleton
    for place, name in enumerate(names):
        if name in names[:place]:
            yield ("decoding", "keypoints", place), f"{name!r} is named twice"
    for place, pair in enumerate(skeleton):
        where: KeyPath = ("decoding", "skeleton", place)
        if names and max(pair) >= len(names):
            last = len(names) - 1
            yield where, f"there is no keypoint {max(pair)}: they count from 0 to {last}"
        elif pair[0] == pair[1]:
            yield where, f"joins keypoint {pair[0]} with itself"
