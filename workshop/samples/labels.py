"""Classes by name: which index of the model a class of the samples has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wire.troubles import Refused

NAMED = 5  # classes that a message lists


@dataclass(frozen=True)
class Classes:
    """labels: by index. index: of each class of the samples, in their own order."""

    labels: tuple[str, ...]
    index: tuple[int, ...]


def match(theirs: Sequence[str], labels: Sequence[str], where: str) -> Classes:
    """Find the classes of some samples among a model's labels, by name: as they are, or without
    regard to capitals, `_` and `-`. Names that are all numbers may be indices.

    labels: none means that the samples' own order is the order of the classes. Raises Refused.
    """
    if not labels:
        return Classes(tuple(theirs), tuple(range(len(theirs))))
    exact, loose = _places(labels), _places([_loose(label) for label in labels])
    found = [exact.get(name, loose.get(_loose(name))) for name in theirs]
    if None in found and all(name.isdecimal() and int(name) < len(labels) for name in theirs):
        return Classes(tuple(labels), tuple(int(name) for name in theirs))
    unknown = [name for name, place in zip(theirs, found, strict=True) if place is None]
    if unknown:
        raise Refused(
            f"{where}: {_listed(unknown)} {'is' if len(unknown) == 1 else 'are'} none of the "
            f"model's {len(labels)} classes ({_listed(labels)}): rename, or leave them out"
        )
    return Classes(tuple(labels), tuple(place for place in found if place is not None))


def _places(names: Sequence[str]) -> dict[str, int]:
    """Where each name is; the first of those that are the same."""
    return {name: place for place, name in reversed(list(enumerate(names)))}


def _loose(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more
