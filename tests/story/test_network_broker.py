"""Models over brokers that fail: silent ones, lossy ones, and ones that are restarted."""

from __future__ import annotations

import functools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.fetch import fetching, plan
from tests.brokers import Mosquitto
from tests.depot_folder import block_digests
from tests.pretend_runtime import PretendRuntime
from tests.rig import Rig, SetClock, config_text
from tests.rounds import rounds
from tests.small_fleet import SmallFleet, rule
from tests.yard import Yard, digits, heavy
from wire import topics
from wire.backoff import Backoff
from wire.block.client import BlockClient, FetchTerms
from wire.block.part import Part
from wire.config import Broker
from wire.config import parse as parse_config
from wire.deployments import Gates
from wire.link import Connected, Link, LinkEvent, MakeWill, Post
from wire.messages import Update
from wire.mqtt.mqtt import MqttLink

pytestmark = pytest.mark.slow

SIZE = 3_000_000
NOTHING = Update("fetching", "", "", None, 0, 0.0)
OPEN = "topic readwrite vedette/#\n"
SHORT = Gates(trial_s=60.0, first_result_s=20.0)


def linked_to(broker: Mosquitto, client_id: str, post: Post, will: MakeWill | None = None) -> Link:
    return MqttLink(Broker(broker.url()), client_id, post, will, Backoff(0.05, 0.2))


def shown(rig: Rig) -> Update:
    return rig.agent.state().pipelines["lane"].update or NOTHING


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, acl=OPEN) as broker:
        yield broker


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[SmallFleet]:
    with SmallFleet(tmp_path / "fleet", functools.partial(linked_to, broker)) as fleet:
        yield fleet


@pytest.fixture
def rig(
    tmp_path: Path, broker: Mosquitto, fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    """An agent that is less patient than they are."""
    terms = functools.partial(FetchTerms, patience_s=1.5, read_s=1.0)  # else 120 and 30 s
    monkeypatch.setattr(fetching, "FetchTerms", terms)
    monkeypatch.setattr(plan, "FIRST_AGAIN_S", 0.5)  # else 10 s
    monkeypatch.setattr(plan, "MOST_AGAIN_S", 0.5)  # else 10 minutes
    text = f'{config_text()}[updates]\nroot = "{fleet.root}"\nspread_s = 0\nkib_per_s = 1500\n'
    config = parse_config(text, "vedette.toml")
    clock = SetClock(wall_ahead_s=time.time() - 1000.0)
    with Rig(tmp_path / "device", functools.partial(linked_to, broker), config, clock) as rig:
        yield rig


def rule_of(broker: Mosquitto, acl: str) -> None:
    """From now on the broker carries what this lets it."""
    (broker.folder / "acl").write_text(acl)
    os.kill(broker.pid, signal.SIGHUP)


def depot_faults(rig: Rig) -> list[str]:
    return [one for one in rig.agent.state().faults if one.startswith("depot: ")]


@pytest.mark.parametrize("swallowed", ["block/#", "device/+/request/#"])
def test_a_broker_that_takes_and_never_delivers(
    swallowed: str, rig: Rig, broker: Mosquitto, fleet: SmallFleet
) -> None:
    """In the middle of a model, towards the device or the depot, for longer than any patience: the
    phase says so, after 10 minutes a fault does, and when it delivers again the model comes."""
    runtime = PretendRuntime(rig)
    runtime.live(30)
    digest = fleet.release("2", os.urandom(SIZE))
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: (shown(rig).percent or 0) >= 20)
    rule_of(broker, f"topic deny vedette/yard/{swallowed}\n{OPEN}")
    runtime.until(lambda: "nobody answered" in (shown(rig).reason or ""))
    assert shown(rig).phase == "fetching"
    assert 20 <= (shown(rig).percent or 0) < 100
    rig.forward(590)
    assert depot_faults(rig) == []
    rig.forward(20)
    assert "the depot has not answered for 10 minutes" in depot_faults(rig)[0]
    rule_of(broker, OPEN)
    runtime.until(lambda: runtime.digest == digest)
    rig.forward(20)
    assert depot_faults(rig) == []


