"""Open samples by what a person calls them: a folder, an annotation file, a video, a camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.cameras import KINDS, options
from runtime.cameras.recording import path_of
from runtime.cameras.recording_pictures import ENDINGS, in_folder
from runtime.cameras.recording_play import around
from wire.troubles import Refused
from workshop.samples import Samples, cameras, folders


def open_samples(
    words: str, labels: Sequence[str] = (), limit: int | None = None, seed: int = 0
) -> Samples:
    """The samples that `words` name. Truth and classes come from what lies there:

    - a folder with a folder of pictures per class; a folder of pictures, or one: without truth
    - `synthetic://640x480?digits=1`: the scene's truth; any other camera: `limit` frames, now

    labels: of the model, by which classes are found; without, the samples' own order holds.
    limit: at most so many, by chance of `seed`; of a camera the first. Raises Refused, Unavailable.
    """
    if limit is not None:
        cameras.count_of(limit)
    kind, mark, _ = words.partition("://")
    if kind == "synthetic" and mark:
        return cameras.SceneSamples(words, labels, cameras.count_of(limit))
    if kind == "file" and mark:
        return _of_path(path_of(options.parse(words, ("pace", "loop"))), labels, limit, seed)
    if kind in KINDS and mark:
        return cameras.CaughtSamples(words, cameras.count_of(limit))
    return _of_path(Path(words).expanduser(), labels, limit, seed)


def _of_path(path: Path, labels: Sequence[str], limit: int | None, seed: int) -> Samples:
    if path.is_dir():
        if not in_folder(path) and folders.class_folders(path):
            return folders.open_classes(path, labels, limit, seed)
        return folders.open_plain(path, limit, seed)
    if not path.exists():
        raise Refused(f"{path}: is not there; {around(path)}")
    if path.suffix.lower() in ENDINGS:
        return folders.open_plain(path, limit, seed)
    raise Refused(f"{path}: holds no samples that can be read here")
