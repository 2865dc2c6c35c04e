"""No secret leaves in a bundle, however it is written and wherever it stands; and it is small."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.support.bundle import MOST, MOST_OF_PART, Packed, pack, write
from runtime.support.known import known
from runtime.support.masking import Mask
from runtime.support.sources import sources
from tests.examined import Place
from wire.folders import Folders
from wire.troubles import Unavailable

# what a password may be: one line, that is not the same as nothing
PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=6
)
WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=20)


def forms(secret: str, user: str) -> list[str]:
    """How programs write it, in journals and elsewhere."""
    content = secret.encode()
    return [
        secret, quote(secret), quote(secret, safe=""), json.dumps(secret), repr(secret),
        json.dumps({"text": secret}, ensure_ascii=False), content.hex(), repr(content),
        base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode(),
        base64.b64encode(f"{user}:{secret}".encode()).decode(),
    ]  # fmt: skip


def unpacked(packed: Packed) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed.content), mode="r:gz") as tar:
        return {
            entry.name: file.read().decode()
            for entry in tar
            if (file := tar.extractfile(entry)) is not None
        }


def leaks(text: str, secret: str, user: str = "door") -> list[str]:
    return [form for form in forms(secret, user) if form in text]


@settings(max_examples=300)
@given(PASSWORDS, st.lists(WORDS, max_size=3))
def test_no_known_secret_stays_in_any_form(secret: str, between: list[str]) -> None:
    mask = Mask({secret}, ["door"])
    glue = [*between, " ", "\n", ""]
    for form in forms(secret, "door"):
        for word in glue:
            assert leaks(mask.clean(f"{word}{form}{word}{form}"), secret) == []


@settings(max_examples=200)
@given(PASSWORDS, PASSWORDS)
def test_two_that_overlap(one: str, other: str) -> None:
    mask = Mask({one, other})
    for text in (one + other, other + one, one[:3] + other + one[3:], f"{one} {other}"):
        cleaned = mask.clean(text)
        assert one not in cleaned and other not in cleaned


@given(PASSWORDS)
def test_a_secret_that_is_like_what_takes_its_place(secret: str) -> None:
    for word in ("[hidden]", "hidden", "[removed]", "[******]", "left out", secret):
        assert word not in Mask({word}).clean(f"{word} {word}{word}")


@pytest.mark.parametrize("secret", ["pi", "x", "1234", "$!"])
def test_a_short_one_is_hidden_where_it_stands_alone(secret: str) -> None:
    mask = Mask({secret})
    cleaned = mask.clean(f"said {secret}, '{secret}' and a{secret}b")
    assert cleaned.count(secret) == cleaned.count(f"a{secret}b")


@pytest.mark.parametrize(
    "line",
    [
        "rtsp://admin:hunter2x@10.0.0.9/stream",
        "fetching https://u:hunter2x@models.example/yard failed",
        "mqtt://:hunter2x@broker",
        "password = hunter2x",
        'camera_password: "hunter2x"',
        "{'api_key': 'hunter2x', 'a': 1}",
        '{"token":"hunter2x"}',
        "GET /snap?user=a&token=hunter2x&b=c",
        "Environment=VEDETTE_PASSPHRASE=hunter2x PYTHONUNBUFFERED=1",
        "Authorization: Bearer hunter2x.abc",
        "wpa psk=hunter2x",
        "MQTT_PASSWORD='hunter2x'",
        r'password = "hun\"ter2x hunter2x"',
        "rtsp://admin:p@hunter2x@10.0.0.9/x",
        "rtsp://admin:a/hunter2x@10.0.0.9/x",
        "camera: rtsp://admin:hunter2x: names no machine",  # cut off at a # in it
        "rtsp://admin:4hunter2x/x",
        "http://10.0.0.9/snapshot.cgi?usr=hunter2x&pwd=hunter2x&pin=hunter2x",
        "rtsp://10.0.0.9/user/admin/password/hunter2x: does not answer",
        "X-Api-Key: hunter2x",
        "Authorization: Digest username='a', response=hunter2x",
        "AWS_SECRET_ACCESS_KEY=a,hunter2x",
        "it\nMQTT_PASSWORD=a, b hunter2x",
        'password = """\nhunter2x\n"""',
        "token = '''hunter2x'''",
        r'{"says": "got \"password\": \"hunter2x\""}',
        "mosquitto_pub --password hunter2x -t x",
        "password=o'hunter2x",
        'username = "hunter2x"',
        "wpa_supplicant: ssid='hunter2x of home'",
        "-----BEGIN EC PRIVATE KEY-----\nhunter2x\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2x\n that was cut short",
    ],
)
def test_what_looks_like_a_secret_goes_though_nobody_knows_it(line: str) -> None:
    cleaned = Mask(()).clean(f"before {line}\nafter it")
    assert "hunter2x" not in cleaned and "ter2x" not in cleaned
    assert cleaned.startswith("before ")


@pytest.mark.parametrize(
    "line",
    [
        'password_file = "/etc/vedette/password"',
        "add --password-file FILE, or --username NAME",
        "--certificate: the broker has no TLS, or use --password",
        "the user name or the password is wrong: check the user name and the password file",
        "vedette: the password file /etc/vedette/password cannot be read: Permission denied",
        "vedette-agent: 3 records wait, connected to mqtts://broker.example:8883",
        'camera = "synthetic://640x480@30"',
        'camera = "file:///var/lib/vedette/9:00@door.avi"',
        '{"url": "mqtt://10.0.0.9:1883", "at": "http://[::1]:8080/x"}',
        '{"path": "digests/72285004e7b99564", "size": 1234}',
        'keys = ["899d2c5138ad27e0bf59fb37905dd141b63e1156195a7b1f52b1633ab8523de6"]',
    ],
)
def test_what_is_none_stays(line: str) -> None:
    assert Mask(()).clean(line) == line


def test_every_secret_of_the_device_is_known(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip
    place = Place(tmp_path).make(
        broker=f'password_file = "{tmp_path}/etc/password"\nkey_file = "{tmp_path}/elsewhere.bin"',
        more='[pipeline.lane]\ncamera = "rtsp://admin:of%20camera@10.0.0.9/x"\n',
    )
    (tmp_path / "etc" / "password").write_text("of broker\n")
    (tmp_path / "elsewhere.bin").write_text(key)
    enrolment = {"form": 1, "password": "of enrolment", "key_pem": key, "url": "mqtt://b"}
    (tmp_path / "etc" / "door.vedette").write_text(json.dumps(enrolment))
    (place.state / "accepted.toml").write_text('camera = "rtsp://x:of+before@h/"\n# sha256 x')
    found = known(
        Folders(place.config, place.state, tmp_path / "run"),
        {"MQTT_PASSWORD": "of environment", "HOME": "/home", "URL": "http://u:of-url@h"},
    )
    wanted = {"of broker", "of enrolment", "of environment", "of camera", "of+before", "of-url"}
    assert wanted <= found
    lines = [line for line in key.splitlines() if not line.startswith("-")]
    assert set(lines[:-1]) <= found and "".join(lines) in found
    assert "/home" not in found


@pytest.mark.parametrize(
    "line",
    [
        "camera = 'rtsp://admin:p\"w of mine@10.0.0.9/x'",
        'camera = """rtsp://admin:p\\"w of mine@10.0.0.9/x"""',
        'camera = "rtsp://admin:\\u0070\\"w of mine@10.0.0.9/x"',
        "tokens = ['a', 'p\"w of mine']",
        "x = { 'psk' = 'p\"w of mine' }",
    ],
)
def test_quotes_hide_nothing(tmp_path: Path, line: str) -> None:
    place = Place(tmp_path).make(more=f"[more]\n{line}\n")
    found = known(Folders(place.config, place.state, tmp_path / "run"), {})
    assert Mask(found).clean('it said p"w of mine twice') == "it said [hidden] twice"


