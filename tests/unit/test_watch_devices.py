"""What a watcher knows of devices, from records that come twice, late, and with wrong clocks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.devices import Device, Fleet
from fleet.seen import MOST_STRETCHES, Seen
from tests.telling import FLEET, NOW_S, event, presence, record, result, said, state, window
from wire.link import Received
from wire.messages import Reply


def fleet() -> Fleet:
    return Fleet(FLEET)


def only(known: Fleet) -> Device:
    (device,) = known.devices.values()
    return device


def test_a_message_is_news_once() -> None:
    known = fleet()
    assert known.hear(said("a", presence(True)), NOW_S) is not None
    news = known.hear(said("a", record(7)), NOW_S)
    assert news is not None and (news.device, news.kind, news.message) == (
        "a",
        "telemetry",
        record(7),
    )
    assert known.hear(said("a", record(7)), NOW_S) is None
    assert known.hear(said("b", record(7)), NOW_S) is not None, "another device"
    assert known.hear(said("a", record(7, spool="spool-2")), NOW_S) is not None, "another spool"
    assert known.hear(said("a", event(7)), NOW_S) is None, "events count on in the same spool"
    assert (known.records, known.duplicates) == (3, 2)


def test_what_is_retained_is_news_only_when_it_changed() -> None:
    known = fleet()
    assert known.hear(said("a", state(), retained=True), NOW_S) is not None
    assert known.hear(said("a", state(), retained=True), NOW_S) is None, "a new connection"
    assert known.hear(said("a", state(faults=("hot",))), NOW_S) is not None


@given(st.permutations(range(1, 12)), st.randoms(use_true_random=False))
def test_the_newest_is_shown_whatever_the_order(order: list[int], chance: random.Random) -> None:
    known = fleet()
    for seq in [*order, *chance.sample(order, 5)]:
        known.hear(said("a", record(seq, {"door": window(frames=seq)})), NOW_S)
    device = only(known)
    assert device.newest is not None and device.newest.seq == 11
    assert device.windows["door"].frames == 11
    assert (known.records, known.duplicates) == (11, 5)


def test_pipelines_that_come_in_several_records_are_all_shown() -> None:
    known = fleet()
    known.hear(said("a", record(1, {"door": window(1), "old": window(1)}, uptime_s=0.0)), NOW_S)
    known.hear(said("a", record(2, {"door": window(2)}, uptime_s=600.0)), NOW_S)
    known.hear(said("a", record(3, {"yard": window(3)}, uptime_s=600.0)), NOW_S)
    frames = {name: each.frames for name, each in only(known).windows.items()}
    assert frames == {"door": 2, "yard": 3}, "and one that is no more is not"


def test_a_new_spool_takes_over_and_its_forerunner_does_not_come_back() -> None:
    known = fleet()
    known.hear(said("a", record(900, uptime_s=100.0)), NOW_S)
    known.hear(said("a", record(1, {"door": window(1)}, spool="new", uptime_s=160.0)), NOW_S)
    known.hear(said("a", record(901, {"door": window(2)}, uptime_s=140.0)), NOW_S)
    assert only(known).windows["door"].frames == 1


@pytest.mark.parametrize("time", [NOW_S, 0.0])
def test_what_waited_over_a_reboot_is_not_taken_for_new(time: float) -> None:
    """Presence names the boot; the clock of the device says nothing."""
    known = fleet()
    known.hear(said("a", presence(True)), NOW_S)
    known.hear(said("a", record(1, {"door": window(1)}, uptime_s=10.0, time=time)), NOW_S)
    for seq in (700, 701):
        late = record(seq, {"door": window(2)}, spool="old", boot="boot-0", time=time)
        assert known.hear(said("a", late), NOW_S + seq) is not None
    assert only(known).windows["door"].frames == 1


def test_a_reboot_is_seen_without_presence() -> None:
    known = fleet()
    known.hear(said("a", record(700, {"door": window(1)}, time=NOW_S)), NOW_S)
    after = record(
        1, {"door": window(2)}, spool="new", boot="boot-2", uptime_s=9.0, time=NOW_S + 60
    )
    known.hear(said("a", after), NOW_S + 61)
    assert only(known).windows["door"].frames == 2


def test_the_spools_that_are_heard_are_those_that_are_remembered() -> None:
    known = fleet()
    for n in range(50):
        assert known.hear(said("a", record(n, spool="now")), NOW_S) is not None
        assert known.hear(said("a", record(1, spool=f"old-{n}")), NOW_S) is not None
    assert known.hear(said("a", record(7, spool="now")), NOW_S) is None


def test_presence_changes_are_dated_unless_they_are_from_before() -> None:
    known = fleet()
    known.hear(said("a", presence(True), retained=True), NOW_S)
    assert only(known).online_s is None
    known.hear(said("a", presence(False)), NOW_S + 5)
    assert only(known).online_s == NOW_S + 5
    known.hear(said("a", presence(False, session="s2")), NOW_S + 9)
    assert only(known).online_s == NOW_S + 5, "it said the same in other words"


def test_a_device_that_was_taken_away_is_forgotten() -> None:
    known = fleet()
    known.hear(said("a", presence(False)), NOW_S)
    known.hear(said("a", state()), NOW_S)
    known.hear(said("a", record(1)), NOW_S)
    assert known.bytes > 0
    for kind in ("state", "presence", "presence"):
        known.hear(Received(f"vedette/{FLEET}/device/a/{kind}", b"", False), NOW_S)
    assert known.devices == {}
    assert known.bytes == 0


@pytest.mark.parametrize("off_s", [-50 * 365.25 * 86400, 0.0, 11 * 365.25 * 86400])
def test_wrong_clocks_do_not_move_records(off_s: float) -> None:
    known = fleet()
    known.hear(said("a", record(1, time=NOW_S + off_s)), NOW_S)
    device = only(known)
    assert device.reached_s == NOW_S
    assert device.clock_off_s == pytest.approx(off_s)


def test_a_record_that_was_delayed_is_dated_by_its_boot_where_the_clock_is_wrong() -> None:
    known = fleet()
    wrong = NOW_S - 20 * 365.25 * 86400
    known.hear(said("a", record(2, time=wrong + 600, uptime_s=4200.0)), NOW_S)
    known.hear(said("a", event(1, time=wrong, uptime_s=3600.0)), NOW_S + 1)
    assert known.events[0].at_s == pytest.approx(NOW_S - 600)


def test_events_are_in_the_order_in_which_they_happened() -> None:
    known = fleet()
    for seq in (3, 1, 2):
        known.hear(said("a", event(seq, text=str(seq), time=NOW_S - 10 + seq)), NOW_S)
    assert [happened.event.text for happened in known.events] == ["1", "2", "3"]


def test_results_and_replies_are_news_every_time() -> None:
    known = fleet()
    for message in (result(), Reply("1", True, "done")):
        assert known.hear(said("a", message), NOW_S) is not None
        assert known.hear(said("a", message), NOW_S) is not None
    assert list(only(known).results) == ["door"]


def test_latency_of_the_fleet_is_of_all_frames() -> None:
    known = fleet()
    for device, durations in (("a", (1000.0,) * 3), ("b", (9000.0,))):
        known.hear(said(device, record(1, {"x": window(durations_us=durations)})), NOW_S)
    total = known.latency("inference")
    assert total.count == 4
    assert total.percentile(0.5) == pytest.approx(1000, rel=0.05)
    assert total.percentile(0.99) == pytest.approx(9000, rel=0.05)


@given(st.lists(st.integers(0, 40)))
def test_seen_is_a_set(numbers: list[int]) -> None:
    seen, known = Seen(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in known)
        known.add(number)


def test_seen_stays_small_and_forgets_the_oldest_gap_first() -> None:
    seen = Seen()
    for number in range(0, 10_000, 2):
        assert seen.add(number)
    assert len(seen._firsts) <= MOST_STRETCHES + 1
    assert seen.add(9_997), "a young gap is still known"
    assert not seen.add(1), "an old one counts as filled"
