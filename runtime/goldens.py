"""Make golden samples: of many pictures the few that are varied, and that the model is sure of.

A sample must hold on another engine and another processor, where an int8 model answers a little
differently. So a picture (or a row, of a model that takes rows) is left out where a small
difference would change what is found.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import cv2
import msgspec
import numpy as np
from msgspec.structs import replace as replaced

from models import manifest
from models.consistency import PICTURES
from models.manifest import Golden
from runtime.doubt import Doubt, doubting
from runtime.engines import EngineOptions
from runtime.golden import answer
from runtime.golden_rows import rows_in
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.tasks import Found, name_of
from wire.durable import write_durably
from wire.troubles import Refused, one_line

MOST_LOOKED_AT = 400  # of more pictures, so many are taken evenly from the whole folder
MOST_FILES = 200_000  # entries of the folder of pictures
MOST_S = 120.0  # of looking, if there are enough by then: a large model takes its time
SAY_EVERY = 20
QUANTISED_TOLERANCE, FLOAT_TOLERANCE = 0.1, 0.05  # of a score: kernels round differently
MIN_OVERLAP = 0.6

Item = TypeVar("Item")


class Chosen(msgspec.Struct, frozen=True):
    """One golden sample. picture: its file; source: the picture it was made of."""

    picture: str
    source: str
    found: str


class Made(msgspec.Struct, frozen=True):
    """What was made, and of how many pictures. passed_over: those that the model is not sure of."""

    chosen: tuple[Chosen, ...]
    looked_at: int
    passed_over: int
    tolerance: float


@dataclass(frozen=True)
class Candidate:
    """A picture that the model is sure of. kind: what is to be seen in it; sure: 0 to 1."""

    source: Path
    kind: tuple[int, ...]
    sure: float
    digest: bytes


@dataclass(frozen=True)
class Wish:
    """How many samples are wanted. say: told in a line how far it is. clock: seconds."""

    count: int
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Looked:
    """What came of looking at `pictures` pictures."""

    candidates: list[Candidate]
    pictures: int


def make_goldens(folder: Path, pictures: Path, options: EngineOptions, wish: Wish) -> Made:
    """Write golden samples into a model folder, in place of those that its manifest names.

    pictures: a folder of them; of a model that takes rows a CSV file. Raises Refused if one cannot
    be read, or the model is sure of none.
    """
    with locate(folder) as located, tempfile.TemporaryDirectory(prefix="vedette-") as scratch:
        model = open_model(located, options)
        try:
            sources = _sources(model, pictures, Path(scratch))
            quantised = model.engine.gives[0].scale is not None
            tolerance = QUANTISED_TOLERANCE if quantised else FLOAT_TOLERANCE
            doubt = doubting(model, tolerance)
            looked = _look(doubt, sources, wish, Path(scratch) / "picture")
            if not looked.candidates:
                raise Refused(
                    f"{pictures}: {model.manifest.name} is sure of none of {looked.pictures} "
                    f"{'pictures' if model.manifest.row is None else 'rows'}: {doubt.advice}"
                )
            chosen = varied(looked.candidates, wish.count)
            made = [_write(folder, model, n, each) for n, each in enumerate(chosen, 1)]
        finally:
            model.engine.close()
    golden = tuple(
        Golden(each.picture, _answer_name(each.picture), tolerance, MIN_OVERLAP) for each in made
    )
    manifest.write(folder, replaced(model.manifest, golden=golden))
    passed_over = looked.pictures - len(looked.candidates)
    return Made(tuple(made), looked.pictures, passed_over, tolerance)


def _sources(model: Model, pictures: Path, scratch: Path) -> list[Path]:
    if model.manifest.row is not None:
        return rows_in(pictures, model.manifest.row, scratch, MOST_LOOKED_AT)
    return spread(pictures_in(pictures), MOST_LOOKED_AT)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder and of those below it, by name. Raises Refused."""
    if not folder.is_dir():
        raise Refused(f"{folder}: there is no such folder of pictures")
    found: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        seen += len(names)
        if seen > MOST_FILES:
            raise Refused(f"{folder}: more than {MOST_FILES} files: give a smaller folder")
        found += [Path(place, n) for n in sorted(names) if n.lower().endswith(PICTURES)]
    if not found:
        raise Refused(f"{folder}: no picture in it ({', '.join(PICTURES)})")
    return found


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def varied(candidates: list[Candidate], count: int) -> list[Candidate]:
    """The surest of each kind in turn, until there are enough; what is empty at most once."""
    kinds: dict[tuple[int, ...], list[Candidate]] = {}
    seen: set[bytes] = set()
    for each in sorted(candidates, key=lambda one: (-one.sure, str(one.source))):
        same = kinds.setdefault(each.kind, [])
        if each.digest not in seen and (each.kind or not same):
            seen.add(each.digest)
            same.append(each)
    ordered = spread(sorted(kinds, key=lambda kind: (not kind, kind)), count)
    turns = zip_longest(*(kinds[kind] for kind in ordered))
    return [each for turn in turns for each in turn if each is not None][:count]


