"""docs/wire.md shows what really travels: every example parses, and says nothing that we do not."""

from __future__ import annotations

import hashlib
import io
import json
import re
from typing import get_args

import pytest
from msgspec import Struct

from agent.pace import MOST_RETRY_S, RECORDS_PER_S, RETRY_S
from agent.recorder import MOST_BYTES
from agent.seen import SKEW_S
from fleet.devices import Fleet
from fleet.screens import JsonLines
from tests.laws.sources import ROOT
from wire import orders, topics
from wire.block.blocks import BlockRequest
from wire.deployments import Rule, place_in_line
from wire.histogram import SCALE, Counts
from wire.link import Received
from wire.messages import (
    LARGEST_SNAPSHOT,
    Ack,
    Event,
    Presence,
    Reply,
    State,
    Telemetry,
    parse,
    to_json,
)
from wire.offers import DOMAIN, Offer, OfferAnswer, Wish
from wire.results import Result

TEXT = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
EXAMPLES = dict(
    re.findall(r"^Topic `(\S+)`:\n\n```json\n(.*?)\n```", TEXT, re.DOTALL | re.MULTILINE)
)
OFFER = "5f0c6d2b9a417e83"
STRUCTS: dict[str, type[Struct]] = {
    topics.presence("home", "door"): Presence,
    topics.state("home", "door"): State,
    topics.telemetry("home", "door"): Telemetry,
    topics.event("home", "door"): Event,
    topics.result("home", "door", "lane"): Result,
    topics.reply("home", "door"): Reply,
    topics.ack("home", "door"): Ack,
    topics.request("home", "door", 4): BlockRequest,
    topics.offer("home", OFFER, "offer"): Offer,
    topics.offer("home", OFFER, "answer"): OfferAnswer,
}


def test_there_is_an_example_of_everything() -> None:
    assert set(EXAMPLES) == {*STRUCTS, topics.command("home", "door")}
    assert TEXT.count("```json") == len(EXAMPLES)


@pytest.mark.parametrize("topic", STRUCTS)
def test_an_example_is_what_is_sent(topic: str) -> None:
    message = parse(EXAMPLES[topic].encode(), STRUCTS[topic])
    sent, shown = json.loads(to_json(message)), json.loads(EXAMPLES[topic])
    for where, value in leaves(shown):
        assert (where, value) in leaves(sent) or where.endswith(".results"), where
    assert {where for where, _ in leaves(sent)} <= {where for where, _ in leaves(shown)} | {
        ".pipelines.lane.settings.results_per_s"
    }


def leaves(value: object, where: str = "") -> list[tuple[str, object]]:
    """(path, value) of everything that is no object."""
    if not isinstance(value, dict):
        return [(where, value)]
    return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{where}.{key}")]


def test_the_telemetry_example_adds_up() -> None:
    record = parse(EXAMPLES[topics.telemetry("home", "door")].encode(), Telemetry)
    (window,) = record.pipelines.values()
    for stage in window.stages.__struct_fields__:
        counts: Counts = getattr(window.stages, stage)
        assert sum(counts.counts) == counts.count == window.frames
        for moment, bucket in ((counts.minimum_us, 0), (counts.maximum_us, -1)):
            assert moment is not None
            place = range(counts.offset, counts.offset + len(counts.counts))[bucket]
            assert 2 ** (place / 16) <= moment <= 2 ** ((place + 1) / 16), "as the text says"


def test_the_signed_example_is_signed() -> None:
    envelope = orders.opened(EXAMPLES[topics.command("home", "door")].encode())
    (key,) = re.findall(r"^`([0-9a-f]{64})`", TEXT, re.MULTILINE)
    assert orders.signer_of(envelope, [key]) == key
    command = orders.command_of(orders.claim_of(envelope))
    assert command.order == orders.Watch(5)
    reply = parse(EXAMPLES[topics.reply("home", "door")].encode(), Reply)
    assert reply.id == command.id
    assert repr(orders.DOMAIN.decode())[1:-1] in TEXT


def test_every_order_of_the_table_is_one() -> None:
    rows = re.findall(r'^\| `(\{"verb".*?\})` \|', TEXT, re.MULTILINE)
    verbs = [orders.order_of(row.encode()).__struct_config__.tag for row in rows]
    assert set(verbs) == set(orders.VERBS)


def test_every_topic_of_the_table_is_one_of_ours() -> None:
    rows = re.findall(r"^\| `(vedette/FLEET/\S+)` \| (\d) \| (yes|no) \|", TEXT, re.MULTILINE)
    kinds = [(*row[0].split("/"), "")[4] for row in rows]
    others = [kind for kind in topics.KINDS if kind != "request"]
    assert kinds == [*others, "command", "ack", "request", "", "NUMBER", "PART"]
    for topic, _, _ in rows:
        named = topic.replace("FLEET", "home").replace("DEVICE", "door").replace("NUMBER", "7")
        if "/device/" in topic:
            assert topics.told(named) is not None
        elif "/block/" in topic:
            assert topics.block_place(named) == topics.BlockPlace("KEY", 7)
    assert f"`{topics.bell('FLEET')}`" in TEXT


def test_the_parts_of_an_offer_are_all_there() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:operator|depot) \|", TEXT, re.MULTILINE)
    assert set(rows) == set(get_args(topics.OfferPart))


def test_the_wish_is_one() -> None:
    (shown,) = re.findall(r'^(\{"fleet":"home","id".*?\}\]\}\})$', TEXT, re.DOTALL | re.MULTILINE)
    wish = parse(shown.encode(), Wish)
    assert wish.deployment.rules[0] == Rule("digits", "2", wave=0.1, canaries=("door",))
    assert repr(DOMAIN.decode())[1:-1] in TEXT


def test_the_place_in_line_is_as_the_text_says() -> None:
    place = int.from_bytes(hashlib.sha256(b"door\ndigits\n2").digest()[:8], "big") / 2**64
    assert place_in_line("door", Rule("digits", "2")) == place


def test_the_line_of_watch_is_what_it_writes() -> None:
    topic = topics.presence("home", "door")
    news = Fleet("home").hear(Received(topic, EXAMPLES[topic].encode(), True), 1795247630.911)
    assert news is not None
    file = io.StringIO()
    JsonLines(file).tell(news, 1795247630.911)
    (shown,) = re.findall(r'^\{"device":.*$', TEXT, re.MULTILINE)
    assert file.getvalue().startswith(shown.removesuffix("{...}}"))


@pytest.mark.parametrize(
    "said",
    [
        f"{LARGEST_SNAPSHOT:,} bytes",
        f"{MOST_BYTES:,} bytes",
        f"at scale {SCALE}:",
        f"at most {RECORDS_PER_S} records a second",
        f"after {RETRY_S:.0f} s at first",
        f"{MOST_RETRY_S / 60:.0f} minutes at most",
        f"more than {SKEW_S / 60:.0f} minutes in its future",
        f"first {orders.HINT_DIGITS} hex digits",
    ],
)
def test_the_numbers_in_the_text_are_those_in_force(said: str) -> None:
    assert said in TEXT.replace("\n", " ")
    assert orders.LONGEST_LIFETIME_S == 3600 and "at most an hour after" in TEXT
