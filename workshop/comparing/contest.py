"""Several models side by side on the same samples: opened, asked, timed and looked into."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from runtime.building import build_now
from runtime.child import try_in_child
from runtime.engines import EngineOptions
from runtime.engines.accelerators import check_known
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import WHAT_FAILS, open_model
from runtime.suite.machine import this_machine
from wire.troubles import Refused, Trouble
from workshop.comparing.accuracy import accuracy
from workshop.comparing.agreement import agreement, changed, interval
from workshop.comparing.answers import Answering, asked_for_more
from workshop.comparing.devices import ask_device
from workshop.comparing.entrants import Entrant
from workshop.comparing.front import with_front
from workshop.comparing.layers import LOOKED_AT, with_layers
from workshop.comparing.names import Named
from workshop.comparing.results import FORM, Compared, Comparison, OnDevice, SampleSet
from workshop.comparing.turns import Kept, in_turns
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.step import Progress, Tell


@dataclass(frozen=True)
class Wish:
    """What is to be compared, and how. reference: a name. devices, ask: `vedette ask`'s DEVICE (or
    DEVICE/PIPELINE) and its options."""

    models: Sequence[Named]
    reference: str
    samples: str
    limit: int | None
    seed: int
    options: EngineOptions
    min_score: float | None
    seconds: float
    with_layers: bool
    devices: Sequence[str] = ()
    ask: Sequence[str] = ()


def compare_all(wish: Wish, tell: Tell, note: Callable[[str], None]) -> Comparison:
    """The whole comparison. note: told, a line each, what a person should know meanwhile.

    Raises Refused and Unavailable where nothing can be compared: the reference cannot be opened, or
    the samples. What fails with another model alone is its trouble.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vedette-compare-")))
        entrants = [Entrant(each) for each in wish.models]
        with ExitStack() as engines:
            for entrant in entrants:
                tell(Progress(f"opening {entrant.named.name}"))
                _open(entrant, wish, stack, engines, note)
            leader = _leader(entrants, wish.reference)
            devices = _ask_devices(wish, entrants, tell)
            assert leader.model is not None
            samples = open_samples(wish.samples, leader.model.labels, wish.limit, wish.seed)
            kept = Kept(folder / "frames")
            _ask_all(entrants, samples, kept, tell)
        rows = [_judged(entrant, leader, entrants, samples) for entrant in entrants]
        rows = _timed(rows, entrants, wish, kept, tell)
        if wish.with_layers:
            rows = with_layers(rows, entrants, leader, folder, tell)
    known = SampleSet(
        samples.name, len(samples), samples.truth, samples.digest, tuple(samples.left_out)
    )
    return Comparison(
        FORM, this_machine(), wish.options.thread_count, known, wish.reference,
        with_front(rows, wish.reference), tuple(devices),
    )  # fmt: skip


def _open(
    entrant: Entrant,
    wish: Wish,
    stack: ExitStack,
    engines: ExitStack,
    note: Callable[[str], None],
) -> None:
    """Its files stay until the end of `stack`, its engine until that of `engines`."""
    named = entrant.named
    try:
        located = stack.enter_context(locate(named.path, named.engine))
        check_known(located.engine_kind, wish.options.accelerators)
        build_now(located, note)
        try_in_child(located, wish.options)
        model = open_model(asked_for_more(located, wish.min_score), wish.options)
    except WHAT_FAILS as trouble:
        if named.name == wish.reference:
            raise
        entrant.trouble = _without_path(trouble, named)
        return
    engines.callback(model.engine.close)
    entrant.located, entrant.model = located, model
    for guess in model.guesses:
        note(f"{named.name}: no manifest: {guess}")


def _leader(entrants: Sequence[Entrant], reference: str) -> Entrant:
    return next(each for each in entrants if each.named.name == reference)


def _ask_devices(wish: Wish, entrants: Sequence[Entrant], tell: Tell) -> list[OnDevice]:
    digests = {e.model.digest: e.named.name for e in entrants if e.model is not None}
    found = []
    for device in wish.devices:
        tell(Progress(f"bench on {device}"))
        found.append(ask_device(device, wish.ask, digests))
    return found


def _ask_all(entrants: Sequence[Entrant], samples: Samples, kept: Kept, tell: Tell) -> None:
    """Every model about every sample, while it is on loan."""
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
            try:
                entrant.answers.append(answering.answer(sample))
            except Trouble as trouble:
                entrant.trouble = f"{sample.name}: {_without_path(trouble, entrant.named)}"
                continue
            if done <= LOOKED_AT:
                entrant.inputs.append(np.array(model.engine.input()))
        tell(Progress(f"asking {len(asking)} models", done, len(samples)))
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


def _timed(
    rows: Sequence[Compared], entrants: Sequence[Entrant], wish: Wish, kept: Kept, tell: Tell
) -> list[Compared]:
    sound = [entrant.named for entrant in entrants if entrant.trouble is None]
    figures = in_turns(
        sound, wish.options, kept, wish.seconds,
        lambda done, total: tell(Progress("latency, in turns", done, total)),
    )  # fmt: skip
    by_name = {named.name: each for named, each in zip(sound, figures, strict=True)}
    timed = []
    for row in rows:
        each = by_name.get(row.name)
        if each is not None and each.trouble is not None:
            row = replace(row, trouble=f"no latency: {each.trouble}")
        elif each is not None:
            row = replace(row, latency=each.latency, memory=each.memory)
        timed.append(row)
    return timed


def _without_path(trouble: Exception, named: Named) -> str:
    return str(trouble).removeprefix(f"{named.path}: ")
