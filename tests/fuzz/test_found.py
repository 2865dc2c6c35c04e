"""What knocking at the doors has found, each as a small test of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest
from msgspec.structs import replace

from agent.keeping import Keeping
from agent.ledger import Ledger, newest
from fleet.roles import roles
from fleet.roles import targets as roles_targets
from runtime.golden import read_answer
from tests.fuzz.doors import BY_NAME
from tests.rig import SetClock, totals
from wire import orders
from wire.block.server import BlockServer
from wire.config import TelemetryTable
from wire.deployments import read_deployment
from wire.histogram import Counts
from wire.messages import Presence, parse, to_json
from wire.mqtt.url import address_of
from wire.offers import Candidate, CandidateList
from wire.signing import load_key, make_key
from wire.troubles import Refused, Unavailable


class NoFiles:
    def open(self, key: str) -> BinaryIO | None:
        return None


def test_one_byte_of_a_device_ended_the_depot() -> None:
    """A request that is no UTF-8 was neither read nor dropped."""
    server = BlockServer(lambda *_, **__: 0, "home", NoFiles())
    server.asked("door", b'{"file":"\xff","ranges":[[0,1]]}')
    server.asked("door", b"[" * 4000)


@pytest.mark.parametrize("task", ["classify", "detect", "segment", "pose", "embed", "raw"])
def test_an_expected_answer_that_is_no_text(tmp_path: Path, task: str) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(b'[{"label":"\xff","index":7,"score":0.9}]')
    with pytest.raises(Refused, match="not an expected answer"):
        read_answer(path, task)


@pytest.mark.parametrize(
    "url",
    ["mqtt://" + "a" * 9000, "\0" * 9000, "mqtt://user@" + "b" * 9000, "mqtt://a:1" + "c" * 9000],
)
def test_a_long_address_is_not_repeated_in_full(url: str) -> None:
    with pytest.raises(Refused) as refused:
        address_of(url)
    assert len(str(refused.value)) < 600


def test_a_strangers_words_are_not_repeated_in_full() -> None:
    """A quarter of a megabyte of them went into a log, or back over the broker."""
    long = b"x" * 10_000
    with pytest.raises(Refused) as refused:
        parse(b'{"online":true,"boot":"b","session":"s","spool":1,"%b":1}' % long, Presence)
    assert len(str(refused.value)) < 300
    for read in (orders.opened, orders.order_of, lambda text: read_deployment(text, "lane")):
        with pytest.raises(Refused) as refused:
            read(b'{"verb":"%b","body":1,"pipeline":"lane","rules":["%b"]}' % (long, long))
        assert len(str(refused.value)) < 300


@pytest.mark.parametrize("line", ["HTTP/1.1 " + "\0" * 9000, "HTTP/1.1 404 no\r\nX\0" + "y" * 9000])
def test_a_mirrors_odd_answer_is_not_repeated_in_full(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the reason, nor in urllib3's own log."""
    with ExitStack() as last, pytest.raises(Unavailable) as given_up:
        opened = BY_NAME["https.mirror"].open(Path(), last)
        opened.attempt(f"{line}\r\n\r\n".encode())
    assert len(str(given_up.value)) < 400
    assert sum(len(one.getMessage()) for one in caplog.records) < 300


def test_a_book_that_rotted_is_not_counted_on() -> None:
    """What was taken of an account was more than it ever had: every start of the agent failed."""
    ledger = Ledger("boot1", 10.0, None)
    ledger.hear(totals(300, 10.0))
    ledger.cut(20.0, set(), ())
    book = newest([ledger.book()])
    assert book is not None
    account = book.accounts["lane"]
    far = Counts(5, 1.0, 400, (5,), 1.0, 1.0)
    hollow = Counts(5, 1.0, 40, (5,))
    for odd in (far, hollow):
        taken = replace(account.taken, stages=replace(account.taken.stages, queue=odd))
        for spoiled in (replace(account, taken=taken), replace(account, carried=taken)):
            rotten = replace(book, accounts={"lane": spoiled})
            again = Ledger("boot1", 30.0, newest([msgspec.msgpack.encode(rotten)]))
            again.hear(totals(600, 20.0, run="run2"))
            again.cut(40.0, set(), ())


def test_a_whole_number_of_hundreds_of_digits() -> None:
    """It was taken, and ended whoever reckoned with it: a command that lists a depot's bundles."""
    one = Candidate("a" * 64, 5000, "digits", "2", "tflite", (), 1.0)
    listed = to_json(CandidateList((one,)))
    msgspec.json.decode(listed, type=CandidateList)
    for number in (b"9" * 400, b"%d" % 2**63):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(listed.replace(b"5000", number), type=CandidateList)


def test_a_key_file_that_openssl_itself_stumbles_over(tmp_path: Path) -> None:
    """32 bytes that are said to be a key of X448, which has 56."""
    path = tmp_path / "key.pem"
    path.write_text(
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VvBCIEIEbON5D5LHelvV8p14n72WfJL/4+Q32fgjdo4R6lkjEC\n"
        "-----END PRIVATE KEY-----\n"
    )
    with pytest.raises(Refused, match="no private key"):
        load_key(path)


def test_metadata_with_a_fraction_cannot_be_signed(tmp_path: Path) -> None:
    """What is signed is a form of JSON without fractions: python-tuf's own error came through."""
    key = make_key(tmp_path / "key.pem")
    targets = roles_targets.first_targets(key.public, 1_800_000_000.0)
    odd = targets.replace(b'"targets":{}', b'"targets":{},"odd":0.5')
    assert odd != targets
    for deed in (lambda: roles.signed(odd, [key]), lambda: roles.lacking(odd, odd, "deployments")):
        with pytest.raises(Refused, match="can be signed: Could not encode"):
            deed()


def test_a_spool_whose_tables_have_names_that_are_no_text(tmp_path: Path) -> None:
    """SQLite's error quoted them, Python could not read it, and no start of the agent went well."""
    table = TelemetryTable(spool_mib=1)
    for number in (1, 2):
        keeping = Keeping(tmp_path, table, SetClock())
        assert (number == 2) == ("names in it are no text" in (keeping.fault or ""))
        assert keeping.append([("telemetry", b"one more")], {})
        keeping.close()
        file = tmp_path / "spool.db"
        rotten = file.read_bytes().replace(b"tablenotenote", b"tablen\xc5tenote")
        assert rotten != file.read_bytes()
        file.write_bytes(rotten)
