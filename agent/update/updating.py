"""Puts together what updates of models need: the store, the fetch thread, and who decides."""

from __future__ import annotations

from collections.abc import Callable

from agent.fetch.fetching import HUNG_S, Fetching, Home
from agent.parts import Parts
from agent.recorder import UPDATES_NOTE, Recorder
from agent.runtimes import Runtimes
from agent.update.log import UpdateBook
from agent.update.updater import Surroundings, Updater
from models.store import Store
from wire.link import Link

STORE = "models"  # in the state folder; the runtimes read it


def open_fetching(parts: Parts, link: Link, store: Store) -> Fetching | None:
    """None where no trusted root is configured: nothing is fetched, nothing is believed."""
    if parts.config.updates.root is None:
        return None
    home = Home(
        config=parts.config,
        board=parts.board.name,
        state=parts.folders.state,
        store=store,
        wall_s=parts.clock.wall_s,
        post=parts.inbox.post,
        pulse=parts.watch.pulse("fetch", HUNG_S),
    )
    return Fetching(home, link)


def open_updater(
    parts: Parts,
    store: Store,
    recorder: Recorder,
    runtimes: Runtimes,
    fetching: Fetching | None,
    hurry: Callable[[str], bool],
) -> Updater:
    """hurry: asks the process of a pipeline what it has counted; whether it is there. Raises
    Unavailable."""
    around = Surroundings(
        store=store,
        board=parts.board.name,
        clock=parts.clock,
        book=UpdateBook(parts.keeping.note(UPDATES_NOTE), recorder.update, parts.clock),
        faults=recorder.faults,
        fetcher=fetching,
        tell=runtimes.tell,
        hurry=hurry,
        obey=parts.commander.obey,
    )
    return Updater(around, {name: recorder.ledger.latest(name) for name in runtimes.names})