@pytest.mark.parametrize(
    "said",
    [
        "rtsp://u:hushpw: names no machine",
        "rtsp://u:hushpw#x1@10.0.0.9/live: there is no option 'x1@10.0.0.9/live'",
        "u:hushpw cannot be found",
        "hushpw",
    ],
)
def test_no_piece_of_a_password_that_was_taken_apart(tmp_path: Path, said: str) -> None:
    more = '[pipeline.lane]\ncamera = "rtsp://u:hushpw#x1@10.0.0.9/live"\n'
    place = Place(tmp_path).make(more=more)
    found = known(Folders(place.config, place.state, tmp_path / "run"), {})
    cleaned = Mask(found).clean(f"it said {said}")
    assert "hushpw" not in cleaned and "x1" not in cleaned


@pytest.mark.parametrize("quotes", ['"', "'", "'''"])
def test_a_password_file_may_be_called_anything(tmp_path: Path, quotes: str) -> None:
    (tmp_path / "mqtt.txt").write_text("of broker\n")
    line = f"password_file = {quotes}{tmp_path}/mqtt.txt{quotes}"
    place = Place(tmp_path).make(broker=line)
    assert "of broker" in known(Folders(place.config, place.state, tmp_path / "run"), {})


@pytest.mark.slow
def test_a_bundle_is_bounded_and_says_what_it_left_out() -> None:
    big = "x" * 79 + "\n"
    sources = [(f"{n}.txt", lambda: big * 15_000) for n in range(8)]
    packed = pack(sources, Mask(()), 0.0)
    parts = unpacked(packed)
    assert sum(len(text) for name, text in parts.items()) < MOST + 4096
    assert all(len(text) <= MOST_OF_PART for text in parts.values())
    assert packed.parts[0].cut == len(big) * 15_000 - MOST_OF_PART
    assert "bytes left out" in parts["vedette-support/README.txt"]


