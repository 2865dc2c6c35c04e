"""The input of a network with every size known: the runtime gives one picture at a time."""

from __future__ import annotations

from collections.abc import Sequence

from wire.troubles import Refused
from workshop.reading import Port

Open = Sequence[int | None] | None  # None: a size, or even their number, is not known
DTYPES = ("float32", "uint8", "int8")
NAMES = {4: ("BATCH", "HEIGHT", "WIDTH", "CHANNELS")}
PLANES = ("BATCH", "CHANNELS", "HEIGHT", "WIDTH")  # as PyTorch has them


def fixed_port(
    where: str,
    name: str,
    shape: Open,
    dtype: str,
    wanted: tuple[int, ...] | None,
    example: str = "1,224,224,3",
) -> Port:
    """The input `name` with a batch of 1 and the sizes that are `wanted`, with or without a batch.

    where: the model, for a person. Raises Refused where a size is open or is not the wanted one, or
    where the runtime has nothing to give for it. example: what could be asked for.
    """
    if dtype not in DTYPES:
        raise Refused(
            f"{where}: its input {name!r} is {dtype}; the runtime gives {', '.join(DTYPES)}: "
            "put the cast into the network, and save it again"
        )
    if shape is None:
        if wanted is None:
            raise Refused(
                f"{where}: does not say the shape of its input {name!r}: "
                f"say it with --input-shape {example}"
            )
        if wanted[0] != 1:
            raise Refused(
                f"{where}: --input-shape {_said(wanted)} is not of one input: begin with 1"
            )
        return Port(name, wanted, dtype)
    if wanted is not None and len(wanted) == len(shape) - 1:
        wanted = (1, *wanted)
    sizes = list(shape)
    if sizes and sizes[0] is None:
        sizes[0] = 1
    if wanted is not None:
        _check(where, name, shape, wanted)
        sizes = list(wanted)
    if None in sizes:
        raise Refused(
            f"{where}: leaves sizes of its input {name!r} open, {_said(shape)}: {_ask(shape)}"
        )
    if not sizes or sizes[0] != 1:
        raise Refused(
            f"{where}: its input {name!r} is {_said(shape)}, and the first size is no batch of 1: "
            "save it again with a batch of 1, or an open one"
        )
    return Port(name, tuple(size or 0 for size in sizes), dtype)


def _check(where: str, name: str, shape: Sequence[int | None], wanted: tuple[int, ...]) -> None:
    agree = len(wanted) == len(shape) and all(
        size in (None, asked) for size, asked in zip(shape, wanted, strict=True)
    )
    if not agree:
        raise Refused(
            f"{where}: its input {name!r} is {_said(shape)}, which cannot be {_said(wanted)}: "
            "leave --input-shape out, or give one that agrees"
        )


def _ask(shape: Sequence[int | None]) -> str:
    words = NAMES.get(len(shape), tuple(f"SIZE{place}" for place in range(len(shape))))
    if len(shape) == 4 and shape[1] in (1, 2, 3, 4):
        words = PLANES
    names = (
        "1" if not place else word if size is None else str(size)
        for place, (size, word) in enumerate(zip(shape, words, strict=True))
    )
    return f"say it with --input-shape {','.join(names)}"


def _said(shape: Sequence[int | None]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"
