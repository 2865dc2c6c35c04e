"""Home Assistant's discovery: the messages are as its documentation asks, and the templates give
what they should when they are rendered over real messages, as Home Assistant renders them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct
from msgspec.structs import replace

from agent.homeassistant import Discovery, kept, remembered
from wire import topics
from wire.config import Config, parse
from wire.happenings import ZoneSums
from wire.health import Health
from wire.histogram import Histogram
from wire.messages import (
    Losses,
    PipelineSettings,
    PipelineState,
    Presence,
    StageCounts,
    State,
    Telemetry,
    Update,
    Window,
    to_json,
)
from wire.results import Mask, Result, StageDurations, Thing

NOW_S = 1_800_000_000.0
TOML = """
fleet = "home"
device = "door"
[broker]
url = "mqtt://localhost"
[home_assistant]
discovery = true
[pipeline.front]
camera = "synthetic://64x48"
model = "/models/digits"
[pipeline.back-yard_2]
camera = "synthetic://64x48"
model = "/models/digits"
"""
CONFIG = parse(TOML, "vedette.toml")
OFF = parse(TOML.replace("discovery = true", ""), "vedette.toml")
# What the documentation of MQTT discovery allows at the root of a device's message.
AT_ROOT = {"device", "origin", "components", "availability", "qos"}
PER_PLATFORM = {  # beside what all entities may have
    "sensor": {"state_class", "unit_of_measurement", "suggested_display_precision"},
    "binary_sensor": set[str](),
    "update": set[str](),
}
FOR_ALL = {
    "platform",
    "unique_id",
    "name",
    "state_topic",
    "value_template",
    "device_class",
    "entity_category",
    "json_attributes_topic",
    "json_attributes_template",
}
DEVICE_CLASSES = {
    "sensor": {None, "temperature"},
    "binary_sensor": {"connectivity", "problem"},
    "update": {None},
}


def discovery(config: Config = CONFIG) -> Discovery:
    return Discovery(config, "Raspberry Pi 5 Model B", "1.2.3")


def announced(config: Config = CONFIG) -> dict[str, dict[str, object]]:
    return {topic: json.loads(payload) for topic, payload in discovery(config).messages()}


BOARD = "homeassistant/device/door/vedette_home/config"
FRONT = "homeassistant/device/door/vedette_home_front/config"
BACK = "homeassistant/device/door/vedette_home_back--yard-_2/config"


def components(topic: str = FRONT) -> dict[str, dict[str, str]]:
    return announced()[topic]["components"]  # type: ignore[return-value]


@dataclass(frozen=True)
class Seen:
    """What an entity takes from a message."""

    value: str
    attributes: dict[str, object] | None


def render(template: str, message: Struct, now_s: float = NOW_S) -> str:
    """As Home Assistant does: a sandbox, the payload as `value_json`, whitespace at the ends off.
    It would forgive names that are not there, with a warning in its log; here they are errors."""
    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    sandbox.globals["now"] = lambda: datetime.fromtimestamp(now_s, tz=timezone.utc)
    return sandbox.from_string(template).render(value_json=json.loads(to_json(message))).strip()


def seen(name: str, message: Struct, topic: str = FRONT, now_s: float = NOW_S) -> Seen:
    component = components(topic)[name]
    attributes = component.get("json_attributes_template")
    return Seen(
        render(component["value_template"], message, now_s),
        None if attributes is None else json.loads(render(attributes, message, now_s)),
    )


def state(phase: str = "serving", faults: tuple[str, ...] = ()) -> State:
    front = PipelineState(
        phase=phase,  # type: ignore[arg-type]
        model="digits",
        version="7",
        digest="d" * 64,
        engine="litert",
        camera="synthetic",
        absent=None,
        restarts=0,
        settings=PipelineSettings(),
    )
    return State(
        agent="1.2.3",
        board="Raspberry Pi 5 Model B",
        groups=(),
        boot="b",
        acknowledged_by="broker",
        telemetry_s=60.0,
        log_level="info",
        snapshots=False,
        faults=faults,
        config=None,
        pipelines={"front": front},
    )


def telemetry(health: Health, fps: float | None = 29.97, time_s: float = NOW_S) -> Telemetry:
    counts = Histogram().counts()
    window = Window(
        model="digits",
        version="7",
        digest="d" * 64,
        engine="litert",
        camera="synthetic",
        phase="serving",
        absent=None,
        seconds=60.0,
        frames=1800,
        fps=fps,
        losses=Losses(),
        stages=StageCounts(counts, counts, counts, counts, counts),
        restarts=0,
    )
    return Telemetry(
        spool="s",
        seq=1,
        oldest=1,
        boot="b",
        time=time_s,
        uptime_s=100.0,
        window_s=60.0,
        lost=0,
        pipelines={"front": window},
        health=health,
    )


def result(*labels: str) -> Result:
    found = tuple(Thing(label, 0, 0.9, (1.0, 2.0, 3.0, 4.0)) for label in labels)
    stages = StageDurations(1.0, 2.0, 3.0, 4.0, 10.0)
    return Result("front", "digits", "7", "d" * 64, 42, NOW_S, stages, found)


def test_zones_and_lines_are_sensors() -> None:
    places = """
