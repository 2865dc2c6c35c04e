"""A fleet of real processes that is attacked again and again, and a thief of its online keys."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tuf.api.metadata import Timestamp

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles.targets import targets_of
from fleet.signer.books import metadata_path
from fleet.signer.keys import OnlineKeys
from fleet.signer.press import Press
from fleet.signer.signer import Signer
from tests.device import Device
from tests.yard import FLEET, Yard, digits
from wire import topics
from wire.deployments import Deployment
from wire.messages import Event, parse
from wire.release import deployment_path, target_file
from wire.signing import load_key


class Scene:
    """A yard, and a device `door` in it that runs the newest of some versions."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.folder = folder
        self._versions = itertools.count(1)
        self.device: Device = yard.device()
        self.device.start("agent")
        self.runtime = self.device.start("lane")
        yard.until(lambda: yard.state() is not None)
        self.running = self.pushed()

    def next_version(self) -> str:
        return str(next(self._versions))

    def pushed(self, bundle: Path | None = None) -> str:
        """One more version, which the device then runs. bundle: or else a new one."""
        path = bundle or digits(self.folder, self.next_version())
        done = self.yard.push(path, trial_s=1)
        assert done.code == 0, done.err
        version = str(done.said["version"])
        assert self.yard.runs(version)
        self.running = version
        return version

    @property
    def faults(self) -> str:
        state = self.yard.state()
        return " ".join(state.faults) if state is not None else ""

    @property
    def still_serves(self) -> bool:
        state = self.yard.state()
        is_there = state is not None and state.pipelines["lane"].phase == "serving"
        return is_there and self.yard.runs(self.running) and self.runtime.poll() is None

    @property
    def timestamp(self) -> int:
        """The newest that the device believes."""
        state = self.yard.state()
        return 0 if state is None or state.trusted is None else state.trusted.timestamp

    def told(self, kind: str) -> list[str]:
        """What the device's events of this kind said of trust."""
        heard = self.yard.listener.payloads(topics.event(FLEET, "door"))
        events = [parse(one, Event) for one in heard]
        return [one.text for one in events if one.kind == kind and one.subject == "trust"]

    def recovers(self) -> None:
        """All is well again, and a new version comes."""
        self.yard.until(lambda: not self.told_of_trust)
        self.pushed()

    @property
    def told_of_trust(self) -> bool:
        """Whether a fault is about what is signed."""
        return any(word in self.faults for word in ("the fleet's", "sign"))


@contextmanager
def depot_away(yard: Yard) -> Iterator[Path]:
    """Its folder, while the process is not there."""
    yard.kill_depot()
    yield yard.fleet / "depot"
    yard.start_depot()


@contextmanager
def depot_as_before(yard: Yard, folder: Path, meanwhile: Callable[[], object]) -> Iterator[None]:
    """What happens meanwhile is undone at the depot, and done again at the end."""
    depot, before, after = yard.fleet / "depot", folder / "before", folder / "after"
    shutil.copytree(depot, before)
    meanwhile()
    with depot_away(yard):
        shutil.move(depot, after)
        shutil.copytree(before, depot)
    yield
    with depot_away(yard):
        shutil.rmtree(depot)
        shutil.move(after, depot)
    shutil.rmtree(before)


def online_thief_deploys(depot: Path, deployment: Deployment) -> None:
    """Put in force whatever a thief of the depot's keys likes, without anybody's wish."""
    signer = Signer(depot)
    place, held = signer.place, signer.held
    press = Press(place, OnlineKeys(depot / "keys"), time.time)
    content = msgspec.json.encode(deployment)
    after = roles_online.next_deployments(
        held.deployments, {deployment.pipeline: content}, time.time()
    )
    after = press.sign("deployments", after, held.targets)
    named = {file.path: file for file in targets_of(after)}
    file = named[deployment_path(deployment.pipeline)]
    place.write(target_file(file.path, file.digest), content)
    press.publish(held, held.targets, after)
    signer.close()


def timestamp_of_thief(depot: Path, key: Path, ahead: int, life_s: float) -> bytes:
    """The next timestamp, or one far ahead, signed with the right key."""
    before = (depot / "metadata" / "timestamp.json").read_bytes()
    number = roles_online.snapshot_version(before)
    snapshot = (depot / metadata_path(number, "snapshot")).read_bytes()
    whole = roles.read(roles_online.timestamp_of(before, snapshot, time.time()), Timestamp)
    whole.signed.version += ahead
    whole.signed.expires = roles.moment(time.time() + life_s)
    return roles.signed(whole.to_bytes(), [load_key(key)])
