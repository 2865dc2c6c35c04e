"""A real agent whose system clock lies: never set, years ahead, jumping."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from tests.brokers import Authority, Listener, Mosquitto
from tests.device import ColdDevice
from tests.device import until as device_until
from tests.small_fleet import SmallFleet, rule
from wire import topics
from wire.config import Broker
from wire.messages import Event, State, Telemetry, Trusted, parse
from wire.mqtt.mqtt import MqttLink

FLEET = "yard"
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
DECADE_S = 3653 * 86400
SOON_S = 8.0  # a clock that is set right is seen within a second, and the fleet asked within two

PATIENCE_S = 100.0  # of the test, with a machine that others use too

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIBRARIES, reason="faketime is missing: apt install faketime"),
    pytest.mark.timeout(400),
]


class Clocked(ColdDevice):
    """An agent whose clock is what it is told; the clocks that only go forward are as they are."""

    def __init__(self, folder: Path, port: int, root: Path, name: str) -> None:
        table = f'[updates]\nroot = "{root}"\nspread_s = 0\n'
        super().__init__(folder, port, name, tables=table)
        text = self.config.read_text().replace('model = "digits"\n', "")
        self.config.write_text(text)
        self.name = name
        self._offset = folder / "offset"

    def __enter__(self) -> Clocked:
        return self

    def set_ahead(self, by_s: float) -> None:
        """The clock is ahead of the right one; what runs sees it jump."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{by_s:+.0f}")
        os.replace(new, self._offset)

    def set_to_1970(self) -> None:
        self.set_ahead(300 - time.time())

    def begin(self) -> None:
        """Start the agent."""
        faked = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in faked.items():
                patch.setenv(name, value)
            self.start("agent")


class Scene:
    """A broker, a fleet's depot, and who hears what devices say."""

    def __init__(self, folder: Path, broker: Mosquitto, fleet: SmallFleet, ear: Listener) -> None:
        self._folder = folder
        self.broker = broker
        self.fleet = fleet
        self._ear = ear
        self._version = 0

    def device(self, name: str) -> Clocked:
        return Clocked(self._folder / name, self.broker.port, self.fleet.root, name)

    def deploy(self) -> int:
        """Another version for everybody. Returns the version of the deployments metadata."""
        self._version += 1
        self.fleet.release(str(self._version), b"TFL3%d" % self._version)
        self.fleet.deploy(rule(str(self._version)))
        return self.deployments

    @property
    def deployments(self) -> int:
        return self.fleet.signer.versions.deployments

    def state(self, name: str) -> State | None:
        said = self._ear.payloads(topics.state(FLEET, name))
        return parse(said[-1], State) if said and said[-1] else None

    def trusted(self, name: str) -> Trusted | None:
        state = self.state(name)
        return None if state is None else state.trusted

    def believes(self, name: str, deployments: int) -> bool:
        trusted = self.trusted(name)
        return trusted is not None and trusted.deployments == deployments

    def fault(self, name: str) -> str:
        """What is wrong with the metadata, by the device."""
        state = self.state(name)
        faults = [] if state is None else [one for one in state.faults if "fleet's" in one]
        return " ".join(faults)

    def records(self, name: str) -> list[Telemetry]:
        return [parse(p, Telemetry) for p in self._ear.payloads(topics.telemetry(FLEET, name))]

    def events(self, name: str) -> list[Event]:
        return [parse(p, Event) for p in self._ear.payloads(topics.event(FLEET, name))]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("clocks")
    with Mosquitto(certified=authority.issue("127.0.0.1")) as broker:
        url = broker.url()
        make = lambda name, post: MqttLink(Broker(url), name, post)  # noqa: E731
        with (
            SmallFleet(folder / "fleet", make) as fleet,
            Listener(broker.port, f"vedette/{FLEET}/device/#") as ear,
        ):
            yield Scene(folder, broker, fleet, ear)


class Shaken:
    """A device whose clock jumps by decades, three times a second, all the time."""

    def __init__(self, scene: Scene) -> None:
        self._device = scene.device("shaken")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._shake, name="shaking")

    def __enter__(self) -> Shaken:
        self._device.set_ahead(0)
        self._device.begin()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._device.__exit__(kind, error, trace)

    def _shake(self) -> None:
        ahead_s = float(DECADE_S)
        while not self._is_over.wait(0.3):
            self._device.set_ahead(ahead_s)
            ahead_s = -ahead_s


@pytest.fixture(scope="module", autouse=True)
def shaken(scene: Scene) -> Iterator[Shaken]:
    with Shaken(scene) as shaken:
        yield shaken


