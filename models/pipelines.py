"""What one pipeline runs, tries and refuses, as it lies on disk. Reading only; `Store` writes.

Every file is replaced in one step, and the files are read in an order that gives a true picture
while another process changes them, or after it died between two of them.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from models.plain import open_plain
from models.starts import Starts
from wire.complaints import shortened
from wire.names import DIGEST_PATTERN, NAME_PATTERN, Digest
from wire.troubles import Refused

LARGEST_STATE = 256 * 1024  # bytes

Seconds = Annotated[float, Meta(ge=0)]
Record = TypeVar("Record")


class Trial(Struct, frozen=True, omit_defaults=True):
    """A model that must still prove itself, and how far it has come.

    length_s: how long it must run well. first_result_s: how soon its first result must come.
    elapsed_s: how long it has run well. attempt: made by the store; starts are counted for it.
    """

    digest: Digest
    length_s: Seconds
    first_result_s: Seconds
    elapsed_s: Seconds = 0.0
    attempt: str = ""


class Rejection(Struct, frozen=True):
    """A model that this pipeline does not try again, and why, for a person to read."""

    digest: Digest
    reason: str


class PipelineState(Struct, frozen=True):
    """What a pipeline is to run. problems: what on disk was unreadable, and read as absent.

    active: what to run now. good: what to go back to. trial: of the active model, None once it is
    good. starts: of the active model in this trial. ends: how those before the last ended. gone:
    what the good link names, where that model is not there; `good` is None then.
    """

    active: str | None
    good: str | None
    trial: Trial | None
    starts: int
    rejected: tuple[Rejection, ...]
    problems: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    gone: str | None = None

    def rejection(self, digest: str) -> Rejection | None:
        """Why this pipeline refuses a model, or None."""
        return next((one for one in self.rejected if one.digest == digest), None)


class Lying(Struct, frozen=True):
    """The state files of one pipeline, each as it lies, half-done steps included.

    trials: the one to come first, then that of the active model.
    """

    active: str | None
    good: str | None
    trials: tuple[Trial, ...]
    starts: Starts | None
    rejected: tuple[Rejection, ...]
    problems: tuple[str, ...]
    gone: str | None = None

    @property
    def is_half_rolled_back(self) -> bool:
        """The active model was rejected, and its link is still there."""
        return self.active != self.good and self.active in {one.digest for one in self.rejected}

    @property
    def meant(self) -> PipelineState:
        """What the files mean: a half-done roll back is a roll back."""
        active = self.good if self.is_half_rolled_back else self.active
        trial = None
        if active != self.good:
            trial = next((one for one in self.trials if one.digest == active), None)
        counted = self._counted(active, trial)
        starts, ends = (0, ()) if counted is None else (counted.count, counted.ends)
        return PipelineState(
            active, self.good, trial, starts, self.rejected, self.problems, ends, self.gone
        )

    def _counted(self, active: str | None, trial: Trial | None) -> Starts | None:
        """What was counted of this very trial."""
        attempt, counted = trial.attempt if trial else "", self.starts
        if counted is None or active == self.good:
            return None
        return counted if (counted.digest, counted.attempt) == (active, attempt) else None

    @property
    def counted(self) -> Starts | None:
        """The starts of the active model in its trial; None: it is on none, or was not started."""
        meant = self.meant
        return self._counted(meant.active, meant.trial)


class Layout(Struct, frozen=True):
    """Where everything is below the root of a store."""

    root: Path

    @property
    def digests(self) -> Path:
        return self.root / "digests"

    @property
    def order(self) -> Path:
        """The installed digests, oldest first: a device's clock cannot be trusted with that."""
        return self.root / "installed.json"

    @property
    def pipelines(self) -> Path:
        return self.root / "pipelines"

    def place(self, name: str) -> Path:
        """The folder of a pipeline. Raises Refused for what cannot be a name."""
        if not re.match(NAME_PATTERN, name):
            raise Refused(f"{shortened(repr(name))} is no pipeline name: letters, digits, '_', '-'")
        return self.pipelines / name

    def starts(self, name: str) -> Path:
        """In a folder of its own: the runtime may write here, and nowhere else."""
        return self.root / "starts" / self.place(name).name

    def model(self, digest: str) -> Path:
        """The folder of a model, installed or not. Raises Refused for what cannot be a digest."""
        if not re.match(DIGEST_PATTERN, digest):
            raise Refused(f"{shortened(repr(digest))} is no digest: 64 hexadecimal digits")
        return self.digests / digest


def link_to(digest: str) -> str:
    """What the links of a pipeline hold."""
    return f"../../digests/{digest}"


def read(layout: Layout, name: str) -> Lying:
    """The state files of a pipeline. What is missing or unreadable reads as absent."""
    problems: list[str] = []
    place = layout.place(name)
    # the order matters: what a step writes later is read earlier (see Store)
    active = read_link(layout, place / "active", problems)
    trials = read_file(place / "trial.json", tuple[Trial, ...], problems) or ()
    rejected = read_file(place / "rejected.json", tuple[Rejection, ...], problems) or ()
    good = read_link(layout, place / "good", problems)
    gone = _named(place / "good") if good is None else None
    starts = read_file(layout.starts(name), Starts, problems)
    return Lying(active, good, trials, starts, rejected, tuple(problems), gone)


def is_of_disk(problem: str) -> bool:
    """Whether something could not be read; else it was read, and is damaged."""
    return "cannot be read: " in problem or "that can be read: " in problem


def read_link(layout: Layout, path: Path, problems: list[str]) -> str | None:
    """The digest that a link names, if that model is installed."""
    try:
        target = os.readlink(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"{path}: not a link that can be read: {error.strerror}")
        return None
    digest = _in_link(target)
    if digest is None:
        problems.append(f"{path}: links to {shortened(repr(target))}, which is no model")
        return None
    if not layout.model(digest).is_dir():
        problems.append(f"{path}: its model {digest[:12]} is not installed")
        return None
    return digest


def _named(path: Path) -> str | None:
    """The digest that a link names, installed or not."""
    try:
        return _in_link(os.readlink(path))
    except OSError:
        return None


def _in_link(target: str) -> str | None:
    digest = target.rpartition("/")[2]
    is_one = target == link_to(digest) and re.match(DIGEST_PATTERN, digest)
    return digest if is_one else None


def read_file(path: Path, kind: type[Record], problems: list[str]) -> Record | None:
    """A state file, or None if there is none or it cannot be what it should be."""
    try:
        with open_plain(path) as file:
            content = file.read(LARGEST_STATE + 1)
        if len(content) > LARGEST_STATE:
            raise OSError(errno.EFBIG, "far too large")
        return msgspec.json.decode(content, type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        problems.append(f"{path}: damaged: {shortened(str(error))}")
    return None