class Lossy:
    """A link of the depot whose blocks are lost, doubled, or overtaken by the next three."""

    def __init__(self, link: Link, share: float, chance: random.Random) -> None:
        """share: of the blocks, of each kind."""
        self._link = link
        self._share = share
        self._chance = chance
        self._late: list[tuple[int, str, bytes]] = []  # how many overtake it, topic, payload
        self.faults = 0
        self.open, self.subscribe, self.close = link.open, link.subscribe, link.close

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        if "/block/" not in topic:
            return self._link.publish(topic, payload, qos=qos, retain=retain)
        lot = int(self._chance.random() / self._share)
        self.faults += lot < 3
        for _ in range({0: 0, 1: 2, 2: 0}.get(lot, 1)):
            self._link.publish(topic, payload, qos=0)
        due = [late for late in self._late if late[0] == 1]
        self._late = [(left - 1, late, of) for left, late, of in self._late if left > 1]
        self._late += [(3, topic, payload)] if lot == 2 else []
        for _, topic, payload in due:
            self._link.publish(topic, payload, qos=0)
        return 0


@contextmanager
def connected(broker: Mosquitto) -> Iterator[BlockClient]:
    """The fetching end of a device."""
    is_up = threading.Event()

    def post(event: LinkEvent) -> None:
        client.post(event)
        if isinstance(event, Connected):
            is_up.set()

    link = linked_to(broker, "door", post)
    client = BlockClient(link, "yard", topics.request("yard", "door"))
    link.open()
    try:
        assert is_up.wait(20)
        yield client
    finally:
        link.close()


@pytest.mark.parametrize("seed", range(rounds(1)))
def test_5_percent_lost_doubled_and_late(seed: int, tmp_path: Path, broker: Mosquitto) -> None:
    """As tests/unit/test_block_losses.py, through a real broker."""
    made: list[Lossy] = []

    def lossy(client_id: str, post: Post) -> Link:
        made.append(Lossy(linked_to(broker, client_id, post), 0.05, random.Random(seed)))
        return made[0]

    with SmallFleet(tmp_path / "fleet", lossy) as fleet, connected(broker) as client:
        digest = fleet.release("2", os.urandom(SIZE))
        file = fleet.open(digest)
        assert file is not None
        with file:
            content = file.read()
        part = Part(tmp_path / "got", len(content), digest, block_digests(content))
        client.fetch(digest, part, lambda _: None, lambda: False)
        assert part.finish().read_bytes() == content
        arrived, published = client.received_bytes, fleet.published_bytes
    size = len(content)
    print(
        f"{made[0].faults} faults; arrived {arrived / size:.3f}, published {published / size:.3f}"
    )
    assert made[0].faults >= 5
    assert arrived <= 1.15 * size
    assert published <= 1.15 * size


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    place = tmp_path_factory.mktemp("yard")
    with Yard(place) as yard:
        device = yard.device(tables="kib_per_s = 2000\n")
        device.start("agent")
        device.start("lane")
        yard.until(lambda: yard.state() is not None)
        assert yard.push(digits(place, "1"), trial_s=1).code == 0
        yield yard


@pytest.mark.parametrize("seed", range(rounds(1)))
def test_a_broker_that_is_restarted_at_any_time(yard: Yard, tmp_path: Path, seed: int) -> None:
    """Twice in each update, by chance: also while the operator hands it to the depot, who then
    says so in a sentence and does it again."""
    chance = random.Random(seed)
    version = f"at-{seed}"
    packed = heavy(tmp_path, version, SIZE)

    def restart() -> None:
        for _ in range(2):
            time.sleep(chance.uniform(0.2, 2.0))
            yard.broker.kill()
            time.sleep(chance.uniform(0.0, 0.5))
            yard.broker.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    try:
        pushed = yard.push(packed, trial_s=1, more=("--no-wait",))
        for _ in range(3):
            if pushed.code == 0:
                break
            assert pushed.code == 1 and pushed.err.count("\n") <= 3, pushed.err
            pushed = yard.push(packed, trial_s=1, more=("--no-wait",))
        assert pushed.code == 0, pushed.err
    finally:
        restarting.join()
    yard.until_ended(version, "good")
    yard.until(lambda: yard.runs(version))
