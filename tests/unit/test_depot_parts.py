"""The parts of a depot: its inbox, its answers, what it keeps, and when it warns."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fleet.commands.depot import parser as depot_parser
from fleet.depot.answers import BURST, SIGN_S, Answers
from fleet.depot.bell import Bell
from fleet.depot.candidates import Candidates
from fleet.depot.inbox import LONGEST, MOST_BYTES, ROOM, DepotInbox
from fleet.depot.incoming import Incoming
from fleet.depot.watch import ExpiryWatch
from fleet.roles.targets import Target
from fleet.signer.place import SignerPlace
from fleet.signer.signer import Signer
from tests.depot_folder import Yard, make_yard
from wire import topics
from wire.envelope import opened, sealed, signer_of
from wire.link import Connected, Delivered, Received
from wire.offers import MOST_CANDIDATES, Candidate, OfferAnswer
from wire.signing import make_key
from wire.troubles import Unavailable

DAY_S = 24 * 3600.0


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def place(yard: Yard) -> Iterator[SignerPlace]:
    place = SignerPlace(yard.depot)
    yield place
    place.close()


def test_a_signature_is_for_one_purpose(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key.pem")
    envelope = opened(sealed(b"purpose 1\n", b'{"a":1}', key), 1000, "thing")
    assert envelope.body == '{"a":1}'
    assert signer_of(b"purpose 1\n", envelope, [key.public]) == key.public
    assert signer_of(b"purpose 2\n", envelope, [key.public]) is None
    assert signer_of(b"purpose 1\n", envelope, []) is None


def test_a_flood_fills_the_inbox_and_nothing_more() -> None:
    inbox: DepotInbox[str] = DepotInbox()
    for number in range(ROOM + 500):
        inbox.post(Received(topics.request("yard", f"d{number % 100}"), b"x", False))
    assert inbox.dropped == 500
    inbox.post(Connected("MQTT 5", "s", None))
    inbox.tell("own")
    for _ in range(ROOM):
        inbox.take(0)
    assert isinstance(inbox.take(0), Connected)
    assert inbox.take(0) == "own"
    assert inbox.take(0) is None
    inbox.post(Received("t", b"x", False))
    assert inbox.take(0) == Received("t", b"x", False)


def test_large_payloads_are_cut_and_counted() -> None:
    inbox: DepotInbox[str] = DepotInbox()
    for _ in range(200):
        inbox.post(Received("t", bytes(2 * LONGEST), False))
    assert inbox.dropped > 0
    taken = 0
    while isinstance(event := inbox.take(0), Received):
        assert len(event.payload) == LONGEST
        taken += len(event.payload)
    assert taken <= MOST_BYTES + 2 * LONGEST
    inbox.post(Delivered(1))
    assert inbox.take(0) == Delivered(1)


class Said:
    """What was published, and a clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.texts: list[str] = []
        self.answers = Answers(self._publish, "yard", lambda: self.now_s)

    def _publish(self, topic: str, payload: bytes) -> None:
        answer = msgspec.json.decode(payload, type=OfferAnswer)
        assert topic == f"vedette/yard/offer/{answer.id}/answer"
        self.texts.append(answer.text)


def test_signs_are_given_while_something_is_worked_on() -> None:
    said = Said()
    said.answers.working(OfferAnswer("a", "fetching", "it comes", 1, 10))
    said.answers.working(OfferAnswer("a", "fetching", "half", 5, 10))
    assert said.texts == ["it comes"]
    said.answers.tick()
    said.now_s += SIGN_S
    said.answers.tick()
    assert said.texts == ["it comes", "half", "half"]
    said.answers.done("a", "done")
    said.now_s += 10 * SIGN_S
    said.answers.tick()
    assert said.texts[-1] == "done"
    assert said.texts.count("done") == 1


def test_who_did_not_hear_it_is_told_again() -> None:
    said = Said()
    assert not said.answers.again("a")
    said.answers.refused("a", "bad\nnews" + "x" * 2000)
    assert said.answers.again("a")
    assert said.texts[0] == said.texts[1]
    assert "\n" not in said.texts[0]
    assert len(said.texts[0]) <= 1000
    said.answers.failed("b", "no disk")
    assert not said.answers.again("b"), "it may go better now"


