"""Open samples by what a person calls them: a folder, an annotation file, a video, a camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.cameras import KINDS, options
from runtime.cameras.recording import path_of
from runtime.cameras.recording_pictures import ENDINGS, in_folder
from runtime.cameras.recording_play import around
from wire.troubles import Refused
from workshop.samples import Samples, cameras, coco, folders, rows, videos, yolo


def open_samples(
    words: str, labels: Sequence[str] = (), limit: int | None = None, seed: int = 0
) -> Samples:
    """The samples that `words` name. Truth and classes come from what lies there:

    - a folder with a folder of pictures per class
    - COCO: its JSON file, or the folder that has it; YOLO: its data.yaml, or the folder that has
      it, or a folder `images` beside `labels`
    - a table `FILE.csv?truth=COLUMN`, for models that take rows
    - a table, `FILE.csv?truth=COLUMN` (`workshop.samples.rows`)
    - a folder of pictures, one picture, a video: without truth
    - `synthetic://640x480?digits=1`: the scene's truth; any other camera: `limit` frames, now

    labels: of the model, by which classes are found; without, the samples' own order holds.
    limit: at most so many, by chance of `seed`; of a camera the first. Raises Refused, Unavailable.
    """
    if limit is not None:
        cameras.count_of(limit)
    if rows.is_table(words):
        return rows.open_rows(words, labels, limit, seed)
    if rows.is_table(words):
        return rows.open_rows(words, labels, limit, seed)
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
        return _of_folder(path, labels, limit, seed)
    if not path.exists():
        raise Refused(f"{path}: is not there; {around(path)}")
    ending = path.suffix.lower()
    if ending in coco.ENDINGS:
        return coco.open_coco(path, labels, limit, seed)
    if ending in yolo.ENDINGS:
        return yolo.open_yaml(path, labels, limit, seed)
    if ending in ENDINGS:
        return folders.open_plain(path, limit, seed)
    return videos.VideoSamples(path, limit, seed)


def _of_folder(folder: Path, labels: Sequence[str], limit: int | None, seed: int) -> Samples:
    for name in yolo.NAMES:
        if (folder / name).is_file():
            return yolo.open_yaml(folder / name, labels, limit, seed)
    annotations = coco.annotations_in(folder)
    if len(annotations) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in annotations)
        raise Refused(f"{folder}: has {names}: say which, such as {annotations[0]}")
    if annotations:
        return coco.open_coco(annotations[0], labels, limit, seed)
    if yolo.is_yolo(folder):
        return yolo.open_folder(folder, labels, limit, seed)
    if not in_folder(folder) and folders.class_folders(folder):
        return folders.open_classes(folder, labels, limit, seed)
    return folders.open_plain(folder, limit, seed)