def test_clock_that_was_never_set(scene: Scene) -> None:
    """A Raspberry Pi without a network time: the fleet is believed, and nothing is locked out."""
    version = scene.deploy()
    with scene.device("unset") as clocked:
        clocked.set_to_1970()
        clocked.begin()
        until(lambda: scene.believes("unset", version))
        until(lambda: scene.events("unset"))
        said = scene.events("unset")[-1]
        assert said.time < 86400, "as wrong as the clock"
        assert abs(said.uptime_s - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
        clocked.kill("agent")
        clocked.set_to_1970()  # again: this boot begins before the last one
        clocked.begin()
        newer = scene.deploy()
        until(lambda: scene.believes("unset", newer))
        assert scene.fault("unset") == ""
        clocked.set_ahead(0)  # the network's time comes
        until(lambda: any("set forward" in (e.text or "") for e in scene.events("unset")))
        assert scene.believes("unset", newer)
        assert scene.fault("unset") == ""


def test_clock_ten_years_ahead(scene: Scene) -> None:
    version = scene.deploy()
    with scene.device("ahead") as clocked:
        clocked.set_ahead(DECADE_S)
        clocked.begin()
        until(lambda: "by this machine's clock it is 20" in scene.fault("ahead"))
        assert "expired on" in scene.fault("ahead")
        assert scene.trusted("ahead") is None, "nothing of it is taken"
        right_s = time.monotonic()
        clocked.set_ahead(0)
        until(lambda: scene.believes("ahead", version) and not scene.fault("ahead"))
        assert time.monotonic() - right_s < SOON_S
        clocked.kill("agent")
        clocked.set_ahead(DECADE_S)  # and again, by a battery that is empty
        clocked.begin()
        until(lambda: "expired" in scene.fault("ahead"))
        newer = scene.deploy()
        clocked.set_ahead(0)
        until(lambda: scene.believes("ahead", newer) and not scene.fault("ahead"))


@pytest.mark.parametrize("jump_s", [DECADE_S, -DECADE_S], ids=["forward", "back"])
def test_jump_in_the_middle_of_a_refresh(scene: Scene, jump_s: int) -> None:
    """A refresh is judged by the time of its begin; the next one by the new time."""
    name = "jumps" if jump_s > 0 else "falls"
    with scene.device(name) as clocked:
        clocked.set_ahead(0)
        clocked.begin()
        until(lambda: scene.believes(name, scene.deployments))
        with mute(scene.fleet):
            before = scene.fleet.requests[name]
            version = scene.deploy()
            until(lambda: scene.fleet.requests[name] > before)
            clocked.set_ahead(jump_s)
            until(lambda: any("clock was set" in (e.text or "") for e in scene.events(name)))
        until(lambda: scene.believes(name, version))
        if jump_s > 0:
            until(lambda: "expired" in scene.fault(name))
            version = scene.deploy()
            until(lambda: "by this machine's clock" in scene.fault(name))
            assert not scene.believes(name, version)
        clocked.set_ahead(0)
        version = scene.deploy()
        until(lambda: scene.believes(name, version) and not scene.fault(name))


def until(holds: Callable[[], object]) -> None:
    device_until(holds, PATIENCE_S)


class mute:
    """The depot answers nothing."""

    def __init__(self, fleet: SmallFleet) -> None:
        self._fleet = fleet

    def __enter__(self) -> None:
        self._fleet.serves = False

    def __exit__(self, *_: object) -> None:
        self._fleet.serves = True


def test_tls_before_the_clock_is_set(scene: Scene, authority: Authority) -> None:
    """Certificates are not valid yet in 1970: it is said, and tried until the time comes."""
    with scene.device("tls") as clocked:
        text = clocked.config.read_text()
        plain = scene.broker.url()
        assert plain in text
        secure = f'{scene.broker.url("mqtts")}"\nca_file = "{authority.file}'
        clocked.config.write_text(text.replace(plain, secure))
        clocked.set_to_1970()
        clocked.begin()
        until(lambda: "is not valid yet" in clocked.log("agent"))
        assert "this device's clock says 1970-01-01" in clocked.log("agent")
        assert scene.state("tls") is None
        clocked.set_ahead(0)
        until(lambda: scene.believes("tls", scene.deployments))


def test_what_it_waits_by_does_not_jump(scene: Scene) -> None:
    """A record every ten seconds, whatever the time of day does. Comes last: it began first."""
    until(lambda: len(scene.records("shaken")) >= 2)
    records = scene.records("shaken")
    assert all(8 < one.window_s < 60 for one in records)
    for one, other in itertools.pairwise(records):
        assert other.uptime_s - one.uptime_s == pytest.approx(other.window_s, abs=1.5)
    jumps = [one for one in scene.events("shaken") if "clock was set" in (one.text or "")]
    assert len(jumps) > 3
