"""What the training side did to its pictures: known from a file, or found by asking its code."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from models.made import Origin
from models.manifest import Input, Manifest
from wire.troubles import Refused
from workshop.converting import Wanted
from workshop.converting.origins import origins_of
from workshop.preprocessing import Carried, Preprocessing, carried
from workshop.preprocessing.agreement import Agreement, check_agreement
from workshop.preprocessing.asking import Function
from workshop.preprocessing.known import read_known
from workshop.preprocessing.known_graph import inside
from workshop.preprocessing.probing import probe
from workshop.reading import Kind, Read
from workshop.samples import Samples
from workshop.step import Progress, Tell


@dataclass(frozen=True)
class Training:
    """known: what is told of it; None: nothing. function: the training's own, if it was named."""

    known: Preprocessing | None = None
    function: Function | None = None
    origins: tuple[Origin, ...] = ()

    @property
    def source(self) -> str:
        """What tells of it."""
        return "" if self.known is None else self.known.source

    def on(self, tensor: Input) -> Carried | None:
        """The input of a model whose tensor this is; None where nothing is known."""
        return None if self.known is None else carried(self.known, tensor)

    def check(self, told: Manifest, samples: Samples | None, tell: Tell) -> Agreement | None:
        """Compare the function with the runtime's prepare on the same pictures; None without
        either."""
        if self.function is None or samples is None:
            return None
        tell(Progress("compares the preprocessing of training and runtime"))
        return check_agreement(self.function, samples, told.input, tell)


def training_of(wanted: Wanted, kind: Kind, read: Read, tell: Tell) -> Training:
    """What was named, what the network has inside, or what its file tells. Raises Refused,
    Unavailable."""
    words = wanted.preprocessing
    if words is None:
        return Training(_untold(wanted, kind, read))
    path = Path(words).expanduser()
    if path.exists():
        known = read_known(path)
        return Training(known, origins=origins_of("preprocessing", words, Path.cwd()))
    function = Function(words, os.getcwd())
    tell(Progress(f"asks {words} what it does to pictures"))
    origins = origins_of("preprocessing", words, Path.cwd())
    return Training(probe(function, tell, wanted.seed).known, function, origins)


def _untold(wanted: Wanted, kind: Kind, read: Read) -> Preprocessing | None:
    if read.in_graph:
        return inside(read.in_graph)
    if kind == "onnx" and wanted.like is None:
        with contextlib.suppress(Refused):  # it has no metadata that says so
            return read_known(Path(wanted.source))
    return None
