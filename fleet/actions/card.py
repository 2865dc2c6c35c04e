"""What a released bundle says of itself, from its manifest, where the depot's files are here."""

from __future__ import annotations

import functools
from pathlib import Path

from fleet.actions.place import ServedFolder
from fleet.actions.shelf import VariantLine
from models import bundle
from models.manifest import Manifest
from wire.release import target_file
from wire.troubles import Trouble


def manifest_of(folder: ServedFolder, variant: VariantLine) -> Manifest | None:
    """None: its file is not here, or is damaged. The bundle is read and verified, never
    executed."""
    path = folder.depot / target_file(variant.path, variant.digest)
    return _manifest(path, variant.digest) if path.exists() else None


@functools.lru_cache(maxsize=256)
def _manifest(path: Path, digest: str) -> Manifest | None:
    try:
        found = bundle.inspect(path)
    except Trouble:
        return None
    return found.manifest if found.digest == digest else None
