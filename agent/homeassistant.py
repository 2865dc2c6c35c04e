"""Home Assistant's MQTT discovery: which entities of ours it should make, out of which topics.

One message for the board and one for each pipeline, all of one device in Home Assistant, so that a
pipeline that is gone is withdrawn by an empty message on its own topic. The entities read what is
published anyway; the templates run in Home Assistant (Jinja). A template that renders "None" makes
the entity unknown, one that renders nothing leaves it as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from wire import topics
from wire.config import Config
from wire.messages import to_json
from wire.unreadable import UNREADABLE

LONGEST_STATE = 255  # characters; Home Assistant refuses more
MOST_THINGS = 20  # in the attributes; its recorder drops what is larger than 16 KiB
# Records that waited in the spool come late. They tell of then, not of now.
STALE_S = 300

_OURS = re.compile(
    r"^[A-Za-z0-9_-]{1,64}/device/[A-Za-z0-9_-]{1,64}/vedette_[A-Za-z0-9_-]+/config\Z"
)

# What a template sees of a message. NAME is the pipeline's.
ONLINE = "{{ 'online' if value_json.online else 'offline' }}"
FAULTY = "{{ 'ON' if value_json.faults else 'OFF' }}"
FAULTS = "{{ {'faults': value_json.faults} | tojson }}"
CAMERA = (
    "{% set one = value_json.pipelines.get('NAME') %}"
    "{{ {'serving': 'ON', 'no_camera': 'OFF'}.get(one.phase) if one else None }}"
)
MODEL = (
    "{% set one = value_json.pipelines.get('NAME') %}{% if one %}"
    "{{ {'installed_version': one.version,"
    " 'latest_version': (one.get('update') or one).version, 'title': one.model}"
    " | tojson }}{% endif %}"
)
FOUND = (
    "{% set labels = value_json.found | map(attribute='label') | list %}{% set line %}"
    "{% for label in labels | unique(case_sensitive=true) %}{{ label }}"
    "{{ ' (%d)' % labels.count(label) if labels.count(label) > 1 }}{{ ', ' if not loop.last }}"
    "{% endfor %}{% endset %}"
    f"{{{{ (line | string)[:{LONGEST_STATE}] or 'nothing' }}}}"
)
# without masks, points and vectors: the recorder drops attributes of more than 16 KiB
FOUND_MORE = (
    "{% set short = namespace(found=[]) %}"
    f"{{% for one in value_json.found[:{MOST_THINGS}] %}}"
    "{% set short.found = short.found + [dict(one.items()"
    " | rejectattr(0, 'in', ['mask', 'points', 'values']))] %}{% endfor %}"
    "{{ {'model': value_json.model, 'version': value_json.version, 'frame': value_json.frame,"
    " 'captured': value_json.captured, 'found': short.found} | tojson }}"
)
COUNT = "{{ value_json.found | length }}"
IN_ZONE = "{{ value_json.get('zones', {}).get('%s', {}).get('count') }}"
CROSSED = "{{ value_json.get('lines', {}).get('%s', {}).get('%s') }}"
UNLESS_STALE = (
    "{% if not (value_json.health.get('clock_synchronised') is true"
    f" and now().timestamp() - value_json.time > {STALE_S}) %}}"
)
FPS = (
    UNLESS_STALE + "{% set one = value_json.pipelines.get('NAME') %}"
    "{% if one %}{{ one.fps }}{% endif %}{% endif %}"
)
HOTTEST = (
    UNLESS_STALE + "{% set sensors = value_json.health.get('temperatures_c') %}"
    "{{ sensors.values() | max if sensors else None }}{% endif %}"
)


class Component(Struct, frozen=True, omit_defaults=True):
    """One entity, in the words of Home Assistant's documentation."""

    platform: Literal["binary_sensor", "sensor", "update"]
    unique_id: str
    name: str
    state_topic: str
    value_template: str
    device_class: str | None = None
    entity_category: Literal["diagnostic"] | None = None
    state_class: Literal["measurement", "total_increasing"] | None = None
    unit_of_measurement: str | None = None
    suggested_display_precision: int | None = None
    json_attributes_topic: str | None = None
    json_attributes_template: str | None = None


class Availability(Struct, frozen=True):
    topic: str
    value_template: str


class Hardware(Struct, frozen=True):
    """The device, as Home Assistant shows it."""

    identifiers: tuple[str, ...]
    name: str
    model: str
    sw_version: str


class Origin(Struct, frozen=True):
    """Who announces."""

    name: str
    sw_version: str


class Announcement(Struct, frozen=True):
    """One discovery message. Unknown keys beside these would be refused."""

    device: Hardware
    origin: Origin
    availability: tuple[Availability, ...]
    components: dict[str, Component]
    qos: int = 1