def test_what_is_cut_of_a_journal_is_its_beginning() -> None:
    packed = pack([("journal.txt", lambda: "old\n" * 500_000 + "the newest")], Mask(()), 0.0)
    assert unpacked(packed)["vedette-support/journal.txt"].endswith("the newest")


def test_a_cut_leaves_no_half_of_a_key() -> None:
    """The begin of the key is cut away, so that nothing says what its lines are."""
    lines = ["A" * 63 + str(n % 10) for n in range(20)]
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----\n"
    text = key + "b\n" * (MOST_OF_PART // 2 - 300)
    cleaned = unpacked(pack([("journal.txt", lambda: text)], Mask(()), 0.0))
    assert not any(line in cleaned["vedette-support/journal.txt"] for line in lines)


def test_a_part_that_cannot_be_had_costs_no_other() -> None:
    def fails() -> str:
        raise OSError(5, "Input/output error")

    parts = unpacked(pack([("a.txt", fails), ("b.txt", lambda: "fine")], Mask(()), 0.0))
    assert parts["vedette-support/a.txt"] == "not to be had: Input/output error\n"
    assert parts["vedette-support/b.txt"] == "fine"


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    write(Packed(gzip.compress(b""), ()), path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Unavailable, match="name another place"):
        write(Packed(b"", ()), tmp_path / "none" / "x.tar.gz")


def test_nobody_may_open_it_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has it open before its mode is right reads what is written after."""
    modes = []
    real = os.open

    def looking(path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        return descriptor

    monkeypatch.setattr(os, "open", looking)
    write(Packed(b"x", ()), tmp_path / "x.tar.gz")
    assert modes[0] == 0o600


def test_the_service_leads_nobody_elsewhere(tmp_path: Path) -> None:
    """Its folder is its own: a link or a pipe in it is not followed by root."""
    place = Place(tmp_path).make()
    (tmp_path / "shadow").write_text("of root")
    accepted = place.state / "accepted.toml"
    parts = dict(sources(Folders(place.config, place.state, tmp_path / "run")))
    accepted.symlink_to(tmp_path / "shadow")
    assert "of root" not in parts["config/accepted.toml"]()
    accepted.unlink()
    os.mkfifo(accepted)
    assert "is no file" in parts["config/accepted.toml"]()