def test_strangers_cannot_make_it_talk_without_end() -> None:
    said = Said()
    for number in range(1000):
        said.answers.failed(f"a{number}", "no")
    assert len(said.texts) == BURST
    said.now_s += 1
    said.answers.done("late", "it is done")
    assert said.texts[-1] == "it is done"


def target(content: bytes) -> Target:
    return Target("x", hashlib.sha256(content).hexdigest(), len(content))


def test_what_is_kept_for_a_next_try_is_bounded(place: SignerPlace) -> None:
    incoming = Incoming(place.incoming, most_bytes=200_000)
    contents = [bytes([number]) * 90_000 for number in range(5)]
    for age, content in enumerate(contents):
        path = incoming.keep(target(content), content)
        os.utime(path, (1000 + age, 1000 + age))
    incoming.make_room([target(contents[0])])
    there = {content[0] for content in contents if incoming.whole(target(content))}
    assert there == {0, 3, 4}, "what is wanted, and the newest"


def test_what_rotted_is_not_whole(place: SignerPlace) -> None:
    incoming = Incoming(place.incoming)
    path = incoming.keep(target(b"content"), b"content")
    assert incoming.whole(target(b"content")) == path
    path.write_bytes(b"confent")
    assert incoming.whole(target(b"content")) is None


def test_a_disk_without_room(place: SignerPlace) -> None:
    vast = Target("x", "0" * 64, 1 << 60)
    with pytest.raises(Unavailable, match=r"no room for .* MiB more: make room there"):
        Incoming(place.incoming).make_room([vast])


def candidate(number: int) -> Candidate:
    digest = f"{number:064x}"
    return Candidate(digest, 4, "digits", str(number), "tflite", (), float(number))


def test_so_many_candidates_wait_and_no_more(place: SignerPlace) -> None:
    waiting = Candidates(place)
    for number in range(MOST_CANDIDATES + 3):
        for name, content in (("zip", b"abcd"), ("blocks", bytes(32))):
            (place.incoming / name).write_bytes(content)
        waiting.add(candidate(number), place.incoming / "zip", place.incoming / "blocks")
    assert [one.since for one in waiting.waiting] == list(range(18, 2, -1))
    folder = place.folder / "candidates"
    assert len(list(folder.iterdir())) == 2 * MOST_CANDIDATES + 1
    assert Candidates(place).waiting == waiting.waiting
    (folder / f"{18:064x}.zip").unlink()
    (folder / "stray").write_bytes(b"x")
    again = Candidates(place)
    assert len(again.waiting) == MOST_CANDIDATES - 1
    assert len(list(folder.iterdir())) == 2 * (MOST_CANDIDATES - 1) + 1
    (folder / "index.json").write_bytes(b"rotten")
    assert Candidates(place).waiting == ()


def test_it_warns_before_what_it_cannot_sign_expires(yard: Yard) -> None:
    signer = Signer(yard.depot)
    watch, now_s = ExpiryWatch(signer), time.time()
    assert watch.news(now_s + 334 * DAY_S) == ()
    (warning,) = watch.news(now_s + 336 * DAY_S)
    assert warning.startswith("the release metadata expires on ")
    assert watch.news(now_s + 336.5 * DAY_S) == ()
    assert len(watch.news(now_s + 337.1 * DAY_S)) == 1
    both = watch.news(now_s + 731 * DAY_S)
    assert [line.partition(" metadata expired")[0] for line in both] == ["the release", "the root"]
    signer.close()


def test_who_rings_again_and_again_does_not_have_the_last_word(yard: Yard) -> None:
    now_s, rung = [0.0], list[bytes]()
    with contextlib.closing(Signer(yard.depot)) as signer:
        bell = Bell(rung.append, signer, lambda: now_s[0])
        garbage = Received("vedette/yard/bell", b"garbage", False)
        assert "somebody else rings" in str(bell.hear(garbage))
        assert len(rung) == 1
        assert bell.hear(garbage) is None
        bell.tick()
        assert len(rung) == 1, "not more often than he does"
        now_s[0] += 31
        bell.tick()
        bell.tick()
        assert rung == [signer.timestamp] * 2


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "soon"])
def test_a_time_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        depot_parser().parse_args(["--seconds", text])
    assert refused.value.code == 2
    assert "is no length of time: write seconds, as 60" in capsys.readouterr().err
