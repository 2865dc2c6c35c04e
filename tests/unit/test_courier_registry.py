"""The courier and a registry: away, back, forgetful, or not one at all."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from agent.courier import MOST_UNACKED
from agent.pace import MOST_RETRY_S, RETRY_S
from agent.spool.change import Record
from tests.delivery import Bench, FarEnd, benches
from wire.messages import Ack


@pytest.fixture
def bench() -> Iterator[Bench]:
    with benches() as make:
        yield make


def test_the_broker_s_word_is_not_enough_where_a_registry_is_configured(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(200)
    delivery.connect()
    delivery.run(20.0)
    assert delivery.spool.waiting == 200
    assert delivery.seqs == list(range(1, MOST_UNACKED + 1))
    delivery.append(3)
    assert delivery.seqs[MOST_UNACKED:] == [201, 202, 203]
    delivery.courier.acked(Ack(delivery.spool.id, 10))
    delivery.run(1.0)
    assert delivery.spool.waiting == 193
    assert delivery.seqs[MOST_UNACKED + 3 :] == list(range(65, 75))


def test_every_record_says_the_oldest_that_may_still_come(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.append(30)
    delivery.connect()
    assert {sent.record.oldest for sent in delivery.wire.sent} == {1}
    delivery.courier.acked(Ack(delivery.spool.id, 12))
    delivery.append(1)
    assert delivery.wire.sent[-1].record.oldest == 13


def test_a_registry_that_is_away_is_not_flooded(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(1000)
    delivery.connect()
    delivery.run(86400.0, 5.0)
    times_s = [sent.at_s for sent in delivery.wire.sent[MOST_UNACKED:]]
    assert set(delivery.seqs[MOST_UNACKED:]) == {1}  # only a question from time to time
    gaps_s = [b - a for a, b in itertools.pairwise(times_s)]
    assert gaps_s[:4] == pytest.approx([60.0, 120.0, 240.0, 480.0], abs=5.1)
    assert gaps_s[4:] == pytest.approx([MOST_RETRY_S] * (len(gaps_s) - 4), abs=5.1)
    assert 140 <= len(times_s) <= 150


def test_a_registry_that_comes_back_gets_all_and_hardly_anything_twice(bench: Bench) -> None:
    delivery = bench("registry")
    far, delivery.far = delivery.far, None
    delivery.append(100)
    delivery.connect()
    for _ in range(120):
        delivery.append(1)
        delivery.run(60.0, 1.0)
    sent = len(delivery.wire.sent)
    delivery.far = far
    delivery.append(1)  # the registry answers this one, and so it is asked soon
    delivery.run(RETRY_S + 2.0)
    assert len(delivery.wire.sent) > sent + 2
    delivery.run(15.0)
    assert delivery.spool.waiting == 0
    assert far is not None
    assert far.keys == set(delivery.made)
    counts = Counter(delivery.keys[sent:])
    assert sum(counts.values()) - len(counts) <= 2
    assert len(counts) == 221


def test_a_registry_that_is_back_is_trusted_with_more_and_more(bench: Bench) -> None:
    delivery = bench("registry")
    far, delivery.far = delivery.far, None
    delivery.append(100)
    delivery.connect()
    delivery.run(MOST_RETRY_S, 1.0)
    delivery.far = far
    delivery.wait(MOST_RETRY_S)
    sizes = []
    while delivery.spool.waiting:
        sizes.append(len(delivery.wire.waiting))
        delivery.puback()
        delivery.wait(1.0)
    assert sizes[:5] == [1, 2, 4, 8, 16]
    assert len(sizes) < 12


def test_progress_makes_it_patient_again(bench: Bench) -> None:
    delivery = bench("registry")
    far, delivery.far = delivery.far, None
    delivery.append(1)
    delivery.connect()
    delivery.run(3000.0, 1.0)
    delivery.far = far
    delivery.run(MOST_RETRY_S + 1, 1.0)
    assert delivery.spool.waiting == 0
    delivery.far = None
    delivery.append(1)
    sent = len(delivery.wire.sent)
    delivery.run(RETRY_S - 2.0, 1.0)
    assert len(delivery.wire.sent) == sent
    delivery.run(3.0, 1.0)
    assert len(delivery.wire.sent) == sent + 1


def test_acks_that_say_nothing_new_change_nothing(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(30)
    delivery.connect()
    delivery.run(2.0)
    own = delivery.spool.id
    delivery.courier.acked(Ack(own, 20))
    before = list(delivery.wire.sent)
    for ack in (Ack("strange", 5), Ack(own, 31), Ack(own, 1 << 60), Ack(own, 20), Ack(own, 0)):
        for _ in range(50):
            delivery.courier.acked(ack)
            delivery.courier.tick()
    assert delivery.spool.waiting == 10
    assert delivery.wire.sent == before
    delivery.courier.acked(Ack(own, 30))
    assert delivery.spool.waiting == 0


def test_stale_acks_without_end_cause_one_question_in_thirty_seconds(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(3)
    delivery.connect()
    delivery.run(1.0)
    for _ in range(3600):
        delivery.courier.acked(Ack(delivery.spool.id, 0))
        delivery.run(1.0, 1.0)
    assert 110 <= len(delivery.wire.sent) <= 125


def test_a_registry_that_forgot_everything_is_harmless(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.connect()
    for _ in range(50):
        delivery.append(1)
        delivery.run(1.0)
    delivery.far = FarEnd()
    for _ in range(50):
        delivery.append(1)
        delivery.run(1.0)
    assert delivery.seqs == list(range(1, 101))
    assert delivery.spool.waiting == 0


def test_a_hole_in_the_queue_does_not_hold_up_the_registry(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.append(40)
    for seq in (5, 9, 10, 30):
        delivery.spool.discard(delivery.spool.id, seq)
    delivery.connect()
    delivery.run(4.0)
    assert delivery.spool.waiting == 0
    assert len(delivery.seqs) <= 36 + 3


def test_an_old_id_is_asked_for_though_the_new_one_makes_progress(bench: Bench) -> None:
    delivery = bench("registry")
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(1, 6)]
    delivery.spool.adopt(foreign, 5)
    far, delivery.far = delivery.far, None
    delivery.connect()
    delivery.run(1.0)  # the broker lost them on the way to the registry
    delivery.far = far
    for _ in range(10):
        delivery.append(1)
        delivery.run(10.0)
    assert delivery.spool.waiting == 0


def test_an_ack_is_nothing_where_no_registry_is_configured(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(3)
    delivery.courier.acked(Ack(delivery.spool.id, 3))
    assert delivery.spool.waiting == 3


def test_a_slow_way_is_not_taken_for_a_silent_registry(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(16)
    delivery.connect()
    for _ in range(15):
        delivery.wait(10.0)
        delivery.puback(list(delivery.wire.waiting)[:1])
    assert delivery.seqs == list(range(1, 17))
    delivery.puback()
    delivery.run(2 * RETRY_S)
    assert delivery.seqs == [*range(1, 17), 1]


def test_new_records_go_once_though_the_id_changes_before_they_are_stored(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.far = None
    delivery.append(10)
    delivery.connect()
    delivery.append(2)
    delivery.run(1.0)
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(1, 6)]
    delivery.spool.adopt(foreign, 5)
    delivery.append(1)
    delivery.run(10.0)
    assert len(delivery.keys) == len(set(delivery.keys)) == 10 + 2 + 5 + 1


def test_a_registry_that_falls_silent_on_the_way_is_asked_again(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.append(40)
    delivery.connect()
    delivery.run(0.5)
    delivery.far = None
    delivery.run(5.0)
    delivery.courier.acked(Ack(delivery.spool.id, 35))
    sent = len(delivery.wire.sent)
    delivery.run(RETRY_S + 1.0)
    assert delivery.seqs[sent:] == [36]
