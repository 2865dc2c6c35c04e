"""What an operator may do from the dashboard: begins jobs, and says what would come of them."""

from __future__ import annotations

import threading
import time
from concurrent import futures
from concurrent.futures import Future
from pathlib import Path

from fleet import answers
from fleet.actions.deploying import (
    Changed,
    Preview,
    deploy,
    fleet_of,
    preview,
    preview_back,
    roll_back,
)
from fleet.actions.jobs import Actor, Audit, Ended, Job, Jobs
from fleet.actions.office import Office, link_to
from fleet.actions.place import ServedFolder
from fleet.actions.progress import Rollout, rollout_of
from fleet.actions.shelf import Shelf
from fleet.actions.tried import Tries
from fleet.actions.uploading import Uploads, offer
from fleet.ask_words import PATIENCE_S
from fleet.asking import Note, ask, new_command
from fleet.devices import Fleet
from fleet.live.view import LiveView, device_of
from fleet.rollout.deploy import Wanted
from fleet.wording import printable
from wire.orders import Order
from wire.signing import SigningKey
from wire.troubles import Refused, Unavailable

LOOK_S = 0.5  # how old what is told of rollouts may be
SHARE = 5.0  # times that a look takes, until the next
DONE_S = 120.0  # the office has to do an errand within
NO_KEY = "this server has no command key: start it with --command-key, or use the command"


class Actions:
    """Any thread. key: signs commands and deployments; None: only what needs no signature."""

    def __init__(
        self, folder: ServedFolder, key: SigningKey | None, live: LiveView, audit: Audit
    ) -> None:
        self.folder = folder
        self.office = Office(folder, key)
        self.jobs = Jobs(audit)
        self.uploads = Uploads(folder)
        self.tries = Tries()
        self._key = key
        self._live = live
        self._looking = threading.Lock()
        self._look_s = 0.0  # when to look again, by time.monotonic
        self._rollouts: tuple[Rollout, ...] = ()

    @property
    def has_key(self) -> bool:
        return self._key is not None

    @property
    def shelf(self) -> Shelf:
        return self.office.shelf

    def close(self) -> None:
        self.jobs.close()

    def fleet(self) -> Fleet:
        """All devices that are known now."""
        known = self._live.sight.known.values()
        return fleet_of(self.folder.name, map(device_of, known))

    def rollouts(self, pipeline: str | None = None) -> tuple[Rollout, ...]:
        """How far each deployment is, or that of one pipeline; as of a moment ago, as ten thousand
        devices take some time, and many may look."""
        with self._looking:
            if time.monotonic() >= self._look_s:
                began_s = time.monotonic()
                self._rollouts = self._look()
                ended_s = time.monotonic()
                self._look_s = ended_s + max(LOOK_S, SHARE * (ended_s - began_s))
            found = self._rollouts
        return tuple(one for one in found if pipeline in (None, one.pipeline))

    def jobs_of(self, link: str) -> list[Job]:
        """The newest of a page, without bundles that waited for a signature and have it."""
        signed = {digest for of in self.shelf.digests().values() for digest in of}
        return [job for job in self.jobs.newest(link) if job.awaits not in signed]

    def _look(self) -> tuple[Rollout, ...]:
        shelf, now_s = self.shelf, time.time()
        devices, digests = list(self.fleet().devices.values()), shelf.digests()
        return tuple(
            rollout_of(one, devices, digests, now_s) for one in shelf.deployments if one.rules
        )

    def preview(self, wanted: Wanted) -> Preview:
        """Raises Refused for what cannot be meant."""
        return preview(self.shelf, self.fleet(), wanted)

    def preview_back(self, pipeline: str) -> Preview:
        """Raises Refused."""
        return preview_back(self.shelf, self.fleet(), pipeline)

    def deploy(self, who: Actor, wanted: Wanted) -> Job:
        """Raises Refused, Unavailable before anything is begun."""
        self._check_key()
        seen = self.preview(wanted)
        subject = f"{seen.pipeline}: {seen.model} {seen.version} to {seen.to}"
        fleet = self.fleet()

        def run(note: Note) -> Ended:
            done = self.office.ask(lambda desk: deploy(desk, fleet, wanted, note), note)
            return _ended(done)

        return self.jobs.begin(who, "deploy", subject, f"/rollout/{seen.pipeline}", run)

    def roll_back(self, who: Actor, pipeline: str) -> Job:
        """Raises as deploy."""
        self._check_key()
        seen = self.preview_back(pipeline)
        subject = f"{pipeline}: to {seen.model} {seen.version}"

        def run(note: Note) -> Ended:
            return _ended(self.office.ask(lambda desk: roll_back(desk, pipeline), note))

        return self.jobs.begin(who, "roll back", subject, f"/rollout/{pipeline}", run)

    def command(self, who: Actor, device: str, order: Order, words: str) -> Job:
        """Have a device do something. words: what was asked for. Raises Unavailable, Refused."""
        key = self._check_key()
        timeout_s = PATIENCE_S[type(order)]

        def run(note: Note) -> Ended:
            link = link_to(self.folder.broker)
            command = new_command(self.folder.name, device, order, time.time(), timeout_s)
            answer = ask(link, command, key, timeout_s, note)
            if not answer.reply.ok:
                raise Refused(f"{device} says no: {printable(answer.reply.text, 1000)}")
            return Ended(answers.in_words(device, answer.reply), answer.picture)

        return self.jobs.begin(who, "command", f"{device}: {words}", f"/device/{device}", run)

    def offer(self, who: Actor, file: Path, named: str) -> Job:
        """Hand an uploaded bundle to the depot. Raises Unavailable; then the file is gone."""
        shown = printable(named, 100) or "a bundle"

        def run(note: Note) -> Ended:
            return offer(self.folder, file, shown, note)

        try:
            return self.jobs.begin(who, "hand over", shown, "/models", run)
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def _check_key(self) -> SigningKey:
        if self._key is None:
            raise Refused(NO_KEY)
        return self._key


def _ended(done: Future[Changed]) -> Ended:
    try:
        return Ended(done.result(DONE_S).words)
    except futures.TimeoutError:
        if done.cancel():  # it must not happen later, when nobody expects it
            raise Unavailable("broker or depot are not there: nothing was changed") from None
        raise Unavailable("no answer of the depot: look whether it is deployed") from None
