"""Topics are built and taken apart, and nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import topics
from wire.topics import Told, told
from wire.troubles import Refused

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
WORDS = st.one_of(st.sampled_from(["vedette", "device", "to", "+", "#", "", "state"]), st.text())
TOPICS = st.lists(st.text("ab", max_size=2), min_size=1, max_size=5).map("/".join)


@given(NAMES, NAMES, NAMES)
def test_what_a_device_writes_comes_apart_again(fleet: str, device: str, part: str) -> None:
    for kind in ("presence", "state", "telemetry", "event", "reply"):
        topic: str = getattr(topics, kind)(fleet, device)
        assert told(topic) == Told(fleet, device, kind, "")
        assert topics.matches(topics.from_devices(fleet, kind), topic)
        assert topics.matches(topics.from_devices(fleet, kind, device), topic)
    for kind in ("result", "snapshot"):
        topic = getattr(topics, kind)(fleet, device, part)
        assert told(topic) == Told(fleet, device, kind, part)
        assert topics.matches(topics.from_devices(fleet, kind), topic)
        assert topic.startswith(f"vedette/{fleet}/device/{device}/")
        assert topic.count("/") <= 7


@given(NAMES, NAMES)
def test_what_goes_to_a_device_is_not_told_by_one(fleet: str, device: str) -> None:
    assert told(topics.command(fleet, device)) is None
    assert told(topics.ack(fleet, device)) is None


@given(st.lists(WORDS, max_size=8))
def test_no_topic_of_others_breaks_us(words: list[str]) -> None:
    found = told("/".join(words))
    assert found is None or found.kind in topics.KINDS


@pytest.mark.parametrize(
    "name", ["", "a/b", "+", "#", "a" * 65, "a b", "a\n", "ä", "a.b", "\0", "..", "$SYS"]
)
def test_names_that_may_not_stand_in_a_topic(name: str) -> None:
    for make in (topics.state, topics.command, topics.ack):
        with pytest.raises(Refused, match="is no name"):
            make("home", name)
        with pytest.raises(Refused, match="is no name"):
            make(name, "door")
    with pytest.raises(Refused, match="is no name"):
        topics.result("home", "door", name)


@pytest.mark.parametrize(
    ("pattern", "topic", "takes"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("+/b", "a/b", True),
        ("#", "a/b", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "b", False),
        ("a/b/#", "a", False),
        ("+/+/#", "a/b/c", True),
        ("a/+/c", "a//c", True),
    ],
)
def test_matches(pattern: str, topic: str, takes: bool) -> None:
    assert topics.matches(pattern, topic) is takes


@given(TOPICS)
def test_a_topic_takes_itself_and_its_wildcards(topic: str) -> None:
    assert topics.matches(topic, topic)
    assert topics.matches("#", topic)
    assert topics.matches(f"{topic}/#", topic)
    head, _, _ = topic.rpartition("/")
    assert topics.matches(f"{head}/+" if "/" in topic else "+", topic)


def test_a_group_shares_a_pattern() -> None:
    pattern = topics.from_devices("yard", "event")
    assert topics.shared("readers-1", pattern) == f"$share/readers-1/{pattern}"
    with pytest.raises(Refused):
        topics.shared("a/b", pattern)


def test_requests_are_spread_by_what_is_asked_for() -> None:
    keys = [f"{number:064x}" for number in range(64)]
    asked = topics.request("yard", "door")
    spread = {key: topics.sharded(asked, key) for key in keys}
    assert len(set(spread.values())) == topics.SHARDS
    for key, topic in spread.items():
        assert topics.matches(topics.requests("yard", topics.shard_of(key)), topic)
        assert topics.matches(topics.from_devices("yard", "request"), topic)
        assert topics.sharded(topic, key) == topic
    wants = topics.offer("yard", "a1", "want")
    assert topics.sharded(wants, keys[1]) == wants
