"""A mirror over HTTPS: real TLS, cut connections, ranges, and servers that misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.mirror import Mirror, serving
from tests.repository import NOW_S, Repository, block_digests
from wire import https
from wire.block.blocks import BLOCK, NoSuchFile
from wire.block.part import Part
from wire.https import HttpsSource
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Trust

CONTENT = random.Random(4).randbytes(20 * BLOCK + 777)
PATH = "targets/models/m/1/x.onnx.zip"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def mirror(authority: Authority) -> Iterator[Mirror]:
    with serving(authority.issue("127.0.0.1")) as mirror:
        mirror.files[PATH] = CONTENT
        yield mirror


@pytest.fixture
def source(mirror: Mirror, authority: Authority) -> Iterator[HttpsSource]:
    source = HttpsSource(mirror.url, authority.file, patience_s=0.3)
    yield source
    source.close()


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return part_of(tmp_path, CONTENT)


def part_of(folder: Path, content: bytes) -> Part:
    digest = hashlib.sha256(content).hexdigest()
    return Part(folder / digest, len(content), digest, block_digests(content))


def test_a_small_file(mirror: Mirror, source: HttpsSource) -> None:
    mirror.files["metadata/timestamp.json"] = b"{}"
    assert source.read("metadata/timestamp.json", 2) == b"{}"
    assert source.read(PATH, len(CONTENT)) == CONTENT
    with pytest.raises(Refused, match="larger than 1 bytes"):
        source.read("metadata/timestamp.json", 1)
    with pytest.raises(NoSuchFile):
        source.read("metadata/2.root.json", 100)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there(mirror: Mirror, source: HttpsSource, status: int) -> None:
    mirror.status = status
    with pytest.raises(NoSuchFile, match=str(status)):
        source.read("metadata/2.root.json", 100)


@pytest.mark.parametrize("status", [204, 301, 302, 400, 401, 429, 500, 503])
def test_an_answer_that_is_none(mirror: Mirror, source: HttpsSource, status: int) -> None:
    """A redirection is not followed: where else the files are is for the configuration to say."""
    mirror.status = status
    mirror.headers["Location"] = mirror.url + "/" + PATH
    with pytest.raises(Unavailable, match=f"the mirror answers {status}") as caught:
        source.read(PATH, 10**6)
    assert not isinstance(caught.value, NoSuchFile)
    assert len(mirror.asked) == 1


def test_trust_over_a_mirror(mirror: Mirror, source: HttpsSource, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.release("digits", "1")
    mirror.files = repository.files
    trust = Trust(tmp_path / "trust", repository.first_root, source, lambda: NOW_S)
    assert trust.refresh().targets == 2
    assert trust.block_digests(trust.models()[0])


def test_endless_answers_end(mirror: Mirror, source: HttpsSource, part: Part) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(65536)

    mirror.instead = endless
    with pytest.raises(Refused, match="larger than 5000 bytes"):
        source.read("metadata/timestamp.json", 5000)
    assert source.received_bytes < 2**20
    with pytest.raises(Refused, match="other bytes than were signed"):
        source.fetch(PATH, part, lambda _: None, lambda: False)
    part.drop()


def test_an_answer_that_drips_is_given_up(
    mirror: Mirror, source: HttpsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x"
            time.sleep(0.02)

    mirror.instead = drip
    monkeypatch.setattr(https, "READ_S", 0.2)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="too slow"):
        source.read("metadata/timestamp.json", 5000)
    assert time.monotonic() - began < 3


def test_a_bundle_comes_whole(mirror: Mirror, source: HttpsSource, part: Part) -> None:
    seen: list[int] = []
    source.fetch(PATH, part, seen.append, lambda: False)
    assert part.finish().read_bytes() == CONTENT
    assert seen == sorted(seen) and seen[-1] == len(CONTENT)


def test_an_empty_file_comes_whole(source: HttpsSource, tmp_path: Path) -> None:
    part = part_of(tmp_path, b"")
    source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == b""


def test_cut_twenty_times_it_costs_little_more(
    mirror: Mirror, source: HttpsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "AGAIN_S", 0.01)
    chance = random.Random(7)
    content = chance.randbytes(20_000_001)
    mirror.files[PATH] = content
    mirror.cuts = [chance.randrange(900_000) for _ in range(20)]
    part = part_of(tmp_path, content)
    source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == content
    assert not mirror.cuts and len(mirror.asked) == 21
    assert mirror.sent <= 1.05 * len(content)


def test_what_is_there_is_not_asked_for_again(
    mirror: Mirror, source: HttpsSource, part: Part
) -> None:
    for number in (0, 1, 2, 7, 8, 20):
        assert part.write(number, CONTENT[number * BLOCK : (number + 1) * BLOCK])
    source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == CONTENT
    assert mirror.asked == [
        (PATH, f"bytes={3 * BLOCK}-{7 * BLOCK - 1}"),
        (PATH, f"bytes={9 * BLOCK}-{20 * BLOCK - 1}"),
    ]


def test_a_server_without_ranges(mirror: Mirror, source: HttpsSource, part: Part) -> None:
    mirror.takes_ranges = False
    part.write(0, CONTENT[:BLOCK])
    source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == CONTENT


def test_a_server_that_answers_another_range(
    mirror: Mirror, source: HttpsSource, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "AGAIN_S", 0.01)
    mirror.status, mirror.headers = 206, {"Content-Range": "bytes 5-10/100"}
    with pytest.raises(Unavailable, match="another range"):
        source.fetch(PATH, part, lambda _: None, lambda: False)
    part.drop()


def test_tampered_block_is_refused_as_it_lands(
    mirror: Mirror, source: HttpsSource, part: Part
) -> None:
    mirror.files[PATH] = CONTENT[: 3 * BLOCK] + b"!" + CONTENT[3 * BLOCK + 1 :]
    with pytest.raises(Refused, match="other bytes than were signed: mistrust the mirror"):
        source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.have_bytes == 3 * BLOCK
    mirror.files[PATH] = CONTENT
    source.fetch(PATH, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == CONTENT


def test_a_mirror_that_is_down_is_given_up_after_a_while(
    mirror: Mirror,
    authority: Authority,
    source: HttpsSource,
    part: Part,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(https, "AGAIN_S", 0.05)
    mirror.status = 503
    patient = HttpsSource(mirror.url, authority.file, patience_s=2.0)
    with contextlib.closing(patient), pytest.raises(Unavailable, match="the mirror answers 503"):
        patient.fetch(PATH, part, lambda _: None, lambda: False)
    assert len(mirror.asked) > 2
    mirror.status = 404
    with pytest.raises(NoSuchFile):
        source.fetch(PATH, part, lambda _: None, lambda: False)
    part.drop()


def test_it_ends_when_it_is_over(mirror: Mirror, source: HttpsSource, part: Part) -> None:
    with pytest.raises(Unavailable, match="what came is kept"):
        source.fetch(PATH, part, lambda _: None, lambda: part.have_bytes >= 4 * BLOCK)
    assert 4 * BLOCK <= part.have_bytes < len(CONTENT)
    again = part_of(part.path.parent, CONTENT)
    assert again.have_bytes == part.have_bytes
    again.drop()


def test_a_speed_cap_holds(mirror: Mirror, authority: Authority, part: Part) -> None:
    source = HttpsSource(mirror.url, authority.file, kib_per_s=640)
    began = time.monotonic()
    source.fetch(PATH, part, lambda _: None, lambda: False)
    source.close()
    part.finish()
    seconds = time.monotonic() - began
    assert seconds > (len(CONTENT) - 320 * 1024 - 65536) / (640 * 1024)


def test_only_the_authority_that_is_named(
    mirror: Mirror, tmp_path: Path, authority: Authority
) -> None:
    stranger = Authority(tmp_path, "stranger")
    for ca_file in (None, stranger.file):
        source = HttpsSource(mirror.url, ca_file)
        with pytest.raises(Unavailable, match="mirror_ca_file"):
            source.read(PATH, 10**6)
        source.close()
    assert mirror.asked == []
    with serving(authority.issue("mirror.example")) as other:
        source = HttpsSource(other.url, authority.file)
        with pytest.raises(Unavailable, match="not who it says it is"):
            source.read(PATH, 10**6)
        source.close()
    with pytest.raises(Unavailable, match="cannot be read"):
        HttpsSource(mirror.url, tmp_path / "nowhere.pem")
    (tmp_path / "none.pem").write_text("none")
    with pytest.raises(Refused, match="holds no certificate"):
        HttpsSource(mirror.url, tmp_path / "none.pem")


def test_nobody_there(authority: Authority) -> None:
    source = HttpsSource("https://127.0.0.1:9", authority.file)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9/metadata"):
        source.read("metadata/timestamp.json", 100)
    source.close()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://mirror.example", "ftp://a", "mirror.example", "https://", "",
     "https://a:99999/", "https://a:b/", "https://u:p@a/", "https://a/?x=1", "https://a/#x",
     "file:///etc/passwd"],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Refused, match="write https://HOST"):
        HttpsSource(url)


def test_a_bundle_that_drips_is_given_up(
    mirror: Mirror, source: HttpsSource, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps a connection alive for ever, and brings nothing."""

    def drip() -> Iterator[bytes]:
        for _ in range(400):
            yield b"x"
            time.sleep(0.02)

    mirror.instead = drip
    monkeypatch.setattr(https, "AGAIN_S", 0.05)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="too slow: no block in"):
        source.fetch(PATH, part, lambda _: None, lambda: False)
    assert time.monotonic() - began < 6
    part.drop()


def test_a_head_that_drips_is_given_up(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there is an answer nobody could end it."""
    monkeypatch.setattr(https, "HEAD_S", 0.3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certified = authority.issue("127.0.0.1")
    context.load_cert_chain(certified.certificate, certified.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as safe:
                safe.recv(4096)
                safe.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(400):
                    safe.sendall(b"x")
                    time.sleep(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    source = HttpsSource(f"https://127.0.0.1:{listener.getsockname()[1]}", authority.file)
    began = time.monotonic()
    try:
        with pytest.raises(Unavailable, match="too slow: its answer does not begin"):
            source.read("metadata/timestamp.json", 5000)
        assert time.monotonic() - began < 6
    finally:
        source.close()
        listener.close()
        thread.join()


def test_nobody_there_is_said_in_words() -> None:
    """Not by the name of a class of ours."""
    source = HttpsSource("https://127.0.0.1:1/")
    try:
        with pytest.raises(Unavailable, match=r"x\.zip: Failed to .*refused") as told:
            source.read(PATH, 1000)
    finally:
        source.close()
    assert "host=" not in str(told.value)
