"""The models of a store, one folder for each digest: how they come and go.

Whoever calls what changes them holds the locks of the store: `admit` and `dismiss` both, `unpack`
and `sweep` that of comers only.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from models import bundle, pipelines
from models.pipelines import Layout
from wire.durable import make_folder_durably, rename_durably, sync_folder, write_durably
from wire.names import DIGEST_PATTERN, NAME_PATTERN
from wire.steps import reached
from wire.troubles import Trouble

# names that no digest has: half unpacked, or half removed
_COMING = ".coming"
_GOING = ".going"


def unpack(layout: Layout, path: Path) -> str:
    """Unpack a bundle beside the models, if it is not there whole. Returns the digest."""
    make_folder_durably(layout.digests)
    sweep(layout)
    digest = bundle.inspect(path).digest
    if is_sound(layout.model(digest), digest):
        return digest
    return bundle.unpack(path, layout.digests / _COMING).digest


def admit(layout: Layout, digest: str) -> None:
    """Give what was unpacked its name and note it as the newest."""
    coming, folder = layout.digests / _COMING, layout.model(digest)
    if coming.exists():
        if folder.exists():
            rename_durably(folder, layout.digests / _GOING)
        rename_durably(coming, folder)
        reached("install.renamed", digest)
    sync_folder(layout.digests)  # also what a process that was killed has left unsynced
    _write_order(layout, [*(one for one in installed(layout) if one != digest), digest])


def dismiss(layout: Layout, keep: int, pinned: Collection[str]) -> str | None:
    """Take its name from the oldest model that is neither pinned, named, nor of the `keep` newest.

    Its digest; None if there is no such model. Whoever calls sweeps.
    """
    if not layout.digests.is_dir():
        return None
    here = installed(layout)
    kept = named(layout).union(pinned, here[max(0, len(here) - keep) :])
    going = next((digest for digest in here if digest not in kept), None)
    if going is not None:
        rename_durably(layout.model(going), layout.digests / _GOING)
    left = [digest for digest in here if digest != going]
    if left != _noted(layout):
        _write_order(layout, left)
    return going


def installed(layout: Layout) -> tuple[str, ...]:
    """All installed digests, the newest last. One that was not noted yet counts as the newest."""
    here = {name for name in _names(layout.digests) if re.match(DIGEST_PATTERN, name)}
    known = [digest for digest in dict.fromkeys(_noted(layout)) if digest in here]
    return (*known, *sorted(here.difference(known)))


def _noted(layout: Layout) -> list[str]:
    return list(pipelines.read_file(layout.order, tuple[str, ...], []) or ())


def named(layout: Layout) -> set[str]:
    """Every digest that some pipeline runs, goes back to, or is about to try.

    Raises OSError where a disk does not let us know: what may be needed is not removed.
    """
    digests: set[str] = set()
    for name in pipeline_names(layout):
        lying = pipelines.read(layout, name)
        for problem in filter(pipelines.is_of_disk, lying.problems):
            raise OSError(errno.EIO, problem)
        digests.update(one.digest for one in lying.trials)
        digests.update(one for one in (lying.active, lying.good) if one is not None)
    return digests


def pipeline_names(layout: Layout) -> tuple[str, ...]:
    """The names of all pipelines, sorted."""
    return tuple(sorted(n for n in _names(layout.pipelines) if re.match(NAME_PATTERN, n)))


def sweep(layout: Layout) -> None:
    """Remove what a crash left half unpacked or half removed."""
    for name in (_COMING, _GOING):
        left = layout.digests / name
        if left.exists():
            shutil.rmtree(left)


def is_sound(folder: Path, digest: str) -> bool:
    """Whether a folder holds the model of this digest to its last byte, and can be read."""
    try:
        return folder.is_dir() and bundle.folder_digest(folder) == digest
    except Trouble:
        return False


def _write_order(layout: Layout, digests: Sequence[str]) -> None:
    write_durably(layout.order, msgspec.json.encode(digests))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
