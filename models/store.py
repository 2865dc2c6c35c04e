"""The store: which models a device holds, and what each pipeline runs. Survives power cuts.

    ROOT/digests/SHA256/...            a model, never changed
    ROOT/pipelines/NAME/active, good   links to ../../digests/SHA256
    ROOT/pipelines/NAME/trial.json     what must still prove itself
    ROOT/pipelines/NAME/rejected.json  what is not tried again, and why
    ROOT/starts/NAME                   how often the runtime began the trial: all that it writes
    ROOT/installed.json                the digests in the order they came

One process (the agent) changes a store, any number read it, and the runtime of a pipeline counts
its starts. Every step is a row of single replacements in an order that is true at each point, so a
step that was cut short is finished by doing it again. A model is unpacked beside all that, and
shows when it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from models import changes, digests, pipelines
from models.changes import Rejections, Trials
from models.pipelines import Layout, Lying, PipelineState, Trial
from models.starts import MOST_ENDS, Came, Starts, end_of
from wire.durable import (
    link_durably,
    make_folder_durably,
    remove_durably,
    sync_folder,
    write_durably,
)
from wire.steps import reached
from wire.troubles import Refused, Trouble, Unavailable

PATIENCE_S = 2.0  # for whoever else changes the store
_STATE = ".lock"  # held for single steps
_COMERS = ".comers.lock"  # held while models come or go; always taken before the other


class Store:
    """The models below one root. Every method may raise Unavailable if the disk fails.

    Names that cannot be names and digests that cannot be digests are Refused.
    """

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)

    @property
    def root(self) -> Path:
        return self._layout.root

    def folder(self, digest: str) -> Path:
        """Where an installed model lies. Raises Unavailable if it is not installed."""
        folder = self._layout.model(digest)
        if not self.has(digest):
            raise Unavailable(f"model {digest[:12]} is not installed in {self._layout.root}")
        return folder

    def has(self, digest: str) -> bool:
        """Whether a model is installed."""
        with _disk(self._layout.root):
            return self._layout.model(digest).is_dir()

    def is_whole(self, digest: str) -> bool:
        """Whether a model is installed, and what its digest says. Reads all of it."""
        return digests.is_sound(self._layout.model(digest), digest)

    def installed(self) -> tuple[str, ...]:
        """The digests of all installed models, the newest last."""
        return digests.installed(self._layout)

    def pipelines(self) -> tuple[str, ...]:
        """The names of all pipelines that something is known about."""
        return digests.pipeline_names(self._layout)

    def pipeline(self, name: str) -> PipelineState:
        """What a pipeline is to run. A pipeline that nobody heard of runs nothing."""
        return self._lying(name).meant

    def install(self, bundle: Path) -> str:
        """Verify a bundle and unpack it to where it is known by its digest, which is returned.

        Doing it again is cheap and repairs a damaged model. Raises Refused for a bad bundle. Takes
        long, and meanwhile everything else but `collect` goes on.
        """
        with self._alone(_COMERS):
            digest = digests.unpack(self._layout, bundle)
            reached("install.unpacked", digest)
            with self._alone():
                digests.admit(self._layout, digest)
            reached("install.noted", digest)
            digests.sweep(self._layout)
        return digest

    def collect(self, keep: int, pinned: Collection[str] = ()) -> tuple[str, ...]:
        """Remove all models but the pinned, those that any pipeline names, and the `keep` newest.

        Returns the digests that were removed.
        """
        with self._alone(_COMERS):
            digests.sweep(self._layout)
            removed: list[str] = []
            while True:  # one at a time: what takes long is not done while others wait
                with self._alone():
                    one = digests.dismiss(self._layout, keep, pinned)
                if one is None:
                    return tuple(removed)
                removed.append(one)
                reached("sweep.named_going", one)
                digests.sweep(self._layout)

    def activate(self, name: str, trial: Trial) -> None:
        """Make a model the active one, on trial, or not on trial if it is the good one.

        If it is the active one already, its trial goes on as it was.
        Raises Refused if the pipeline has rejected it, Unavailable if it is not installed.
        """
        self.folder(trial.digest)
        with self._changing(name) as (place, lying):
            changes.refuse_rejected(lying, trial.digest)
            known = {lying.good, *(one.digest for one in lying.trials)}
            if lying.active == trial.digest and trial.digest in known:
                return
            if trial.digest != lying.good:
                fresh = msgspec.structs.replace(trial, elapsed_s=0.0, attempt=secrets.token_hex(8))
                # the trial of what still runs stays until the link has moved on
                running = [one for one in lying.trials if one.digest == lying.active]
                changes.write(place / "trial.json", [fresh, *running], Trials)
                reached("activate.trial_noted", trial.digest)
            link_durably(place / "active", pipelines.link_to(trial.digest))
            reached("activate.linked", trial.digest)

    def progress(self, name: str, digest: str, elapsed_s: float) -> None:
        """Remember how long the active model has run well in its trial."""
        with self._changing(name) as (place, lying):
            trial = lying.meant.trial
            if trial is None or trial.digest != digest:
                raise Refused(f"pipeline {name} has no model {digest[:12]} on trial")
            changes.write(
                place / "trial.json",
                [msgspec.structs.replace(trial, elapsed_s=float(elapsed_s))],
                Trials,
            )
            reached("trial.kept", digest)

    def mark_good(self, name: str, digest: str) -> None:
        """The active model has proved itself: it is what roll backs go back to from now on."""
        with self._changing(name) as (place, lying):
            if lying.active != digest:
                raise Refused(f"pipeline {name} does not run {digest[:12]}: it cannot be good")
            if lying.good != digest:
                link_durably(place / "good", pipelines.link_to(digest))
            reached("good.linked", digest)
            remove_durably(place / "trial.json")
            reached("good.noted", digest)

    def rollback(self, name: str, digest: str, reason: str) -> None:
        """Go back from `digest` to the good model, or to none, and never try it again.

        Names what it leaves, so that doing it twice cannot go back twice.
        Raises Refused for the good model itself: there is nothing behind it.
        """
        self._layout.model(digest)
        with self._changing(name) as (place, lying):
            if digest == lying.good:
                raise Refused(f"{digest[:12]} is the good model of {name}: activate another one")
            try:
                changes.remember(place, lying, digest, reason)
                reached("roll_back.noted", digest)
            finally:  # a full disk must not keep a bad model running
                if lying.active == digest:
                    changes.fall_back(place, lying)
            reached("roll_back.linked", digest)
            changes.forget_trial(place, lying, digest)
            reached("roll_back.cleared", digest)

    def reject(self, name: str, digest: str, reason: str) -> None:
        """Never try a model that was not activated. Raises Refused if it is active or good."""
        self._layout.model(digest)
        with self._changing(name) as (place, lying):
            if digest in (lying.active, lying.good):
                raise Refused(f"{digest[:12]} runs in {name}: roll it back instead")
            changes.remember(place, lying, digest, reason)
            reached("reject.noted", digest)

    def forgive(self, name: str, digest: str) -> None:
        """A model that was rejected may be tried again."""
        with self._changing(name) as (place, lying):
            changes.write(
                place / "rejected.json",
                [one for one in lying.rejected if one.digest != digest],
                Rejections,
            )

    def count_start(self, name: str, boot: str = "", said: str = "") -> int:
        """Count a start of the active model for good, before it is opened. boot: of the machine.
        said: systemd's words on the end of the process that had the start before.

        Returns how often it was started in this trial, this start included; 0 if it is good, and
        nothing is counted. Called by the runtime, at the same time as anything else. Raises
        Unavailable if there is no active model.
        """
        lying = self._lying(name)
        state, before = lying.meant, lying.counted
        if state.active is None:
            raise Unavailable(f"pipeline {name} has no active model")
        if state.active == state.good:
            return 0
        attempt = state.trial.attempt if state.trial else ""
        ends = () if before is None else (*before.ends, end_of(before, boot, said))[-MOST_ENDS:]
        self._write_starts(
            name, Starts(state.active, attempt, state.starts + 1, boot=boot, ends=ends)
        )
        reached("load.counted", state.active)
        return state.starts + 1

    def note_came(self, name: str, digest: str, came: Came) -> None:
        """Note for good how far the last start of the model on trial came. Nothing is noted of any
        other model. Called by the runtime."""
        counted = self._lying(name).counted
        if counted is not None and counted.digest == digest and counted.came != came:
            self._write_starts(name, msgspec.structs.replace(counted, came=came))

    def _lying(self, name: str) -> Lying:
        with _disk(self._layout.root):
            return pipelines.read(self._layout, name)

    def _write_starts(self, name: str, starts: Starts) -> None:
        path = self._layout.starts(name)
        with _disk(path):
            make_folder_durably(path.parent)
            write_durably(path, msgspec.json.encode(starts))

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Path, Lying]]:
        """The folder and files of one pipeline, for the one who may change them."""
        place = self._layout.place(name)
        with self._alone():
            make_folder_durably(place)
            sync_folder(place.parent)
            lying = pipelines.read(self._layout, name)
            if lying.is_half_rolled_back:
                changes.fall_back(place, lying)
                lying = pipelines.read(self._layout, name)
            yield place, lying
            sync_folder(place)  # also what a process that was killed has left unsynced

    @contextlib.contextmanager
    def _alone(self, name: str = _STATE) -> Iterator[None]:
        """Hold the store, or the coming and going of models, against others.

        The kernel lets go when the process dies.
        """
        root = self._layout.root
        with _disk(root):
            make_folder_durably(root)
            lock = os.open(root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if not _held(lock):
                    raise Unavailable(f"{root}: another process is changing it: try again")
                yield
            finally:
                os.close(lock)


def _held(lock: int) -> bool:
    """Whether the lock could be had. Who holds the state has it for some fsyncs."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end_s:
                return False
            time.sleep(0.01)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except Trouble:
        raise
    except OSError as error:
        raise Unavailable(f"{error.filename or path}: {error.strerror}") from error
