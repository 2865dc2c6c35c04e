"""What models are called in a comparison: NAME=PATH, or what their path says."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.manifest import FILE_NAME
from runtime.engines import FOR_FORMAT
from runtime.locating import not_there, resolve
from runtime.suite.naming import formats_of
from wire.troubles import Refused

NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,39})=(.+)", re.DOTALL)
ENDINGS = (".tflite", ".onnx", ".zip")


@dataclass(frozen=True)
class Named:
    """One model to compare. name: an identifier, for --fail-if. engine: None: by its format."""

    name: str
    path: Path
    engine: str | None


def named(words: Iterable[str], engine: str | None) -> list[Named]:
    """The models that a user names. A folder of variants stands for all of them that `engine`, if
    one is asked for, can run. Raises Refused."""
    found: list[tuple[str | None, Path]] = []
    for word in words:
        match = NAMED.fullmatch(word)
        name, path = (match[1], resolve(match[2])) if match else (None, resolve(word))
        if not path.exists():
            raise not_there(path)
        variants = _variants(path)
        found += [(name and f"{name}_{each.name}", each) for each in variants] or [(name, path)]
    chosen = [(name, path, _engine_for(path, engine)) for name, path in found]
    names = _told_apart([(name, path) for name, path, _ in chosen])
    return [
        Named(name, path, kind) for name, (_, path, kind) in zip(names, chosen, strict=True)
    ]  # fmt: skip


def _variants(path: Path) -> list[Path]:
    """The models in a folder that is none itself."""
    if not path.is_dir() or (path / FILE_NAME).exists():
        return []
    return sorted(each.parent for each in path.glob(f"*/{FILE_NAME}"))


def _engine_for(path: Path, engine: str | None) -> str | None:
    """The engine that is asked for, where it runs a format of this model."""
    if engine is None:
        return None
    return engine if any(engine in FOR_FORMAT[each] for each in formats_of(path)) else None


def _called(path: Path) -> str:
    """The name of the file or folder as an identifier."""
    name = path.absolute().name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return _identifier(name)


def _identifier(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:40] or "model"
    return f"m{name}" if name[0].isdigit() or keyword.iskeyword(name) else name


def _told_apart(pairs: list[tuple[str | None, Path]]) -> list[str]:
    """Names of which no two are alike. Those that were given stay, for --fail-if; others get their
    folder's before them, else a number. Raises Refused for a name that was given twice."""
    given = [name for name, _ in pairs if name is not None]
    for name in given:
        if given.count(name) > 1:
            raise Refused(f"{name}=...: two models are called {name}: give one another name")
    names = [name or _called(path) for name, path in pairs]
    crowded = {name for name in names if names.count(name) > 1}
    told: list[str] = []
    for name, (own, path) in zip(names, pairs, strict=True):
        if own is None and name in crowded:
            name = _identifier(f"{path.absolute().parent.name}_{name}")
        number = 2
        free = name
        while own is None and (free in told or free in given):
            free, number = f"{name}_{number}", number + 1
        told.append(free)
    return told


def check_names(models: list[Named]) -> None:
    """Raises Refused for a comparison of nothing, and for a name that Python keeps to itself."""
    for each in models:
        if keyword.iskeyword(each.name):
            raise Refused(f"{each.name}=...: a word of the conditions themselves: use another name")
    if not models:
        raise Refused("name a model at least: folder, bundle, .tflite or .onnx file, or NAME=PATH")
