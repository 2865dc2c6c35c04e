"""Updates of models in a whole agent: real signatures, blocks, store and spool; no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.recorder import UPDATES_NOTE
from agent.update_log import Kept
from tests.pretend_runtime import PretendRuntime
from tests.rig import Rig, SetClock, config_text, totals
from tests.small_fleet import SmallFleet, rule
from wire import topics
from wire.config import parse as parse_config
from wire.deployments import Gates
from wire.local import CheckModel, LoadModel
from wire.memory_link import MemoryBroker
from wire.messages import Event, State, Update, parse

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
    import time

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
