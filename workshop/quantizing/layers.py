"""Which layers are to stay float32: names and patterns of the user against those of a network."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from wire.troubles import Refused
from workshop.quantizing import Layer


class Step(Protocol):
    """One operator. takes, gives: names of the tensors that go in and come out."""

    @property
    def kind(self) -> str: ...

    @property
    def takes(self) -> tuple[str, ...]: ...

    @property
    def gives(self) -> tuple[str, ...]: ...


def heads(
    steps: Sequence[Step], outputs: Collection[str], weighty: Collection[str]
) -> frozenset[str]:
    """Tensors from the last weights to the outputs.

    What is rare and large is what is looked for there: a score of 0.9 among 10,000 of 0.01.
    """
    found = set(outputs)
    for step in reversed(steps):
        if found & set(step.gives) and step.kind not in weighty:
            found |= set(step.takes)
    return frozenset(found)


def chosen(names: Sequence[str], wanted: Sequence[str], where: str) -> frozenset[str]:
    """All names that are wanted, exactly or by a pattern. Raises Refused where one fits none."""
    found: set[str] = set()
    for words in wanted:
        fits = {words} & set(names) or {name for name in names if fnmatchcase(name, words)}
        if not fits:
            near = difflib.get_close_matches(words, names, n=3, cutoff=0.3) or list(names[:3])
            raise Refused(f"{where}: no layer {words!r} to keep: did you mean {' or '.join(near)}?")
        found |= fits
    return frozenset(found)


def refuse_floats(layers: Sequence[Layer], where: str) -> None:
    """Raises Refused that names the layers which cannot be quantized, nor are kept on wish."""
    left = [
        layer for layer in layers if layer.precision == "float32" and layer.why not in ("kept", "")
    ]
    if left:
        named = ", ".join(f"{layer.name} ({layer.kind})" for layer in left[:3])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise Refused(
            f"{where}: {named}{more}: {left[0].why}: keep them float32 (--keep "
            f"'{left[0].name}'), or leave --whole out, or use another precision"
        )


def told_floats(layers: Sequence[Layer]) -> list[str]:
    """Notes on layers that stay float32, one for each reason."""
    reasons: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.precision == "float32" and layer.why:
            reasons.setdefault(layer.why, []).append(layer)
    return [
        f"{len(left)} of {len(layers)} layers stay float32 ({why}): "
        + ", ".join(f"{layer.name} ({layer.kind})" for layer in left[:8])
        + (" ..." if len(left) > 8 else "")
        for why, left in reasons.items()
    ]
