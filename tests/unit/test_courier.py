"""The courier: new records first, the backlog paced, and nothing sent twice without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from agent.courier import MOST_FLYING, MOST_LIVE
from agent.pace import MOST_RETRY_S, RECORDS_PER_S, RETRY_S
from agent.spool.change import Record
from tests.delivery import PREFIX, Bench, By, benches, most_in_a_second

both = pytest.mark.parametrize("by", ["broker", "registry"])


@pytest.fixture
def bench() -> Iterator[Bench]:
    with benches() as make:
        yield make


@both
def test_a_record_goes_at_once_and_leaves_when_it_is_acknowledged(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.connect()
    delivery.append(1)
    delivery.append(1, "event")
    assert [(s.topic, s.record.n) for s in delivery.wire.sent] == [
        (f"{PREFIX}/telemetry", 1),
        (f"{PREFIX}/event", 2),
    ]
    assert delivery.spool.waiting == 2
    delivery.puback()
    assert delivery.spool.waiting == 0
    assert len(delivery.wire.sent) == 2


@both
def test_new_records_do_not_wait_for_the_backlog(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(100)
    assert not delivery.wire.sent
    delivery.connect()
    assert delivery.seqs == list(range(1, MOST_FLYING + 1))  # and the broker takes none of them
    delivery.append(2)
    assert delivery.seqs[MOST_FLYING:] == [101, 102]
    delivery.run(10.0)
    assert delivery.seqs[MOST_FLYING + 2 :] == list(range(MOST_FLYING + 1, 101))
    assert delivery.spool.waiting == 0


@both
@pytest.mark.parametrize("step_s", [0.01, 0.3, 1.0])
def test_the_backlog_goes_at_twenty_a_second(bench: Bench, by: By, step_s: float) -> None:
    delivery = bench(by)
    delivery.append(400)
    delivery.connect()
    delivery.run(30.0, step_s)
    times_s = [sent.at_s for sent in delivery.wire.sent]
    assert delivery.seqs == list(range(1, 401))
    assert most_in_a_second(times_s) == RECORDS_PER_S
    assert 18.9 <= times_s[-1] - times_s[0] <= 23.0
    assert delivery.spool.waiting == 0


def test_the_pace_leaves_new_records_alone(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(200)
    delivery.connect()
    for _ in range(100):
        delivery.append(1)
        assert delivery.keys[-1] == delivery.made[-1]
        delivery.run(0.1)
    assert delivery.spool.waiting == 0
    assert len(delivery.wire.sent) == 300
    late_s = [sent.at_s for sent in delivery.wire.sent if sent.record.seq <= 200]
    assert most_in_a_second(late_s) == RECORDS_PER_S


@both
def test_only_so_many_are_on_their_way(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(100)
    delivery.connect()
    for _ in range(20):
        delivery.wait(1.0)
        assert len(delivery.wire.waiting) == MOST_FLYING
    delivery.append(MOST_LIVE + 10)
    assert len(delivery.wire.waiting) == MOST_FLYING + MOST_LIVE
    delivery.run(20.0)
    assert set(delivery.keys) == set(delivery.made)
    assert delivery.spool.waiting == 0


def test_a_puback_frees_its_own_record_only(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(5)
    delivery.connect()
    delivery.puback([4])
    assert [r.seq for r in delivery.spool.after(delivery.spool.id, 0, 9)] == [1, 2, 3, 5]
    delivery.courier.delivered(4)  # again
    delivery.courier.delivered(99)  # of something else
    assert delivery.spool.waiting == 4


def test_what_the_broker_did_not_take_goes_again_on_the_next_connection(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(40)
    delivery.connect()
    delivery.puback([1, 2, 3, 6])
    sent = len(delivery.wire.sent)
    waiting = sorted(one.key for one in delivery.wire.waiting.values())
    delivery.disconnect()
    delivery.append(2)
    delivery.wait(60.0)
    assert len(delivery.wire.sent) == sent
    delivery.connect()
    delivery.run(10.0)
    again = [key for key, count in Counter(delivery.keys).items() if count > 1]
    assert again == waiting
    assert delivery.seqs[sent:] == [4, 5, *range(7, 43)]
    assert delivery.spool.waiting == 0


def test_a_puback_of_the_last_connection_is_not_one_of_this(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(1)
    delivery.connect()
    delivery.disconnect()
    delivery.connect()
    delivery.courier.delivered(1)
    assert delivery.spool.waiting == 1
    delivery.courier.delivered(2)
    assert delivery.spool.waiting == 0


@both
def test_after_a_reconnect_in_mid_burst_all_arrives_and_little_twice(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(150)
    for _ in range(4):
        delivery.connect()
        delivery.run(1.0)
        delivery.append(3)
        delivery.wait(0.5)  # some are on their way
        delivery.disconnect()
        delivery.append(3)
    delivery.connect()
    delivery.run(30.0)
    counts = Counter(delivery.keys)
    assert set(counts) == set(delivery.made)
    assert delivery.spool.waiting == 0
    assert sum(counts.values()) - len(counts) <= 4 * (MOST_FLYING + 3)


@both
def test_a_record_that_the_broker_does_not_take_is_lost_and_blocks_nobody(
    bench: Bench, by: By
) -> None:
    delivery = bench(by)
    large = b'{"n":0,"x":"' + b"x" * 1000 + b'"}'
    delivery.append(20)
    delivery.append_bodies([large])
    delivery.append(20)
    delivery.connect(most_bytes=1000)
    delivery.run(3.0)
    delivery.append_bodies([large, b'{"n":43}'])
    delivery.run(3.0)
    assert delivery.spool.lost == 2
    assert delivery.spool.waiting == 0
    assert sorted(set(delivery.seqs)) == [*range(1, 21), *range(22, 42), 43]
    assert len(delivery.seqs) <= 42


@both
def test_no_room_in_the_link_is_no_loss_and_keeps_the_order(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(30)
    delivery.connect()
    delivery.wire.room = 0
    delivery.append(2)
    delivery.run(20.0)
    for _ in range(40):
        delivery.wire.room = 1
        delivery.run(1.0)
    assert delivery.seqs == [*range(1, 17), 31, 32, *range(17, 31)]
    assert delivery.spool.lost == 0
    assert delivery.spool.waiting == 0


def test_a_connection_that_is_gone_before_we_are_told_costs_nothing(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.connect()
    delivery.wire.is_up = False
    delivery.append(3)
    delivery.wait(1.0)
    delivery.disconnect()
    delivery.connect()
    delivery.run(1.0)
    assert delivery.seqs == [1, 2, 3]
    assert delivery.spool.waiting == 0


def test_a_broker_that_refuses_is_asked_again_and_not_too_often(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(30)
    delivery.connect()
    for _ in range(3600):
        delivery.wait(1.0)
    assert 16 < len(delivery.wire.sent) < 30
    delivery.run(MOST_RETRY_S + 3)
    assert delivery.spool.waiting == 0


@both
def test_a_slow_way_is_not_made_slower(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(60)
    delivery.connect()
    for _ in range(60):
        for _ in range(10):
            delivery.wait(1.0)
        delivery.puback(list(delivery.wire.waiting)[:1])
    assert delivery.seqs == list(range(1, 61))
    assert delivery.spool.waiting == 0


@both
def test_records_of_several_ids_go_in_the_order_of_their_ids(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(30)
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(3, 33)]
    delivery.spool.adopt(foreign, 32)
    delivery.append(30)
    first, _, last = ids = delivery.spool.ids()
    delivery.connect()
    delivery.append(1)
    delivery.run(20.0)
    live = (last, 31)
    assert [key for key in delivery.keys if key != live] == [
        *((first, seq) for seq in range(1, 31)),
        *(("older", seq) for seq in range(3, 33)),
        *((last, seq) for seq in range(1, 31)),
    ]
    assert delivery.keys.index(live) == MOST_FLYING
    assert delivery.spool.waiting == 0
    assert ids[1] == "older"


@both
def test_an_id_that_appears_while_we_are_connected(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(60)
    delivery.connect()
    delivery.append(2)
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(1, 6)]
    delivery.spool.adopt(foreign, 5)
    delivery.append(1)
    assert delivery.keys[-1] == (delivery.spool.ids()[-1], 1)
    delivery.run(20.0)
    assert len(delivery.keys) == len(set(delivery.keys)) == 60 + 2 + 5 + 1
    assert delivery.spool.waiting == 0


@both
def test_old_records_that_come_with_a_new_id_need_not_wait(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(3)
    delivery.connect()
    delivery.run(2.0)
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(1, 6)]
    delivery.spool.adopt(foreign, 5)
    delivery.append(1)
    delivery.run(2.0)
    assert len(delivery.keys) == 3 + 5 + 1
    assert delivery.spool.waiting == 0


@both
def test_of_many_new_records_the_newest_go_first(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.connect()
    delivery.append_bodies([b'{"n":1}'] * 100)
    assert delivery.seqs == list(range(37, 101))
    delivery.run(3.0)
    assert delivery.seqs[64:] == list(range(1, 37))
    assert delivery.spool.waiting == 0


@both
def test_records_that_turn_up_without_a_word_go_too(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.connect()
    foreign = [Record("older", seq, "telemetry", b'{"n":1}') for seq in range(1, 6)]
    delivery.spool.adopt(foreign, 5)
    delivery.run(RETRY_S + 1.0)
    assert delivery.keys == [("older", seq) for seq in range(1, 6)]
    assert delivery.spool.waiting == 0


def test_what_rotted_on_disk_does_not_hide_what_follows(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(60)
    delivery.spool.rotten = set(range(1, 41))
    delivery.connect()
    delivery.run(5.0)
    assert delivery.seqs == list(range(41, 61))
    assert delivery.spool.lost == 40


def test_what_the_broker_refused_goes_again_though_it_takes_the_rest(bench: Bench) -> None:
    delivery = bench("broker")
    delivery.append(1)
    delivery.connect()
    for _ in range(10):
        delivery.append(1)
        delivery.puback([number for number in delivery.wire.waiting if number > 1])
        delivery.wait(10.0)
    assert delivery.seqs.count(1) in (2, 3, 4)
    assert len(delivery.seqs) < 20


def test_a_long_queue_is_never_in_memory(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.append_bodies([b'{"n":1}'] * 5000)
    delivery.connect()
    delivery.run(20.0)
    assert delivery.spool.most_read <= 16
    assert delivery.seqs == list(range(1, len(delivery.seqs) + 1))


@both
def test_where_there_is_nothing_to_send_nothing_is_read(bench: Bench, by: By) -> None:
    delivery = bench(by)
    delivery.append(40)
    delivery.connect()
    delivery.run(5.0)
    reads = delivery.spool.reads
    delivery.run(100.0)
    delivery.disconnect()
    delivery.append(3)
    delivery.wait(100.0)
    assert delivery.spool.reads == reads
