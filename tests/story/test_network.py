"""A model over networks that fail: cable out, silence, resets, another address, losses.

Broker, depot and operator are in one network namespace, the device in another; between them is a
line that does what the test says.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers import Listener
from tests.device import Device, until
from tests.line import NEAR, Line, Weather, inside
from tests.yard import Yard, digits, heavy
from wire import topics
from wire.mqtt.life import patience_s
from wire.mqtt.terms import TURN_S

pytestmark = pytest.mark.slow

PORT = 18830  # of the broker, towards the device: every port is free in a new namespace
SIZE = 2_000_000
KIB_PER_S = 800
KEEPALIVE_S = 5
DEAR = 1.15  # times the size of a file may arrive, whatever the network does


@dataclass
class Field:
    """One device at the end of a line. published: of blocks, all that the broker carried."""

    yard: Yard
    line: Line
    device: Device
    blocks: Listener

    def restart_agent(self) -> None:
        """Without what it learned of the network."""
        self.device.kill("agent")
        with inside(self.line.far):
            self.device.start("agent")

    def published_bytes(self, digest: str) -> int:
        prefix = topics.blocks_of("yard", digest).removesuffix("+")
        return sum(len(m.payload) for m in self.blocks.heard if m.topic.startswith(prefix))

    def until_published(self, digest: str, share: float) -> None:
        until(lambda: self.published_bytes(digest) >= share * SIZE, why="nothing is published")

    def connections(self) -> int:
        return self.device.log("agent").count("connected to mqtt")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    place = tmp_path_factory.mktemp("yard")
    lines = [f"listener {PORT} {NEAR}"]
    with Line() as line, inside(line.near), Yard(place, lines=lines) as yard:
        device = yard.device(port=PORT, tables=f"kib_per_s = {KIB_PER_S}\n")
        device.config.write_text(device.config.read_text().replace("127.0.0.1", NEAR))
        with (
            Listener(yard.broker.port, "vedette/yard/block/#") as blocks,
            inside(line.far),
        ):
            device.start("agent")
            device.start("lane")
            with inside(line.near):
                yard.until(lambda: yard.state() is not None)
                assert yard.push(digits(place, "1"), trial_s=1).code == 0
                yield Field(yard, line, device, blocks)


@dataclass
class Course:
    """An update on its way. digest, version, size: of the bundle."""

    field: Field
    version: str
    digest: str
    size: int
    before_bytes: int

    def at(self, share: float) -> None:
        """Wait until so much of it was published."""
        self.field.until_published(self.digest, share)
        assert "staged" not in self.field.yard.phases(self.version), "it came too quickly"

    def ends_well(self) -> None:
        """It is good, and cost little more than its size."""
        yard = self.field.yard
        yard.until_ended(self.version, "good")
        yard.until(lambda: yard.runs(self.version))
        published = self.field.published_bytes(self.digest) / self.size
        arrived = (self.field.line.down_bytes - self.before_bytes) / self.size
        print(f"published {published:.3f}, arrived {arrived:.3f} x size")
        assert 1.0 <= published <= DEAR
        assert arrived <= DEAR


@pytest.fixture
def course(field: Field, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Course]:
    """A large version is on its way to an agent that began anew."""
    field.line.weather = Weather()
    before = field.connections()
    field.restart_agent()
    until(lambda: field.connections() > before)
    version = request.node.name.removeprefix("test_")
    large = heavy(tmp_path, version, SIZE)
    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    before_bytes = field.line.down_bytes
    assert field.yard.push(large, trial_s=1, more=("--no-wait",)).code == 0
    yield Course(field, version, digest, large.stat().st_size, before_bytes)
    field.line.weather = Weather()


def toggled(course: Course, fault: Callable[[], None]) -> None:
    for share in (0.2, 0.45, 0.7):
        course.at(share)
        fault()


def test_cable_out(course: Course) -> None:
    line = course.field.line

    def out() -> None:
        line.unplug()
        time.sleep(0.7)
        line.plug()

    toggled(course, out)
    course.ends_well()


def test_reset(course: Course) -> None:
    before = course.field.connections()
    toggled(course, course.field.line.reset)
    course.ends_well()
    assert course.field.connections() == before + 3
    assert "another device" not in course.field.device.log("agent"), "it was the network"


def test_another_address(course: Course) -> None:
    toggled(course, course.field.line.rebind)
    course.ends_well()


def test_silence(course: Course) -> None:
    """Both sides think that the other is there. What is short is waited out; what lasts is found
    by the keep-alive, as soon as it promises."""
    field = course.field
    for share, silence_s in ((0.2, 0.5), (0.4, 1.5)):
        course.at(share)
        field.line.weather = Weather(is_open=False)
        time.sleep(silence_s)
        field.line.weather = Weather()
    course.at(0.6)
    field.line.weather = Weather(is_open=False)
    began_s = time.monotonic()
    until(lambda: "nothing came from" in field.device.log("agent"))
    noticed_s = time.monotonic() - began_s
    print(f"noticed after {noticed_s:.1f} s")
    assert noticed_s <= patience_s(KEEPALIVE_S) + TURN_S + 1.5  # of the test's machine
    field.line.weather = Weather()
    course.ends_well()


def test_losses(course: Course) -> None:
    """5 % of the packets each way, 80 ms to the broker and back."""
    course.field.line.weather = Weather(lost=0.05, delay_s=0.04)
    course.ends_well()


def test_runtime_killed(course: Course) -> None:
    """The frames come back at once, and the download does not notice."""
    field = course.field
    course.at(0.2)
    field.device.kill("lane")
    began_s = time.monotonic()
    with inside(field.line.far):
        field.device.start("lane")
    restarts = field.yard.state()
    assert restarts is not None

    def is_back() -> bool:
        state = field.yard.state()
        return (
            state is not None
            and state.pipelines["lane"].restarts > restarts.pipelines["lane"].restarts
            and state.pipelines["lane"].phase == "serving"
        )

    until(is_back)
    print(f"serving after {time.monotonic() - began_s:.1f} s")
    course.ends_well()
