"""Which model a pipeline starts with: the deployed one, else the good one, else its own, or none.

This needs no agent: a device that comes up alone runs what it ran.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.loop import NO_MODEL, Model
from runtime.opening import WHAT_FAILS
from runtime.sources import Source, Sources


@dataclass(frozen=True)
class Choice:
    """What to begin with. source: None: there is no model, `model` is NO_MODEL. unloaded: why a
    model that should rather run does not."""

    model: Model
    source: Source | None
    unloaded: str | None = None


def configured(sources: Sources) -> Choice:
    """The pipeline's own model, where no fleet deploys any. Raises what opening it raises."""
    source = sources.own()
    if source is None:
        return Choice(NO_MODEL, None)
    return Choice(sources.open(source), source)


def deployed(sources: Sources, opening: Callable[[], None]) -> Choice:
    """What the store says, as far as that can be run. opening: called before each try, which may
    take as long as the trial of an unknown model."""
    state = sources.state()
    whys = list(state.problems)
    for digest in dict.fromkeys((state.active, state.good)):
        if digest is None:
            continue
        try:
            source = sources.deployed(digest)
            sources.count_start(source)
            opening()
            return Choice(sources.open(source), source, _told(whys))
        except WHAT_FAILS as trouble:
            whys.append(f"model {digest[:12]} is not run: {trouble}")
    own = sources.own()
    if own is None:
        return Choice(NO_MODEL, None, _told(whys))
    try:
        opening()
        return Choice(sources.open(own), own, _told(whys))
    except WHAT_FAILS as trouble:
        whys.append(f"{own} is not run: {trouble}")
    return Choice(NO_MODEL, None, _told(whys))


def _told(whys: list[str]) -> str | None:
    return "; ".join(whys) or None
