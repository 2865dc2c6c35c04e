"""Pictures with boxes as Ultralytics' YOLO has them: `images/` and `labels/`, and a data.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wire.troubles import Refused
from workshop.samples.folders import pictures_below
from workshop.samples.labels import Classes, match
from workshop.samples.pictures import Mark, Picture, PictureSamples, chosen
from workshop.samples.yolo_names import names_of, read_yaml

ENDINGS = (".yaml", ".yml")
NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
SPLITS = ("val", "test", "train")
SLACK = 0.01  # of the picture: boxes are rounded, and may be a little beyond its edges


def described(folder: Path) -> Path | None:
    """The file that describes a folder as YOLO's, in it or above it; None if there is none."""
    for place in (folder, *list(folder.absolute().parents)[:2]):
        for name in NAMES:
            if (place / name).is_file():
                return place / name
    return None


def is_yolo(folder: Path) -> bool:
    """Whether a folder of pictures has boxes by YOLO's rule."""
    first = pictures_below(folder, most=1)
    return bool(first) and _marks_file(first[0]).parent.is_dir() and _has_marks(first[0])


def open_yaml(file: Path, labels: Sequence[str], limit: int | None, seed: int) -> PictureSamples:
    """What a data.yaml calls `val`, or else `test` or `train`. Raises Refused."""
    told = read_yaml(file)
    split = next((each for each in SPLITS if told.get(each)), None)
    if split is None:
        raise Refused(f"{file}: says none of {', '.join(SPLITS)}: where its pictures are")
    root = file.parent
    if told.get("path"):
        wanted = Path(told["path"][0][1])
        root = next((p for p in (root / wanted, root) if p.is_dir()), root)
    files: list[Path] = []
    for _, place in told[split]:
        files += _listed(root, place, file)
    return _samples(str(file), files, _classes(file, labels), limit, seed)


def open_folder(
    folder: Path, labels: Sequence[str], limit: int | None, seed: int
) -> PictureSamples:
    """The pictures of a folder, with boxes from the `labels` beside its `images`. Raises Refused
    where nothing says what the classes are called."""
    file = described(folder)
    if file is None and not labels:
        raise Refused(
            f"{folder}: has boxes, and nothing says what their classes are called: "
            f"write {folder}/{NAMES[0]} with names: [...]"
        )
    known = Classes(tuple(labels), tuple(range(len(labels))))
    if file is not None:
        known = _classes(file, labels)
    return _samples(str(folder), pictures_below(folder), known, limit, seed)


def _classes(file: Path, labels: Sequence[str]) -> Classes:
    names = names_of(read_yaml(file).get("names", []), str(file))
    if not names:
        raise Refused(f"{file}: has no names: write names: [...], a class each")
    return match(names, labels, str(file))


def _samples(
    name: str, files: Sequence[Path], known: Classes, limit: int | None, seed: int
) -> PictureSamples:
    bare = chosen([Picture(path.name, path) for path in files], limit, seed)
    pictures = [Picture(each.name, each.path, _marks(each.path, known)) for each in bare]
    return PictureSamples(name, "boxes", known.labels, pictures)


def _listed(root: Path, place: str, file: Path) -> list[Path]:
    """The pictures of a folder or of a .txt file with one a line."""
    # Roboflow writes ../valid/images and means the folder beside the file
    tried = [root / place, root / place.removeprefix("../"), file.parent / place]
    found = next((path for path in tried if path.exists()), None)
    if found is None:
        raise Refused(f"{file}: there is no {tried[0]}")
    if found.is_dir():
        pictures = pictures_below(found)
    else:
        lines = found.read_text(encoding="utf-8").split("\n")
        pictures = [found.parent / line.strip() for line in lines if line.strip()]
    if not pictures:
        raise Refused(f"{file}: there are no pictures in {found}")
    return pictures


def _marks_file(picture: Path) -> Path:
    """Where the boxes of a picture are: the last `images` of its path is `labels` there."""
    parts = list(picture.parts)
    for place in reversed(range(len(parts) - 1)):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _has_marks(picture: Path) -> bool:
    file = _marks_file(picture)
    return file.is_file() or (file.parent != picture.parent and any(file.parent.glob("*.txt")))


def _marks(picture: Path, known: Classes) -> tuple[Mark, ...]:
    """A picture without a file has nothing to be found: that is YOLO's rule."""
    file = _marks_file(picture)
    if not file.is_file():
        return ()
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file}: cannot be read: {error}") from None
    return tuple(
        _mark(line.split(), known, f"{file}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    )


def _mark(words: list[str], known: Classes, where: str) -> Mark:
    """`class x y width height`, in shares, x and y of the middle; or an outline of x and y."""
    try:
        index, places = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise Refused(f"{where}: write class x y width height, all numbers") from None
    if not 0 <= index < len(known.index):
        raise Refused(f"{where}: class {index} is none of {len(known.index)}")
    if len(places) == 4:
        x, y, width, height = places
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    elif len(places) >= 6 and len(places) % 2 == 0:
        left, right = min(places[::2]), max(places[::2])
        top, bottom = min(places[1::2]), max(places[1::2])
    else:
        raise Refused(f"{where}: {len(places)} numbers are neither a box nor an outline")
    if not -SLACK <= min(left, top) <= max(right, bottom) <= 1 + SLACK:
        raise Refused(f"{where}: is beyond the picture: write shares of it, 0 to 1")
    return Mark(known.index[index], left, top, right - left, bottom - top)
