"""Commands on the wire: what was signed is what is read, and nothing else passes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire import orders
from wire.orders import Bench, Command, Restart, Set, Snapshot, Status, Watch
from wire.signing import SigningKey, make_key
from wire.troubles import Refused


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return make_key(tmp_path_factory.mktemp("keys") / "ops.pem")


def command(order: orders.Order) -> Command:
    return Command("home", "door-cam", "a1", 1_800_000_000, 1_800_000_060, order)


EVERY_ORDER = [
    Status(),
    Snapshot("door"),
    Snapshot(),
    Restart("door"),
    Watch(60),
    Set("door", "every", 5.0, 0.25, 30.0, "debug"),
    Set(reset=("min_score", "log_level")),
    Bench("door", 2000),
]


@pytest.mark.parametrize("order", EVERY_ORDER, ids=repr)
def test_what_was_signed_is_what_is_read(key: SigningKey, order: orders.Order) -> None:
    envelope = orders.opened(orders.signed(command(order), key))
    assert orders.signer_of(envelope, ["0" * 64, key.public]) == key.public
    assert orders.command_of(orders.claim_of(envelope)) == command(order)


def test_the_form_on_the_wire_is_the_documented_one(key: SigningKey) -> None:
    """A peer in another language signs exactly this."""
    outer = json.loads(orders.signed(command(Watch(7)), key))
    assert sorted(outer) == ["body", "key", "signature"]
    assert outer["key"] == key.public[:16]
    assert json.loads(outer["body"]) == {
        "fleet": "home",
        "device": "door-cam",
        "id": "a1",
        "issued": 1_800_000_000,
        "expires": 1_800_000_060,
        "order": {"verb": "watch", "minutes": 7},
    }
    signature = base64.b64decode(outer["signature"])
    assert signature == key.sign(b"vedette command 1\n" + outer["body"].encode())


def test_defaults_and_newer_fields(key: SigningKey) -> None:
    assert orders.order_of(b'{"verb":"watch"}') == Watch(5)
    assert orders.order_of(b'{"verb":"bench"}') == Bench(None, 300)
    body = json.loads(msgspec.json.encode(command(Status()))) | {"mood": "good"}
    envelope = orders.opened(json.dumps({"body": json.dumps(body), "colour": 1}).encode())
    assert orders.command_of(orders.claim_of(envelope)) == command(Status())


def test_a_signature_holds_for_this_text_and_purpose_alone(key: SigningKey) -> None:
    payload = json.loads(orders.signed(command(Status()), key))
    body, public = payload["body"], [key.public]

    def signer(**changes: str) -> str | None:
        return orders.signer_of(orders.opened(json.dumps(payload | changes).encode()), public)

    assert signer() == key.public
    assert signer(body=body + " ") is None
    assert signer(body=body.replace("door-cam", "roof-cam")) is None
    bare = base64.b64encode(key.sign(body.encode())).decode()
    assert signer(signature=bare) is None, "signed as something else than a command"
    assert signer(signature="") is None
    assert signer(signature="!" + payload["signature"]) is None
    assert signer(signature="é") is None
    assert signer(key="") is None
    assert signer(key="0" * 16) is None


def test_a_true_command_that_is_too_long_is_not_read(key: SigningKey) -> None:
    payload = orders.signed(command(Status()), key)
    assert orders.opened(payload + b" " * (orders.LARGEST - len(payload)))
    with pytest.raises(Refused, match="too many for a command"):
        orders.opened(payload + b" " * orders.LARGEST)


def test_the_hint_of_another_key_does_not_help(tmp_path: Path, key: SigningKey) -> None:
    thief = make_key(tmp_path / "thief.pem")
    payload = json.loads(orders.signed(command(Status()), thief))
    payload["key"] = key.public[:16]
    envelope = orders.opened(json.dumps(payload).encode())
    assert orders.signer_of(envelope, [key.public]) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '{"verb":"fly"}',
            "verb: 'fly' is not possible: write status, snapshot, restart, watch, set or bench",
        ),
        ("{}", "missing: verb"),
        ('{"verb":"watch","minutes":61}', "minutes: write a whole number from 1 to 60"),
        ('{"verb":"watch","minutes":0}', "minutes: write a whole number from 1 to 60"),
        ('{"verb":"watch","hours":1}', "there is no such argument: hours"),
        ('{"verb":"bench","frames":49}', "frames: write a whole number from 50 to 2000"),
        ('{"verb":"bench","frames":2001}', "frames: write a whole number from 50 to 2000"),
        (
            '{"verb":"set","telemetry_period_s":9.9}',
            "telemetry_period_s: write a number from 10 to 3600",
        ),
        (
            '{"verb":"set","telemetry_period_s":3601}',
            "telemetry_period_s: write a number from 10 to 3600",
        ),
        ('{"verb":"set","results_per_s":1e999}', "results_per_s: write a number from 0.01 to 30"),
        ('{"verb":"set","min_score":-0.1}', "min_score: write a number from 0 to 1"),
        (
            '{"verb":"set","log_level":"loud"}',
            "log_level: 'loud' is not possible: write debug, info, warning or error",
        ),
        (
            '{"verb":"set","reset":["name"]}',
            "reset.*: 'name' is not possible: write results, results_per_s",
        ),
        ('{"verb":"restart","pipeline":"a/b"}', "pipeline: expected 1 to 64 characters"),
        ('{"verb":"restart","pipeline":""}', "pipeline: expected 1 to 64 characters"),
    ],
)
def test_what_is_not_possible_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        orders.order_of(text.encode())


def test_the_pipeline_may_be_left_out_where_there_is_one() -> None:
    assert orders.pipeline_of(Restart(), {"door"}) == "door"
    assert orders.pipeline_of(Restart("door"), {"door", "roof"}) == "door"
    with pytest.raises(Refused, match="say which pipeline: this device has door, roof"):
        orders.pipeline_of(Bench(), {"roof", "door"})
    with pytest.raises(Refused, match="there is no pipeline gate: this device has door"):
        orders.pipeline_of(Snapshot("gate"), {"door"})
    with pytest.raises(Refused, match="none"):
        orders.pipeline_of(Set(), {})


def test_a_device_of_many_pipelines_names_some_of_them() -> None:
    many = {f"lane{n:03}" for n in range(300)}
    for order in (Bench(), Bench("gate")):
        with pytest.raises(Refused, match="this device has lane000, lane001, ") as refused:
            orders.pipeline_of(order, many)
        assert str(refused.value).endswith(", lane009 and 290 more")


def read_wholly(payload: bytes, key: SigningKey) -> Command:
    envelope = orders.opened(payload)
    orders.signer_of(envelope, [key.public, "0" * 64])
    return orders.command_of(orders.claim_of(envelope))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["body", "key", "signature", "verb", "order", "id", "fleet"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(lambda each: json.dumps(each).encode()))
@example(b'{"body":"' + b"[" * 5000 + b'"}')
@example(b"[" * 16_000)
@example(b'{"body":"' + b'{\\"order\\":' * 1500 + b'"}')
@example(b'{"body":"\\ud800","key":"","signature":""}')
@example(b" " * (orders.LARGEST + 1))
@example(b"")
def test_no_bytes_raise_anything_but_refused(key: SigningKey, payload: bytes) -> None:
    with pytest.raises(Refused):
        read_wholly(payload, key)


@given(JSON, st.sampled_from(["fleet", "device", "id", "issued", "expires", "order"]))
def test_no_field_raises_anything_but_refused(key: SigningKey, value: object, field: str) -> None:
    body = json.loads(msgspec.json.encode(command(Status()))) | {field: value}
    try:
        read_wholly(json.dumps({"body": json.dumps(body), "key": key.public[:16]}).encode(), key)
    except Refused as trouble:
        assert len(str(trouble)) < 2000


@given(st.data())
def test_a_flipped_bit_is_refused_or_not_believed(key: SigningKey, data: st.DataObject) -> None:
    payload = bytearray(orders.signed(command(Watch(7)), key))
    place = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[place // 8] ^= 1 << place % 8
    try:
        envelope = orders.opened(bytes(payload))
    except Refused:
        return
    if orders.signer_of(envelope, [key.public]):
        assert orders.command_of(orders.claim_of(envelope)) == command(Watch(7))
