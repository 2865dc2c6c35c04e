"""Several models side by side on the same samples: asked, timed and looked into."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from runtime.engines import EngineOptions
from runtime.suite.machine import this_machine
from wire.troubles import Refused
from workshop.comparing.asking import Asked, Contender, Request, Running
from workshop.comparing.devices import ask_device
from workshop.comparing.front import with_front
from workshop.comparing.layers import with_layers
from workshop.comparing.names import Named
from workshop.comparing.results import FORM, Compared, Comparison, OnDevice
from workshop.comparing.turns import in_turns
from workshop.step import QUIET, Progress, Tell, run_step

ASKING = "workshop.comparing.asking"
# an accelerator that was asked for must be seen
SEEING = {name: value for name, value in QUIET.items() if name != "CUDA_VISIBLE_DEVICES"}


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
    with tempfile.TemporaryDirectory(prefix="vedette-compare-") as place:
        folder = Path(place)
        asked = _asked(wish, folder, tell, {})
        for row in asked.rows:
            for guess in row.guesses:
                note(f"{row.name}: no manifest: {guess}")
        devices = _ask_devices(wish, asked.rows, tell)
        rows = _timed(asked, wish, folder, tell)
        if wish.with_layers:
            rows = with_layers(rows, wish.models, wish.reference, folder, tell)
    return Comparison(
        FORM, this_machine(), wish.options.thread_count, asked.samples, wish.reference,
        with_front(rows, wish.reference), tuple(devices),
    )  # fmt: skip


def _asked(wish: Wish, folder: Path, tell: Tell, out: Mapping[str, str]) -> Asked:
    """What the models answer; once more without one that crashes. out: why some are out already."""
    contenders = tuple(
        Contender(each.name, str(each.path), each.engine, out.get(each.name))
        for each in wish.models
    )
    request = Request(
        contenders, wish.reference, wish.samples, wish.limit, wish.seed, wish.options.threads,
        wish.options.accelerators, wish.min_score, str(Path.cwd()), str(folder),
    )  # fmt: skip
    for kept in folder.iterdir():
        kept.unlink()
    try:
        return run_step(ASKING, request, Asked, tell, SEEING)
    except Refused as trouble:
        guilty = Running(folder).name()
        if guilty is None:
            raise
        why = f"crashes its engine on one of the samples ({trouble})"
        if guilty == wish.reference:
            raise Refused(f"{guilty}: {why}") from None
    return _asked(wish, folder, tell, {**out, guilty: why})


def _ask_devices(wish: Wish, rows: Sequence[Compared], tell: Tell) -> list[OnDevice]:
    digests = {row.digest: row.name for row in rows if row.digest}
    found = []
    for device in wish.devices:
        tell(Progress(f"bench on {device}"))
        found.append(ask_device(device, wish.ask, digests))
    return found


def _timed(asked: Asked, wish: Wish, folder: Path, tell: Tell) -> list[Compared]:
    out = {row.name for row in asked.rows if row.trouble is not None}
    sound = [named for named in wish.models if named.name not in out]
    figures = in_turns(
        sound, wish.options, (folder / "frames", asked.layouts), wish.seconds,
        lambda done, total: tell(Progress("latency, in turns", done, total)),
    )  # fmt: skip
    by_name = {named.name: each for named, each in zip(sound, figures, strict=True)}
    timed = []
    for row in asked.rows:
        each = by_name.get(row.name)
        if each is not None and each.trouble is not None:
            row = replace(row, trouble=f"no latency: {each.trouble}")
        elif each is not None:
            row = replace(row, latency=each.latency, memory=each.memory)
        timed.append(row)
    return timed