[pipeline.front.tracking]
[pipeline.front.zone.porch_PLACE]
points = [[0, 0], [1, 0], [1, 1]]
[pipeline.front.line.gate]
points = [[0, 0.5], [1, 0.5]]
directions = ["in", "out"]
"""
    config = parse(TOML + places, "vedette.toml")
    made = announced(config)[FRONT]["components"]
    assert isinstance(made, dict)
    names = {"zone_porch-_PLACE": "3", "line_gate_in": "12", "line_gate_out": "0"}
    assert set(made) - set(components()) == set(names)
    zones, lines = {"porch_PLACE": ZoneSums(3, 5, 2)}, {"gate": {"in": 12, "out": 0}}
    counted = replace(result("person"), zones=zones, lines=lines)
    for name, shown in names.items():
        assert render(made[name]["value_template"], counted) == shown
        assert render(made[name]["value_template"], result("person")) == "None"
        assert made[name]["state_topic"] == topics.result("home", "door", "front")
    assert made["line_gate_in"]["state_class"] == "total_increasing"
    assert len({each["unique_id"] for each in made.values()}) == len(made)


def test_off_means_nothing_is_said() -> None:
    assert discovery(OFF).messages() == []
    assert Config(broker=CONFIG.broker).home_assistant.discovery is False


def test_one_message_for_the_board_and_one_for_each_pipeline() -> None:
    assert set(announced()) == {BOARD, FRONT, BACK}
    assert discovery().topics() == tuple(topic for topic, _ in discovery().messages())
    other = parse(TOML.replace("discovery = true", 'discovery = true\nprefix = "ha"'), "x")
    assert all(topic.startswith("ha/device/door/vedette_") for topic in announced(other))


def test_messages_have_what_the_documentation_requires() -> None:
    identities = []
    for payload in announced().values():
        assert set(payload) <= AT_ROOT
        device, origin = payload["device"], payload["origin"]
        assert device == {
            "identifiers": ["vedette/home/door"],
            "name": "door",
            "model": "Raspberry Pi 5 Model B",
            "sw_version": "1.2.3",
        }
        assert origin == {"name": "Vedette", "sw_version": "1.2.3"}
        assert payload["qos"] in (0, 1, 2)
        (availability,) = payload["availability"]  # type: ignore[misc]
        assert availability["topic"] == topics.presence("home", "door")
        for component in payload["components"].values():  # type: ignore[attr-defined]
            platform = component["platform"]
            assert set(component) <= FOR_ALL | PER_PLATFORM[platform]
            assert {"platform", "unique_id", "name", "state_topic"} <= set(component)
            assert component.get("device_class") in DEVICE_CLASSES[platform]
            identities.append(component["unique_id"])
    assert len(identities) == len(set(identities)) == 2 + 2 * 5


def test_they_are_small_enough_for_every_broker() -> None:
    assert max(len(payload) for _, payload in discovery().messages()) < 8000


def test_the_topics_are_those_that_we_write() -> None:
    kinds = {}
    for name, component in {**components(BOARD), **components(FRONT)}.items():
        told = topics.told(component["state_topic"])
        assert told is not None
        assert (told.fleet, told.device) == ("home", "door")
        assert told.part in ("", "front")
        kinds[name] = told.kind
    assert kinds == {
        "temperature": "telemetry",
        "problem": "state",
        "camera": "state",
        "model": "state",
        "fps": "telemetry",
        "found": "result",
        "count": "result",
    }


@pytest.mark.parametrize(("online", "word"), [(True, "online"), (False, "offline")])
def test_availability_is_our_presence(online: bool, word: str) -> None:
    (availability,) = announced()[FRONT]["availability"]  # type: ignore[misc]
    presence = Presence(online=online, boot="b", session="s", spool="p")
    assert render(availability["value_template"], presence) == word


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        ("serving", "ON"),
        ("no_camera", "OFF"),
        ("starting", "None"),
        ("ended", "None"),
        ("silent", "None"),
    ],
)
def test_the_camera_is_connected_or_not_or_unknown(phase: str, word: str) -> None:
    assert seen("camera", state(phase)).value == word


def test_a_pipeline_that_the_state_does_not_have_is_unknown() -> None:
    assert seen("camera", state(), BACK).value == "None"
    assert seen("model", state(), BACK).value == ""  # left as it was
    assert seen("fps", telemetry(Health()), BACK).value == ""


def test_the_model_that_runs_is_the_installed_version() -> None:
    assert json.loads(seen("model", state()).value) == {
        "installed_version": "7",
        "latest_version": "7",
        "title": "digits",
    }


def test_the_version_that_the_fleet_deploys_is_the_latest() -> None:
    said = state()
    update = Update("fetching", "digits", "8", "a" * 64, 3, NOW_S, 40)
    front = replace(said.pipelines["front"], update=update)
    said = replace(said, pipelines={"front": front})
    assert json.loads(seen("model", said).value) == {
        "installed_version": "7",
        "latest_version": "8",
        "title": "digits",
    }


def test_what_was_found_is_listed_and_counted() -> None:
    message = result("person", "dog", "person", "Person")
    found = seen("found", message)
    assert found.value == "person (2), dog, Person"
    assert seen("count", message).value == "4"
    assert found.attributes is not None
    assert found.attributes["found"][0] == {  # type: ignore[index]
        "label": "person",
        "index": 0,
        "score": 0.9,
        "box": [1.0, 2.0, 3.0, 4.0],
    }
    assert found.attributes["captured"] == NOW_S
    assert seen("found", result()).value == "nothing"
    assert seen("count", result()).value == "0"


def test_many_things_fit_into_what_home_assistant_takes() -> None:
    message = result(*(f"a thing with a rather long name {n}" for n in range(100)))
    found = seen("found", message)
    assert len(found.value) == 255
    assert found.attributes is not None
    assert len(found.attributes["found"]) == 20  # type: ignore[arg-type]
    assert seen("count", message).value == "100"


def test_masks_points_and_vectors_are_no_attributes() -> None:
    """They would fill what its recorder keeps."""
    large = Thing("cat", 1, 0.9, (1, 2, 3, 4), share=0.5, mask=Mask((90, 90), (1,) * 8100),
                  points={"nose": (1, 2, 0.5)}, length=2.0, values=(0.5,) * 900)  # fmt: skip
    found = seen("found", msgspec.structs.replace(result(), found=(large,) * 3))
    assert found.value == "cat (3)" and found.attributes is not None
    assert found.attributes["found"] == [
        {"label": "cat", "index": 1, "score": 0.9, "box": [1, 2, 3, 4], "share": 0.5, "length": 2}
    ] * 3  # fmt: skip


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), max_size=5))
def test_labels_come_from_strangers(labels: list[str]) -> None:
    found = seen("found", result(*labels))
    assert len(found.value) <= 255
    assert found.attributes is not None
    assert [thing["label"] for thing in found.attributes["found"]] == labels  # type: ignore[attr-defined]


def test_frame_rate_and_the_hottest_sensor() -> None:
    message = telemetry(Health(temperatures_c={"cpu-thermal": 48.5, "gpu-thermal": 51.25}))
    assert seen("fps", message).value == "29.97"
    assert seen("temperature", message, BOARD).value == "51.25"
    assert seen("fps", telemetry(Health(), fps=None)).value == "None"
    assert seen("temperature", telemetry(Health()), BOARD).value == "None"


@pytest.mark.parametrize(
    ("synchronised", "late_s", "is_shown"),
    [(True, 10, True), (True, 3600, False), (False, 3600, True), (None, 3600, True)],
)
def test_records_that_waited_in_the_spool_are_not_of_now(
    synchronised: bool | None, late_s: float, is_shown: bool
) -> None:
    health = Health(temperatures_c={"cpu": 50.0}, clock_synchronised=synchronised)
    message = telemetry(health, time_s=NOW_S - late_s)
    assert bool(seen("fps", message).value) is is_shown
    assert bool(seen("temperature", message, BOARD).value) is is_shown


def test_faults_are_a_problem() -> None:
    assert seen("problem", state(), BOARD) == Seen("OFF", {"faults": []})
    faults = ("front: the camera <0> isn't there",)
    assert seen("problem", state(faults=faults), BOARD) == Seen("ON", {"faults": list(faults)})


def test_what_is_gone_is_withdrawn() -> None:
    before = discovery().topics()
    assert discovery().withdrawn(before) == []
    assert discovery(OFF).withdrawn(before) == [(topic, b"") for topic in before]
    without = replace(CONFIG, pipeline={"front": CONFIG.pipeline["front"]})
    assert discovery(without).withdrawn(before) == [(BACK, b"")]
    renamed = replace(CONFIG, device="gate")
    assert discovery(renamed).withdrawn(before) == [(topic, b"") for topic in before]


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "vedette/home/device/door/state",
        "homeassistant/device/door/other_thing/config",
        "homeassistant/light/kitchen/config",
        "a/homeassistant/device/door/vedette_home/config",
        BOARD + "\n",
    ],
)
def test_what_is_not_ours_is_never_emptied(topic: str) -> None:
    assert discovery(OFF).withdrawn([topic]) == []


def test_topics_are_remembered() -> None:
    assert remembered(kept(discovery().topics())) == discovery().topics()
    for broken in (None, b"", b"{}", b"[1]", b"\xff", b'["a'):
        assert remembered(broken) == ()


NAMES = st.text("ab-_", min_size=1, max_size=4)


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_pipelines_share_a_topic(fleet: str, one: str, other_fleet: str, two: str) -> None:
    def last(fleet_name: str, pipeline: str) -> str:
        config = replace(CONFIG, fleet=fleet_name, pipeline={pipeline: CONFIG.pipeline["front"]})
        return discovery(config).topics()[1]

    assert (last(fleet, one) == last(other_fleet, two)) is ((fleet, one) == (other_fleet, two))
