"""NAME.vedette: what is good comes back as it was; what is not is refused in one line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from wire.enrolment import LARGEST, Enrolment, parse, read, to_file
from wire.troubles import Refused, Unavailable

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
ROOT = '{"signatures": [], "signed": {"_type": "root"}}'
GOOD = Enrolment(
    fleet="yard",
    device="door",
    groups=("a", "b"),
    url="mqtts://broker.example",
    ca_pem=PEM,
    certificate_pem=PEM,
    key_pem=KEY,
    root=ROOT,
    command_keys=("ab" * 32,),
    acknowledged_by="registry",
    snapshot=True,
)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "door.vedette").write_bytes(to_file(GOOD))
    assert read(tmp_path / "door.vedette") == GOOD
    text = to_file(GOOD).decode()
    assert text.startswith('{\n  "form": 1,\n') and text.endswith("\n}\n")
    bare = Enrolment(fleet="yard", device="door", url="mqtt://x")
    assert parse(to_file(bare), "x") == bare


def changed(**values: object) -> bytes:
    tables: dict[str, Any] = json.loads(to_file(GOOD))
    for key, value in values.items():
        tables[key] = value
    return json.dumps(tables).encode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"form": 2}, "form"),
        ({"device": "a/b"}, "device"),
        ({"device": "../../etc"}, "device"),
        ({"device": ""}, "device"),
        ({"fleet": "+"}, "fleet"),
        ({"groups": ["#"]}, "groups"),
        ({"groups": ["a"] * 65}, "groups"),
        ({"role": "king"}, "role"),
        ({"colour": "red"}, "colour"),
        ({"url": "http://x"}, "http"),
        ({"url": "mqtts://me:secret@x"}, "user name"),
        ({"url": "mqtt://x"}, "mqtt:// uses none"),
        ({"ca_pem": "hello"}, "ca_pem is no certificate"),
        ({"ca_pem": KEY}, "ca_pem is no certificate"),
        ({"certificate_pem": PEM + "\x00"}, "certificate_pem is no certificate"),
        ({"certificate_pem": PEM.replace("MIIB", "!!!!")}, "certificate_pem is no certificate"),
        ({"certificate_pem": PEM.replace("MIIB", "AAAA")}, "certificate_pem is no certificate"),
        ({"key_pem": PEM}, "key_pem is no private key"),
        ({"key_pem": None}, "only of use together"),
        ({"certificate_pem": None}, "only of use together"),
        ({"username": "me"}, "only of use together"),
        ({"password": "me"}, "only of use together"),
        ({"username": "a\nb", "password": "x"}, "username holds a character"),
        ({"username": "a", "password": "x\ny"}, "password holds a character"),
        ({"command_keys": ["zz"]}, "command_keys"),
        ({"command_keys": ["00" * 32]}, "anybody can sign"),
        ({"command_keys": ["ab" * 32] * 2}, "twice"),
        ({"root": "{}"}, "no root metadata"),
        ({"root": "[" * 10_000}, "no root metadata"),
        ({"root": '{"signed": {"_type": "targets"}}'}, "no root metadata"),
        ({"root": "x" * 65_537}, "root"),
        ({"acknowledged_by": "me"}, "acknowledged_by"),
        ({"snapshot": "yes"}, "snapshot"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, object], words: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(changed(**values), "door.vedette")
    told = str(caught.value)
    assert words in told and told.startswith("door.vedette: ") and told.isprintable()
    assert told.endswith("vedette fleet enroll NAME")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        to_file(GOOD)[:-20],
        b"[" * 100_000,
        b" " * (LARGEST + 1),
        to_file(GOOD).replace(b'"form": 1', b'"form": 1, "form": 1'),
        to_file(GOOD).replace(b'"_type', b"\\ud800"),
        b'{"form": 1e400}',
    ],
)
def test_what_is_no_such_file(content: bytes) -> None:
    with pytest.raises(Refused, match="make one with vedette fleet enroll NAME"):
        parse(content, "door.vedette")


@given(st.binary(max_size=300))
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        parse(content, "x")


@settings(deadline=None)
@given(st.integers(0, len(to_file(GOOD)) - 1), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_another_good_file(at: int, value: int) -> None:
    content = bytearray(to_file(GOOD))
    content[at] = value
    try:
        told = parse(bytes(content), "x")
    except Refused as refused:
        assert str(refused).isprintable()
    else:
        assert parse(to_file(told), "x") == told


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        read(tmp_path / "nothing")
    with pytest.raises(Unavailable, match="cannot be read"):
        read(tmp_path)


def test_many_keys_and_the_last_of_them_twice() -> None:
    """Counting must not take the square of them: minutes, in a file that is none."""
    pairs = ",".join(f'"{n:x}":1' for n in range(20_000))
    begin_s = time.process_time()
    with pytest.raises(Refused, match="4e1f is there twice"):
        parse(f'{{{pairs},"4e1f":1}}'.encode(), "x")
    # quadratic: some seconds at least, as 20,000 names are counted 20,000 times
    assert time.process_time() - begin_s < 1.0


def test_a_password_is_enough() -> None:
    told = replace(GOOD, certificate_pem=None, key_pem=None, username="door", password="x" * 32)
    assert parse(to_file(told), "x") == told
