"""The fetch thread: asks for newer metadata, believes what is signed, and brings bundles.

It decides nothing but the order of its work. What it finds goes to the agent's inbox.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.fetch.bundles import Bundles
from agent.fetch.day_budget import DayBudget
from agent.fetch.plan import FIRST_AGAIN_S, MOST_AGAIN_S, Examine, Get, Job, Plan, Refresh
from agent.fetch.refreshing import Refreshing, first_root
from agent.fetch.sources import Sources
from agent.fetch.words import Fetched, FromFetch, NotFetched, NotRefreshed
from models.store import Store
from wire import topics
from wire.backoff import Backoff
from wire.block.client import BlockClient, FetchTerms
from wire.config import Config
from wire.deployments import Who
from wire.durable import make_folder_durably
from wire.link import Connected, Disconnected, Link, LinkEvent
from wire.pulse import Pulse
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from wire.https import HttpsSource
    from wire.trust.trust import Bundle

FOLDER = "updates"  # in the state folder: trust, the bytes of the day, bundles on their way
PARTING_S = 5.0  # until we end without the thread
# Without a job done, or a look for blocks, until it is held to hang: to verify and unpack gigabytes
# on a slow card takes minutes.
HUNG_S = 1800.0

log = logging.getLogger("vedette.agent")


@dataclass(frozen=True)
class Home:
    """What the thread works for. state: the folder. wall_s: Unix time. post: into the inbox."""

    config: Config
    board: str
    state: Path
    store: Store
    wall_s: Callable[[], float]
    post: Callable[[FromFetch], None]
    pulse: Pulse


class Fetching:
    """Starts with `open`. No method waits but `close`."""

    def __init__(self, home: Home, link: Link) -> None:
        updates, config = home.config.updates, home.config
        self._home = home
        self._plan = Plan(updates.spread_s, time.monotonic)
        self._is_connected = False
        self._is_closed = threading.Event()
        self._client = BlockClient(
            link,
            config.fleet,
            topics.request(config.fleet, config.device),
            FetchTerms(kib_per_s=updates.kib_per_s),
        )
        mirror = self._open_mirror if updates.mirror is not None else None
        self._sources = Sources(self._client, mirror, lambda: self._is_connected)
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def open(self) -> None:
        self._thread.start()
        if self._home.config.updates.mirror is not None:
            self._plan.connected()  # it needs no broker

    def close(self) -> None:
        """End. A thread that waits for a disk is left behind: it does nothing that a death at any
        moment would not leave as well."""
        self._is_closed.set()
        self._plan.end()
        self._client.close()
        if self._thread.is_alive():
            self._thread.join(PARTING_S)

    def post(self, event: LinkEvent) -> bool:
        """What the link says; True: it was a block, and is for nobody else. Any thread."""
        if isinstance(event, Connected):
            self._is_connected = True
        elif isinstance(event, Disconnected):
            self._is_connected = False
        is_ours = self._client.post(event)
        if isinstance(event, Connected):
            self._plan.connected()
        return is_ours

    def ring(self, timestamp: bytes) -> None:
        """The bell rang. timestamp: what it says is newest."""
        self._plan.ring(timestamp)

    def want(self, bundles: tuple[Bundle, ...], pinned: frozenset[str]) -> None:
        """These are to be fetched, in this order, and no others. pinned: digests to keep."""
        self._plan.want(bundles, pinned)

    def sweep(self) -> None:
        """Remove models that nobody needs."""
        self._plan.sweep()

    def examine(self, digest: str) -> None:
        """A model in the store may be damaged: say so, or that it is whole."""
        self._plan.examine(digest)

    def look(self) -> None:
        """What was refused may be believed now."""
        self._plan.look()

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._sources.close)
            opened = self._opened_at_last()
            if opened is None:
                return
            refreshing, bundles = opened
            for said in refreshing.known():
                self._home.post(said)
            while (job := self._next()) is not None:
                self._try(job, refreshing, bundles)

    def _next(self) -> Job | None:
        self._home.pulse.rest()
        job = self._plan.take()
        self._home.pulse.beat()
        return job

    def _opened_at_last(self) -> tuple[Refreshing, Bundles] | None:
        """A disk that fails now may not fail later. None: it is over, or never will be, and that is
        said."""
        patience = Backoff(FIRST_AGAIN_S, MOST_AGAIN_S)
        while not self._is_closed.is_set():
            self._home.pulse.beat()
            try:
                return self._opened()
            except (Unavailable, OSError) as trouble:
                self._say_no_updates(str(trouble))
            except Refused as trouble:
                self._say_no_updates(str(trouble))
                return None
            except Exception as bug:
                log.exception("a bug in the way of updates")
                self._say_no_updates(_sentence(bug))
                return None
            self._is_closed.wait(patience.next_s())
        return None

    def _say_no_updates(self, why: str) -> None:
        log.error("no updates: %s", why)
        self._home.post(NotRefreshed(why, "refused"))

    def _opened(self) -> tuple[Refreshing, Bundles]:
        from wire.trust.trust import Trust  # large, and needed by those only who have a root

        home, config = self._home, self._home.config
        folder = home.state / FOLDER
        make_folder_durably(folder)
        assert config.updates.root is not None
        root = first_root(Path(config.updates.root))
        trust = Trust(folder / "trust", root, self._sources, home.wall_s)
        budget = DayBudget(folder / "day.json", config.updates.mib_per_day, home.wall_s)
        who = Who(config.device, config.groups, home.board)
        return (
            Refreshing(trust, self._sources, who, config.pipeline),
            Bundles(home.store, folder / "coming", config.updates, trust, self._sources, budget),
        )

    def _try(self, job: Job, refreshing: Refreshing, bundles: Bundles) -> None:
        """What strangers send must not end the agent, also where we have a bug."""
        try:
            self._do(job, refreshing, bundles)
        except Exception as bug:
            log.exception("a bug in the way of updates")
            why = _sentence(bug)
            if isinstance(job, Get):
                self._plan.pause(job.bundle.digest)
                self._home.post(NotFetched(job.bundle.digest, why, "unavailable"))
            else:
                self._plan.not_refreshed()
                self._home.post(NotRefreshed(why, "refused"))

    def _do(self, job: Job, refreshing: Refreshing, bundles: Bundles) -> None:
        if isinstance(job, Refresh):
            said = refreshing.refresh(job.bell)
            if isinstance(said[-1], NotRefreshed):
                self._plan.not_refreshed()
            else:
                self._plan.refreshed(self._sources.timestamp)
            for word in said:
                self._home.post(word)
        elif isinstance(job, Get):
            self._get(job, bundles)
        elif isinstance(job, Examine):
            self._home.post(bundles.examine(job.digest))
        else:
            bundles.sweep(job)

    def _get(self, get: Get, bundles: Bundles) -> None:
        def is_over() -> bool:
            self._home.pulse.beat()  # who asks waits for blocks, hours if there is no connection
            return self._plan.is_over(get)

        said = bundles.get(get, self._home.post, is_over)
        if said is None:
            return
        if isinstance(said, Fetched) or said.kind == "refused":
            self._plan.done(said.digest)
        else:
            self._plan.pause(said.digest)
        self._home.post(said)

    def _open_mirror(self) -> HttpsSource:
        from wire.https import HttpsSource

        updates = self._home.config.updates
        assert updates.mirror is not None
        ca_file = None if updates.mirror_ca_file is None else Path(updates.mirror_ca_file)
        return HttpsSource(updates.mirror, ca_file, updates.kib_per_s)


def _sentence(bug: Exception) -> str:
    return f"a bug, please report it: {type(bug).__name__}: {bug}"
