"""A step: several models are asked about every sample, while it is on loan, and are judged.

In a process of its own: an engine may crash on a sample where it did not when it was tried. Which
model runs at the moment stands in a file, so that who started this process knows whose fault it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from msgspec import Struct

from runtime.building import build_now
from runtime.child import try_in_child
from runtime.engines import EngineOptions
from runtime.engines.accelerators import check_known
from runtime.frames import Layout
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import WHAT_FAILS, open_model
from wire.troubles import Refused, Trouble
from workshop.comparing.accuracy import accuracy
from workshop.comparing.agreement import agreement, changed, interval
from workshop.comparing.answers import Answering, asked_for_more
from workshop.comparing.entrants import Entrant
from workshop.comparing.names import Named
from workshop.comparing.results import Compared, SampleSet
from workshop.comparing.turns import Kept
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.step import say

LOOKED_AT = 8  # samples whose tensors are kept, for the layers


class Contender(Struct, frozen=True):
    """A model. trouble: why it is out already."""

    name: str
    path: str
    engine: str | None
    trouble: str | None = None


class Request(Struct, frozen=True):
    """where: the user's folder, in which paths are meant. folder: for what is kept: frames, tensors
    (NAME.npy), and the name of the model that runs (RUNNING)."""

    models: tuple[Contender, ...]
    reference: str
    samples: str
    limit: int | None
    seed: int
    threads: int | None
    accelerators: tuple[str, ...]
    min_score: float | None
    where: str
    folder: str


class Asked(Struct, frozen=True):
    """rows: all that answers tell of each model. layouts: of the frames that were kept."""

    rows: tuple[Compared, ...]
    samples: SampleSet
    layouts: tuple[Layout, ...]


class Running:
    """The name of the model that runs, where others can read it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "running"

    def name(self) -> str | None:
        """None: none does."""
        try:
            return self.path.read_text().strip() or None
        except FileNotFoundError:
            return None

    @contextmanager
    def writing(self) -> Iterator[int]:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def runs(file: int, name: str = "") -> None:
    """Write down which model runs now."""
    os.pwrite(file, f"{name:<80}".encode(), 0)


def step(request: Request) -> Asked:
    os.chdir(request.where)
    folder = Path(request.folder)
    entrants = [
        Entrant(Named(each.name, Path(each.path), each.engine), each.trouble)
        for each in request.models
    ]
    with ExitStack() as stack:
        file = stack.enter_context(Running(folder).writing())
        for entrant in entrants:
            if entrant.trouble is None:
                say(f"opening {entrant.named.name}")
                runs(file, entrant.named.name)
                _open(entrant, request, stack)
                runs(file)
        leader = next(each for each in entrants if each.named.name == request.reference)
        assert leader.model is not None
        samples = open_samples(request.samples, leader.model.labels, request.limit, request.seed)
        kept = Kept(folder / "frames")
        _ask_all(entrants, samples, kept, file)
        rows = tuple(_judged(entrant, leader, entrants, samples) for entrant in entrants)
    for entrant in entrants:
        if entrant.inputs:
            np.save(folder / f"{entrant.named.name}.npy", np.stack(entrant.inputs))
    known = SampleSet(
        samples.name, len(samples), samples.truth, samples.digest, tuple(samples.left_out)
    )
    return Asked(rows, known, tuple(kept.layouts))


def _open(entrant: Entrant, request: Request, stack: ExitStack) -> None:
    """Its files and its engine stay until the end of `stack`."""
    named = entrant.named
    options = EngineOptions(request.threads, request.accelerators)
    try:
        located = stack.enter_context(locate(named.path, named.engine))
        check_known(located.engine_kind, options.accelerators)
        build_now(located, say)
        try_in_child(located, options)
        model = open_model(asked_for_more(located, request.min_score), options)
    except WHAT_FAILS as trouble:
        if named.name == request.reference:
            raise
        entrant.trouble = _without_path(trouble, named)
        return
    stack.callback(model.engine.close)
    entrant.located, entrant.model = located, model


def _ask_all(entrants: Sequence[Entrant], samples: Samples, kept: Kept, file: int) -> None:
    asking: list[tuple[Entrant, Model, Answering]] = []
    for entrant in entrants:
        if entrant.model is None:
            continue
        try:
            asking.append((entrant, entrant.model, Answering(entrant.model, samples)))
        except Refused as trouble:
            if len(entrants) == 1:
                raise
            entrant.trouble = str(trouble)
    for done, sample in enumerate(samples, start=1):
        kept.keep(sample.frame)
        for entrant, model, answering in asking:
            if entrant.trouble is not None:
                continue
            runs(file, entrant.named.name)
            try:
                entrant.answers.append(answering.answer(sample))
            except Trouble as trouble:
                entrant.trouble = f"{sample.name}: {_without_path(trouble, entrant.named)}"
                continue
            finally:
                runs(file)
            if done <= LOOKED_AT:
                entrant.inputs.append(np.array(model.engine.input()))
        say(f"asking {len(asking)} model{'s'[: len(asking) > 1]}", done, len(samples))
    if not kept.layouts:
        raise Refused(f"{samples.name}: there is nothing in it")


def _judged(
    entrant: Entrant, leader: Entrant, entrants: Sequence[Entrant], samples: Samples
) -> Compared:
    """All that its answers tell."""
    named, model, located = entrant.named, entrant.model, entrant.located
    if entrant.trouble is not None or model is None or located is None:
        return Compared(named.name, str(named.path), entrant.trouble)
    manifest, answers = model.manifest, entrant.answers
    judged = accuracy(answers, manifest.task, samples.truth, model.labels or samples.labels)
    low = high = None
    if judged is not None and judged.top1 is not None:
        low, high = interval(judged.top1, judged.samples)
    alike = {
        other.named.name: share
        for other in entrants
        if other.trouble is None
        and other.model is not None
        and other.model.manifest.task == manifest.task
        and (share := agreement(answers, other.answers)) is not None
    }
    return Compared(
        named.name, str(named.path), None, manifest.name, manifest.version, manifest.task,
        manifest.format, model.engine_kind, model.digest, located.file.stat().st_size,
        manifest.made, model.guesses, judged, low, high, alike,
        None if entrant is leader or leader.trouble else changed(leader.answers, answers),
    )  # fmt: skip


def _without_path(trouble: Exception, named: Named) -> str:
    return str(trouble).removeprefix(f"{named.path}: ")
