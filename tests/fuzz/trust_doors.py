"""Doors of trust: metadata of a broker or a mirror, metadata of thieves, and files that rotted."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fuzz.door import Door, Opened
from tests.fuzz.thief import STEALABLE, Stolen, Thief
from tests.fuzz.wire_doors import DEPLOYMENT
from tests.repository import NOW_S, Repository
from wire.deployments import Who, read_deployment, rule_for
from wire.troubles import Refused, Trouble
from wire.trust.trust import Trust

WHO = Who("door", ("doors",), "Raspberry Pi 5 Model B Rev 1.0")


class Scene:
    """A repository with a release and a deployment, and a device that believes the one before.

    What a device comes to is a matter of what lies in its folder: each such state is looked at
    once, and the folder is made anew only when something lies there that did not before.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "keys").mkdir()
        self.repository = Repository(folder / "keys")
        self._folder = folder
        self.trust(folder / "before").refresh()
        self.repository.release("digits", "1", b"model" * 100)
        self.repository.deploy(DEPLOYMENT)
        self._before = _state(folder / "before")
        self._known = set[State]()

    def trust(self, folder: Path) -> Trust:
        return Trust(folder, self.repository.first_root, self.repository, lambda: NOW_S)

    def device(self) -> Path:
        """The folder of a device that believes the first metadata."""
        folder = self._folder / "now"
        if _state(folder) != self._before:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self._folder / "before", folder)
        return folder

    @contextmanager
    def served(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """For a while, the repository has these files instead of its own."""
        right = self.repository.files
        self.repository.files = {**right, **files}
        try:
            yield
        finally:
            self.repository.files = right

    def try_again(self, deed: Callable[[Trust], None]) -> None:
        """What comes after an attempt, when the right files are served."""
        folder = self._folder / "now"
        state = _state(folder)
        if state not in self._known:
            deed(self.trust(folder))
            self._known.add(state)


State = frozenset[tuple[str, bytes]]  # each file's path and digest


def _state(folder: Path) -> State:
    return frozenset(
        (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).digest())
        for path in folder.rglob("*")
        if path.is_file()
    )


def look_at_all(trust: Trust) -> None:
    """Everything that the agent and an operator read of it."""
    assert trust.trusted is not None
    assert len(trust.expiries) == 5
    for bundle in trust.models():
        try:
            trust.block_digests(bundle)
        except Trouble:
            continue
    deployment = trust.deployment("lane")
    if deployment is not None:
        rule_for(deployment, WHO)
    trust.command_keys()


def believe(trust: Trust) -> None:
    """What is offered, and all of it read."""
    trust.refresh()
    look_at_all(trust)


def metadata(role: str, path: str) -> Door:
    """What comes of other bytes is forgotten when the right ones come."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        scene = Scene(folder)

        def attempt(content: bytes) -> None:
            trust = scene.trust(scene.device())
            try:
                with scene.served({path: content}):
                    believe(trust)
            finally:
                scene.try_again(believe)

        return Opened(attempt, (scene.repository.files[path],))

    return Door(
        f"trust.{role}", "a broker, a depot, a mirror", open_, form="json", limit_s=4.0, examples=20
    )


def stolen(role: Stolen) -> Door:
    """Who has the key signs nonsense: it is refused or believed, and the device lives."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        scene = Scene(folder)
        thief = Thief(scene.repository)

        def attempt(content: bytes) -> None:
            trust = scene.trust(scene.device())
            try:
                with scene.served(thief.files(role, content)):
                    believe(trust)
            finally:
                scene.try_again(look_at_all_if_possible)

        return Opened(attempt, (thief.seed(role),))

    return Door(
        f"stolen.{role}", f"a thief of the key of {role}", open_, form="json", limit_s=4.0,
        examples=16,
    )  # fmt: skip


def look_at_all_if_possible(trust: Trust) -> None:
    if trust.trusted is None:
        return
    try:
        look_at_all(trust)
    except Trouble:
        return


def open_kept(folder: Path, last: ExitStack) -> Opened:
    """What lies in the folder rotted, whichever file it is: what is signed makes it right again."""
    scene = Scene(folder)
    names = sorted(
        path.relative_to(folder / "before").as_posix()
        for path in (folder / "before").rglob("*")
        if path.is_file() and path.name != "lock"
    )

    def attempt(content: bytes) -> None:
        device = scene.device()
        (device / names[content[0] % len(names) if content else 0]).write_bytes(content[1:])
        trust = scene.trust(device)
        look_at_all_if_possible(trust)
        believe(trust)

    seeds = (
        bytes([number]) + (folder / "before" / name).read_bytes()
        for number, name in enumerate(names)
    )
    return Opened(attempt, tuple(seeds))


def open_deployment(folder: Path, last: ExitStack) -> Opened:
    import msgspec

    def attempt(content: bytes) -> None:
        deployment = read_deployment(content, "lane")
        rule_for(deployment, WHO)
        if any(not 0 <= rule.wave <= 1 for rule in deployment.rules):
            raise Refused("never")

    return Opened(attempt, (msgspec.json.encode(DEPLOYMENT),))


DOORS: tuple[Door, ...] = (
    metadata("timestamp", "metadata/timestamp.json"),
    metadata("snapshot", "metadata/3.snapshot.json"),
    metadata("targets", "metadata/2.targets.json"),
    metadata("deployments", "metadata/2.deployments.json"),
    *map(stolen, STEALABLE),
    Door("trust.kept", "a disk", open_kept, limit_s=4.0, examples=20),
    Door("deployment", "a thief of the depot's keys", open_deployment, form="json"),
)
