"""Updates of models in a whole agent: real signatures, blocks, store and spool; no network."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.recorder import UPDATES_NOTE
from agent.update.log import Kept
from tests.certificates import Authority
from tests.depot_folder import make_yard
from tests.mirror import serving
from tests.pretend_runtime import PretendRuntime
from tests.rig import Rig, SetClock, config_text, totals
from tests.small_fleet import SmallFleet, rule
from wire import orders, topics
from wire.config import parse as parse_config
from wire.deployments import Gates
from wire.local import CheckModel, LoadModel
from wire.memory_link import MemoryBroker
from wire.messages import Event, Reply, State, Update, parse

SHORT = Gates(trial_s=60.0, first_result_s=20.0)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def fleet(tmp_path: Path, broker: MemoryBroker) -> Iterator[SmallFleet]:
    with SmallFleet(tmp_path / "fleet", broker.link) as fleet:
        yield fleet


def rig_of(tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet, more: str = "") -> Rig:
    text = f'{config_text()}[updates]\nroot = "{fleet.root}"\nspread_s = 0\n{more}'
    clock = SetClock(wall_ahead_s=time.time() - 1000.0)
    return Rig(tmp_path / "device", broker.link, parse_config(text, "vedette.toml"), clock)


def test_updates_of_the_largest_device_fit_every_broker(
    tmp_path: Path, broker: MemoryBroker
) -> None:
    kept = {}
    for n in range(64):
        why = "r" * 1000
        update = Update("rejected", "m" * 64, "9" * 32, f"{n:064}", 10**6, 1.8e9, None, why)
        kept[f"{n:064}"] = Kept(update)
    text = config_text().split("[pipeline.lane]")[0] + "".join(
        f'[pipeline.{n:064}]\ncamera = "synthetic://64x48"\nmodel = "digits"\n' for n in range(64)
    )
    config = parse_config(text, "vedette.toml")
    with Rig(tmp_path, broker.link, config) as rig:
        rig.keeping.append((), {UPDATES_NOTE: msgspec.json.encode(kept)})
    with Rig(tmp_path, broker.link, config) as rig:
        rig.quiet()
        for n in range(64):
            more = {"pipeline": f"{n:064}", "camera": "x" * 900, "absent": "y" * 900}
            rig.inbox.post(totals(1, 1.0, **more))
        rig.quiet()
        rig.forward(20.0)
        payload = broker.kept(topics.state("yard", "door"))[0].payload
        assert parse(payload, State).pipelines[f"{7:064}"].update is not None
        assert len(payload) < 64_000


@pytest.fixture
def rig(tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet) -> Iterator[Rig]:
    with rig_of(tmp_path, broker, fleet) as rig:
        rig.quiet()
        yield rig


@pytest.fixture
def runtime(rig: Rig) -> PretendRuntime:
    runtime = PretendRuntime(rig)
    runtime.live(30)
    return runtime


def phases(broker: MemoryBroker) -> list[str]:
    """Every phase that was told by an event, in order, with the version."""
    told = []
    for topic, payload in broker.sent:
        if topic == topics.event("yard", "door"):
            event = parse(payload, Event)
            if event.kind == "update" and event.update is not None:
                told.append(f"{event.update.version} {event.update.phase}")
    return list(dict.fromkeys(told))


def shown(rig: Rig) -> Update | None:
    return rig.agent.state().pipelines["lane"].update


def phase(rig: Rig) -> str | None:
    update = shown(rig)
    return None if update is None else update.phase


def test_a_model_that_does_well_becomes_good(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    digest = fleet.release("2")
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: runtime.digest == digest)
    assert phase(rig) == "trial"
    runtime.live(80)
    assert phase(rig) == "good", shown(rig)
    assert phases(broker) == ["2 fetching", "2 staged", "2 checking", "2 trial", "2 good"]
    state = parse(broker.kept(topics.state("yard", "door"))[0].payload, State)
    assert state.trusted is not None
    lane = state.pipelines["lane"]
    assert lane.digest == digest
    assert lane.update is not None
    assert (lane.update.phase, lane.update.digest) == ("good", digest)
    store = runtime.store.pipeline("lane")
    assert (store.active, store.good) == (digest, digest)
    assert [type(one) for one in runtime.asked if type(one).__name__ != "Apply"] == [
        CheckModel,
        LoadModel,
    ]


def test_a_model_that_does_not_pass_its_check_is_rejected(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    digest = fleet.release("2")
    runtime.bad[digest] = "golden a.png: it says 7, 3 is right"
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: phase(rig) == "rejected")
    update = shown(rig)
    assert update is not None
    assert update.reason == "golden a.png: it says 7, 3 is right"
    assert runtime.digest == "c" * 64, "what ran runs on"
    fleet.deploy(rule("2", SHORT))
    runtime.live(30)
    assert sum(isinstance(one, CheckModel) for one in runtime.asked) == 1, "not tried again"
    runtime.bad.clear()
    fleet.deploy(rule("2", SHORT, attempt=1))
    runtime.until(lambda: runtime.digest == digest)
    assert phase(rig) == "trial"


def test_a_slow_model_is_rolled_back(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    first, slow = fleet.release("2"), fleet.release("3", b"slow")
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: runtime.digest == first)
    runtime.live(80)
    assert phase(rig) == "good"
    fleet.deploy(rule("3", Gates(trial_s=60.0, p95_ms=20.0)))
    runtime.until(lambda: runtime.digest == slow)
    runtime.inference_us = 30_000.0
    runtime.live(30)
    runtime.until(lambda: runtime.digest == first)
    update = shown(rig)
    assert update is not None
    assert update.phase == "rolled_back"
    assert update.reason is not None
    assert "20 ms is the limit; back to digits 2" in update.reason
    assert phases(broker)[-1] == "3 rolled_back"


def test_an_agent_that_ends_on_the_way_goes_on_where_it_was(
    tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet
) -> None:
    digest = fleet.release("2", os.urandom(3_000_000))
    fleet.most_blocks = 40
    with rig_of(tmp_path, broker, fleet) as rig:
        runtime = PretendRuntime(rig)
        runtime.live(30)
        fleet.deploy(rule("2", SHORT))
        runtime.until(lambda: (shown(rig) is not None) and (shown(rig).percent or 0) > 20)  # type: ignore[union-attr]
    came = fleet.published_bytes
    fleet.most_blocks = None
    with rig_of(tmp_path, broker, fleet) as rig:
        runtime = PretendRuntime(rig)
        runtime.live(30)
        runtime.until(lambda: runtime.digest == digest)
        assert phase(rig) == "trial"
    assert fleet.published_bytes - came < 2_500_000
    assert came > 900_000


def test_a_link_that_is_lost_on_the_way(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    digest = fleet.release("2", os.urandom(3_000_000))
    fleet.most_blocks = 40
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: fleet.blocks >= 40)
    broker.cut("door")
    runtime.turn()
    fleet.most_blocks = None
    rig.agent._link.open()  # it connects again
    runtime.until(lambda: runtime.digest == digest)


def test_a_bell_that_lies_is_no_harm(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    digest = fleet.release("2")
    fleet.deploy(rule("2", SHORT))
    runtime.until(lambda: runtime.digest == digest)
    bell = topics.bell("yard")
    old = fleet.signer.timestamp
    fleet.release("3", b"other")
    fleet.deploy(rule("2", SHORT))
    for lie in (b"{}", b"\xff" * 20_000, old, b"[" * 10_000, old[:-40] + b"0" * 40):
        broker.carry(bell, lie, retain=True)
        runtime.live(2)
    runtime.live(80)
    assert phase(rig) == "good"
    assert not [one for one in rig.agent.state().faults if one.startswith("trust")]


def test_keys_of_the_release_may_command(
    rig: Rig, runtime: PretendRuntime, fleet: SmallFleet, broker: MemoryBroker
) -> None:
    now = int(rig.clock.wall_s())
    order = orders.Command("yard", "door", "id1", now, now + 60, orders.Status())
    payload = orders.signed(order, fleet.yard.command_key)

    def replies() -> list[Reply]:
        topic = topics.reply("yard", "door")
        return [parse(content, Reply) for name, content in broker.sent if name == topic]

    fleet.ring()
    runtime.until(lambda: rig.agent.state().trusted is not None)
    broker.carry(topics.command("yard", "door"), payload, retain=False)
    runtime.until(replies)
    assert replies()[-1].ok, replies()


def test_without_a_root_nothing_is_fetched_or_believed(
    tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet
) -> None:
    fleet.release("2")
    with Rig(tmp_path / "device", broker.link) as rig:
        runtime = PretendRuntime(rig)
        fleet.deploy(rule("2"))
        runtime.live(30)
        assert shown(rig) is None
        assert not any(each.name == "fetch" for each in threading.enumerate())


def test_a_root_that_is_not_there_is_a_fault_and_stops_nothing_else(
    tmp_path: Path, broker: MemoryBroker
) -> None:
    text = f'{config_text()}[updates]\nroot = "{tmp_path}/root.json"\n'
    with Rig(tmp_path / "device", broker.link, parse_config(text, "vedette.toml")) as rig:
        runtime = PretendRuntime(rig)
        runtime.until(lambda: any("copy root.json" in one for one in trust_faults(rig)))
        runtime.live(70)
        assert any(name == topics.telemetry("yard", "door") for name, _ in broker.sent)


def trust_faults(rig: Rig) -> list[str]:
    rig.forward(1.0)
    return [one for one in rig.agent.state().faults if one.startswith("trust")]


def test_another_fleet_s_root_is_a_fault(
    tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet
) -> None:
    other = make_yard(tmp_path / "other", time.time())
    fleet.release("2")
    fleet.ring()
    text = f'{config_text()}[updates]\nroot = "{other.place / "root.json"}"\nspread_s = 0\n'
    with Rig(tmp_path / "device", broker.link, parse_config(text, "vedette.toml")) as rig:
        runtime = PretendRuntime(rig)
        runtime.until(lambda: any("is not signed" in one for one in trust_faults(rig)))
        assert rig.agent.state().trusted is None


def test_two_pipelines_fetch_once(tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet) -> None:
    digest = fleet.release("2", os.urandom(1_000_000))
    more = '[pipeline.gate]\ncamera = "synthetic://64x48@30"\nmodel = "digits"\n'
    with rig_of(tmp_path, broker, fleet, more) as rig:
        runtime = PretendRuntime(rig)
        for name in ("lane", "gate"):
            rig.inbox.post(totals(1, 1.0, pipeline=name, formats=("tflite",), digest="c" * 64))
        runtime.turn()
        fleet.deploy(rule("2"), pipeline="gate")
        fleet.deploy(rule("2"), pipeline="lane")

        def both() -> bool:
            pipelines = rig.agent.state().pipelines.values()
            updates = [each.update for each in pipelines if each.update is not None]
            return sorted(one.phase for one in updates) == ["staged", "trial"]

        runtime.until(both)
        assert runtime.store.installed() == (digest,)
        assert fleet.published_bytes < 1_300_000


def test_a_mirror_where_there_is_no_broker(
    tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet
) -> None:
    digest = fleet.release("2", os.urandom(200_000))
    fleet.deploy(rule("2", SHORT))
    authority = Authority(tmp_path)
    with serving(authority.issue("127.0.0.1")) as mirror:
        for path in fleet.signer.served():
            mirror.files[path] = (fleet.yard.depot / path).read_bytes()
        more = f'mirror = "{mirror.url}"\nmirror_ca_file = "{authority.file}"\n'
        broker.stop()
        nobody = MemoryBroker()
        before = fleet.requests.total()
        with rig_of(tmp_path, nobody, fleet, more) as rig:
            nobody.cut("door")
            runtime = PretendRuntime(rig)
            runtime.live(30)
            runtime.until(lambda: runtime.digest == digest)
            assert phase(rig) == "trial"
        assert fleet.requests.total() == before