class Discovery:
    """What to publish, retained, so that Home Assistant shows this device."""

    def __init__(self, config: Config, board_name: str, agent_version: str) -> None:
        self._config = config
        self._board_name = board_name
        self._version = agent_version

    def messages(self) -> list[tuple[str, bytes]]:
        """Topics and retained payloads; none while discovery is off."""
        if not self._config.home_assistant.discovery:
            return []
        said = [(self._topic(), self._announcement(self._board()))]
        for name in sorted(self._config.pipeline):
            said.append((self._topic(name), self._announcement(self._pipeline(name))))
        return [(topic, to_json(announcement)) for topic, announcement in said]

    def topics(self) -> tuple[str, ...]:
        """Of all messages. To be remembered, so that they can be withdrawn one day."""
        return tuple(topic for topic, _ in self.messages())

    def withdrawn(self, before: Sequence[str]) -> list[tuple[str, bytes]]:
        """Empty payloads for those topics that were announced before and are no longer. What is
        none of our topics is left alone."""
        now = set(self.topics())
        return [(topic, b"") for topic in before if topic not in now and _OURS.match(topic)]

    def _topic(self, *pipeline: str) -> str:
        """The device's name is a level of its own, so that a broker can restrict a device to it."""
        prefix, device = self._config.home_assistant.prefix, topics.checked(self._config.device)
        identity = _joined("vedette", self._config.fleet, *pipeline)
        return "/".join((prefix, "device", device, identity, "config"))

    def _announcement(self, components: dict[str, Component]) -> Announcement:
        fleet, device = self._config.fleet, self._config.device
        return Announcement(
            Hardware((self._unique(),), device, self._board_name, self._version),
            Origin("Vedette", self._version),
            (Availability(topics.presence(fleet, device), ONLINE),),
            components,
        )

    def _unique(self, *rest: str) -> str:
        return "/".join(("vedette", self._config.fleet, self._config.device, *rest))

    def _board(self) -> dict[str, Component]:
        fleet, device = self._config.fleet, self._config.device
        state = topics.state(fleet, device)
        return {
            "temperature": Component(
                "sensor",
                self._unique("temperature"),
                "Temperature",
                topics.telemetry(fleet, device),
                HOTTEST,
                device_class="temperature",
                entity_category="diagnostic",
                state_class="measurement",
                unit_of_measurement="°C",
                suggested_display_precision=1,
            ),
            "problem": Component(
                "binary_sensor",
                self._unique("problem"),
                "Problem",
                state,
                FAULTY,
                device_class="problem",
                entity_category="diagnostic",
                json_attributes_topic=state,
                json_attributes_template=FAULTS,
            ),
        }

    def _pipeline(self, name: str) -> dict[str, Component]:
        state = topics.state(self._config.fleet, self._config.device)
        return {
            **self._results(name),
            **self._places(name),
            "camera": Component(
                "binary_sensor",
                self._unique("pipeline", name, "camera"),
                f"{name} camera",
                state,
                CAMERA.replace("NAME", name),
                device_class="connectivity",
            ),
            "fps": Component(
                "sensor",
                self._unique("pipeline", name, "fps"),
                f"{name} frame rate",
                topics.telemetry(self._config.fleet, self._config.device),
                FPS.replace("NAME", name),
                entity_category="diagnostic",
                state_class="measurement",
                unit_of_measurement="fps",
                suggested_display_precision=1,
            ),
            "model": Component(
                "update",
                self._unique("pipeline", name, "model"),
                f"{name} model",
                state,
                MODEL.replace("NAME", name),
                entity_category="diagnostic",
            ),
        }

    def _results(self, name: str) -> dict[str, Component]:
        result = topics.result(self._config.fleet, self._config.device, name)
        return {
            "found": Component(
                "sensor",
                self._unique("pipeline", name, "found"),
                f"{name} found",
                result,
                FOUND,
                json_attributes_topic=result,
                json_attributes_template=FOUND_MORE,
            ),
            "count": Component(
                "sensor",
                self._unique("pipeline", name, "count"),
                f"{name} count",
                result,
                COUNT,
                state_class="measurement",
            ),
        }

    def _places(self, name: str) -> dict[str, Component]:
        """How many are in each zone, and how many crossed each line since the runtime began."""
        result = topics.result(self._config.fleet, self._config.device, name)
        made = {}
        for zone in self._config.pipeline[name].zone:
            made[_joined("zone", zone)] = Component(
                "sensor",
                self._unique("pipeline", name, "zone", zone),
                f"{name} {zone}",
                result,
                IN_ZONE % zone,
                state_class="measurement",
            )
        for line, wanted in self._config.pipeline[name].line.items():
            for direction in wanted.directions:
                made[_joined("line", line, direction)] = Component(
                    "sensor",
                    self._unique("pipeline", name, "line", line, direction),
                    f"{name} {line} {direction}",
                    result,
                    CROSSED % (line, direction),
                    state_class="total_increasing",
                )
        return made


def _joined(*names: str) -> str:
    """One name of several, made so that no other names give the same."""
    return "_".join(name.replace("-", "--").replace("_", "-_") for name in names)


def kept(topics_before: Sequence[str]) -> bytes:
    """The announced topics, to be written down."""
    return msgspec.json.encode(topics_before)


def remembered(content: bytes | None) -> tuple[str, ...]:
    """What was written down; nothing, if that cannot be read."""
    try:
        return msgspec.json.decode(content or b"[]", type=tuple[str, ...])
    except UNREADABLE:
        return ()
