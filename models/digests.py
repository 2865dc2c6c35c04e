"""The models of a store, one folder for each digest: how they come and go.

Whoever calls what changes them holds the store.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from models import bundle, pipelines
from models.pipelines import Layout
from wire.durable import make_folder_durably, rename_durably, sync_folder, write_durably
from wire.names import DIGEST_PATTERN, NAME_PATTERN
from wire.troubles import Trouble

# names that no digest has: half unpacked, or half removed
_COMING = ".coming"
_GOING = ".going"


def install(layout: Layout, path: Path) -> str:
    """Unpack a bundle to its digest's folder and note it as the newest. Returns the digest."""
    make_folder_durably(layout.digests)
    sweep(layout)
    digest = bundle.inspect(path).digest
    if not _is_sound(layout.model(digest), digest):
        coming = layout.digests / _COMING
        digest = bundle.unpack(path, coming).digest
        folder = layout.model(digest)
        if folder.exists():
            rename_durably(folder, layout.digests / _GOING)
        rename_durably(coming, folder)
        sweep(layout)
    sync_folder(layout.digests)  # also what a process that was killed has left unsynced
    _write_order(layout, [*(one for one in installed(layout) if one != digest), digest])
    return digest


def collect(layout: Layout, keep: int) -> tuple[str, ...]:
    """Remove every model but the named ones and the `keep` newest. Returns what was removed."""
    if not layout.digests.is_dir():
        return ()
    sweep(layout)
    here = installed(layout)
    kept = named(layout) | set(here[max(0, len(here) - keep) :])
    removed = tuple(digest for digest in here if digest not in kept)
    for digest in removed:
        rename_durably(layout.model(digest), layout.digests / _GOING)
        sweep(layout)
    _write_order(layout, [digest for digest in here if digest in kept])
    return removed


def installed(layout: Layout) -> tuple[str, ...]:
    """All installed digests, the newest last. One that was not noted yet counts as the newest."""
    here = {name for name in _names(layout.digests) if re.match(DIGEST_PATTERN, name)}
    noted = pipelines.read_file(layout.order, tuple[str, ...], []) or ()
    known = [digest for digest in dict.fromkeys(noted) if digest in here]
    return (*known, *sorted(here.difference(known)))


def named(layout: Layout) -> set[str]:
    """Every digest that some pipeline runs, goes back to, or is about to try."""
    digests: set[str] = set()
    for name in pipeline_names(layout):
        lying = pipelines.read(layout, name)
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


def _is_sound(folder: Path, digest: str) -> bool:
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
