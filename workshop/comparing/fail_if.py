"""`--fail-if "int8.top1 < float.top1 - 0.01"`: small sentences about figures, true or false.

Python's own grammar is used to read them, and only what is listed here may stand in one: numbers,
figures, + - * /, comparisons, and, or, not, and abs, min, max. Nothing is ever executed.
"""

from __future__ import annotations

import ast
import contextlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from wire.likely import did_you_mean
from wire.troubles import Refused
from workshop.comparing.known import Known

LONGEST = 1000  # characters
SHOWN = 6  # figures in a sentence
MOST = 60  # names in one
SUMS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ORDERS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
CALLS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
FILLINGS = ((1.0, 0.1), (0.1, 1.3), (0.7, -0.3))  # figures to try with, and their steps
WRITE = 'write as "int8.top1 < float.top1 - 0.01"'

Figure = float | None | Mapping[str, float | None]  # None: there is none; by name: of a class, ...
Figures = Mapping[str, Figure]
Look = Callable[[str, str, "str | None"], float]  # of a model, a figure and a name in it


@dataclass(frozen=True)
class Verdict:
    """What became of one condition. fails: it is true. figures: what was put in, in words."""

    condition: str
    fails: bool
    figures: str


class Condition:
    """One condition, read. Raises Refused for what is none."""

    def __init__(self, words: str) -> None:
        self.words = words.strip()
        if len(words) > LONGEST:
            raise Refused(f"--fail-if: longer than {LONGEST} characters")
        try:
            self._tree = ast.parse(self.words, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refused(f"cannot be read: {WRITE}") from None
        if not _decides(self._tree):
            raise self._refused(f"says neither yes nor no: {WRITE}")

    def check(self, known: Known) -> None:
        """Before anything is measured: can all of it be known? Raises Refused."""

        def look(model: str, figure: str, part: str | None) -> float:
            for name, there, kind in (
                (model, known.models, "model"), (figure, known.figures, "figure")
            ):  # fmt: skip
                if name not in there:
                    raise self._unknown(kind, name, there)
            self._check_part(model, figure, part, known)
            return 1.0

        with contextlib.suppress(ZeroDivisionError):  # real figures will differ
            self._value(self._tree, look)
        if all(self._divides_by_zero(*each) for each in FILLINGS):
            raise self._refused("divides by zero")

    def _divides_by_zero(self, first: float, step: float) -> bool:
        """Whether it does where the first figure is this, and each further one more by a step."""
        values: dict[tuple[str, str, str | None], float] = {}

        def look(model: str, figure: str, part: str | None) -> float:
            return values.setdefault((model, figure, part), first + step * len(values))

        try:
            self._value(self._tree, look)
        except ZeroDivisionError:
            return True
        return False

    def _check_part(self, model: str, figure: str, part: str | None, known: Known) -> None:
        name = f"{model}.{figure}"
        classes = known.classes.get(model)
        if figure in known.of_class:
            if part is None:
                raise self._refused(f'{name} is of one class: write {name}["{_any(classes)}"]')
            if classes and part not in classes:
                raise self._unknown("class", part, classes)
        elif figure in known.of_device:
            if not known.devices:
                raise self._refused(f"{name} is of a device: add --device {part or 'door'}")
            if part is None:
                raise self._refused(f'{name} is of one device: write {name}["{known.devices[0]}"]')
            if part not in known.devices:
                raise self._unknown("--device", part, known.devices)
        elif part is not None:
            raise self._refused(f"{name} is one number: leave [{part!r}] out")

    def _unknown(self, kind: str, name: str, known: Sequence[str]) -> Refused:
        more = f" and {len(known) - MOST} more" if len(known) > MOST else ""
        there = ", ".join(known[:MOST]) + more
        return self._refused(
            f"there is no {kind} {name!r}{did_you_mean(name, known)} (there are {there})"
        )

    def judge(self, models: Mapping[str, Figures]) -> Verdict:
        """Whether it is true of these figures. Raises Refused where one of them is not known."""
        used: dict[str, float] = {}

        def look(model: str, figure: str, part: str | None) -> float:
            name, value = self._picked(models[model].get(figure), f"{model}.{figure}", part)
            used[name] = value
            return value

        try:
            fails = bool(self._value(self._tree, look))
        except ZeroDivisionError:
            raise self._refused("divides by zero") from None
        said = ", ".join(f"{name} = {value:.6g}" for name, value in used.items())
        return Verdict(self.words, fails, said)

    def _picked(self, figure: Figure, name: str, part: str | None) -> tuple[str, float]:
        """A figure, or one of several, by its whole name."""
        if isinstance(figure, Mapping):
            if part is None or part not in figure:
                there = ", ".join(f'{name}["{each}"]' for each in list(figure)[:SHOWN])
                wanted = name if part is None else f'{name}["{part}"]'
                raise self._refused(f"{wanted} was not measured: there is {there or 'none of it'}")
            name, figure = f'{name}["{part}"]', figure[part]
        elif part is not None and figure is not None:
            raise self._refused(f"{name} is one number: leave [{part!r}] out")
        if figure is None:
            raise self._refused(f"{name} is not known: it was not measured, or has no truth")
        return name, figure

    def _value(self, node: ast.expr, look: Look) -> Any:
        """The value of a part: a number, or True or False."""

        def inner(part: ast.expr) -> Any:
            return self._value(part, look)

        if isinstance(node, ast.BoolOp):
            joined = all if isinstance(node.op, ast.And) else any
            return joined([inner(part) for part in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not inner(node.operand)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return -inner(node.operand) if isinstance(node.op, ast.USub) else inner(node.operand)
        if isinstance(node, ast.Compare) and all(type(each) in ORDERS for each in node.ops):
            sides = [inner(part) for part in (node.left, *node.comparators)]
            pairs = zip(node.ops, pairwise(sides), strict=True)
            return all(ORDERS[type(order)](*two) for order, two in pairs)
        if isinstance(node, ast.BinOp) and type(node.op) in SUMS:
            return SUMS[type(node.op)](inner(node.left), inner(node.right))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            number: Any = node.value
            return float(number)
        if isinstance(node, ast.Call):
            return self._called(node, inner)
        return self._figure(node, look)

    def _called(self, node: ast.Call, inner: Callable[[ast.expr], Any]) -> float:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in CALLS or node.keywords:
            raise self._refused(f"{ast.unparse(node)!r}: only {', '.join(CALLS)} can be called")
        if not node.args or (len(node.args) == 1) is not (name == "abs"):
            raise self._refused("abs takes one number, min and max take several")
        return CALLS[name](*[inner(part) for part in node.args])

    def _figure(self, node: ast.expr, look: Look) -> float:
        named, part = node, None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            named, part = node.value, str(node.slice.value)
        if not (isinstance(named, ast.Attribute) and isinstance(named.value, ast.Name)):
            raise self._refused(f"{ast.unparse(node)!r} is no figure: {WRITE}")
        return look(named.value.id, named.attr, part)

    def _refused(self, why: str) -> Refused:
        return Refused(f"--fail-if {self.words!r}: {why}")


def _any(classes: Sequence[str] | None) -> str:
    return classes[0] if classes else "cat"


def _decides(node: ast.expr) -> bool:
    """Whether its value is True or False."""
    if isinstance(node, ast.BoolOp):
        return all(map(_decides, node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _decides(node.operand)
    return isinstance(node, ast.Compare) and not any(map(_decides, (node.left, *node.comparators)))