def small_png(source: Path, model: Model) -> bytes:
    """A picture file as PNG, no larger than what the model can use. Raises Refused."""
    try:
        pixels: Any = cv2.imdecode(np.fromfile(source, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise Refused(f"{source}: is not a picture that can be read: take it out of the folder")
    height, width = pixels.shape[:2]
    least = tuple(max(1, side) for side in model.aim.least(width, height))
    if least != (width, height):
        pixels = cv2.resize(pixels, least, interpolation=cv2.INTER_AREA)
    if (pixels == pixels[:, :, :1]).all():
        pixels = np.ascontiguousarray(pixels[:, :, 0])
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _look(doubt: Doubt, sources: list[Path], wish: Wish, picture: Path) -> Looked:
    """Judge the pictures in no order, so that it may end early. picture: a file to work with."""
    candidates: list[Candidate] = []
    started_s = wish.clock()
    for number, place in enumerate(np.random.default_rng(0).permutation(len(sources))):
        if wish.clock() - started_s > MOST_S and len(candidates) >= wish.count:
            return Looked(candidates, number)
        if number % SAY_EVERY == 0:
            wish.say(f"looked at {number} of {len(sources)} pictures")
        source = sources[place]
        content = _content(source, doubt.model)
        picture.write_bytes(content)
        judged = doubt.judge(picture)
        if judged is not None:
            digest = hashlib.sha256(content).digest()
            candidates.append(Candidate(source, judged.kind, judged.sure, digest))
    if doubt.must_find and not any(each.kind for each in candidates):
        candidates = []  # a model that never finds anything would get these right, too
    return Looked(candidates, len(sources))


def _write(folder: Path, model: Model, number: int, candidate: Candidate) -> Chosen:
    """golden-N.png (of a row .csv) and golden-N.json: the answer is to it as it is stored."""
    is_row = model.manifest.row is not None
    name = f"golden-{number}.{'csv' if is_row else 'png'}"
    write_durably(folder / name, _content(candidate.source, model))
    found = answer(model, folder / name)
    if model.manifest.task == "classify":
        found = found[:1]  # nothing else is compared
    content = msgspec.json.format(msgspec.json.encode(found)) + b"\n"
    write_durably(folder / _answer_name(name), content)
    source = candidate.source.stem if is_row else str(candidate.source)
    return Chosen(name, one_line(source), _in_words(found))


def _content(source: Path, model: Model) -> bytes:
    return small_png(source, model) if model.manifest.row is None else source.read_bytes()


def _answer_name(picture: str) -> str:
    return picture.rpartition(".")[0] + ".json"


def _in_words(found: Found) -> str:
    return ", ".join(map(name_of, found)) or "nothing"
