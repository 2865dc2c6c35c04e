"""What every registry does, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import random
import threading

import msgspec
import pytest

from fleet.registry.registry import Registry
from fleet.registry.words import EventQuery, Floor, Heard, Scope, Span, UpdateQuery
from tests.fleet_talk import NOW_S, Talker
from tests.registries import HOUR, Open, roll, same, windows_of
from wire.messages import Telemetry, parse


def test_the_last_word_of_each_kind(registry: Registry) -> None:
    door = Talker("door")
    first = door.telemetry(NOW_S)
    newest = door.telemetry(NOW_S + 10)
    registry.write([door.presence(NOW_S, True), door.state(NOW_S), first])
    registry.write([newest])
    known = registry.device("door")
    assert known is not None
    assert known.presence is not None and known.presence.online
    assert known.state is not None and known.state.board == "Raspberry Pi 4"
    assert known.telemetry == parse(newest.payload, Telemetry)
    assert (known.first_heard_s, known.heard_s) == (NOW_S, NOW_S + 10)
    assert known.reached_s == NOW_S + 10
    assert registry.device("window") is None


def test_what_comes_late_is_not_the_newest(registry: Registry) -> None:
    door = Talker("door")
    late, newest = door.telemetry(NOW_S), door.telemetry(NOW_S + 10)
    registry.write([newest])
    registry.write([late])
    known = registry.device("door")
    assert known is not None and known.telemetry == parse(newest.payload, Telemetry)


def test_a_moment_that_took_several_records_is_told_as_one(registry: Registry) -> None:
    door = Talker("door", pipelines=("lane",))
    one = door.telemetry(NOW_S)
    door.pipelines = ("gate",)
    other = door.telemetry(NOW_S + 0.01)
    for heard in (one, other):
        registry.write([heard])
    known = registry.device("door")
    assert known is not None and known.telemetry is not None
    assert set(known.telemetry.pipelines) == {"lane", "gate"}


def test_changed_says_each_batch_once(registry: Registry) -> None:
    talkers = [Talker(f"d{number}") for number in range(5)]
    registry.write([each.telemetry(NOW_S) for each in talkers])
    first = registry.changed(0)
    assert {known.name for known in first.devices} == {f"d{number}" for number in range(5)}
    assert registry.changed(first.mark).devices == ()
    registry.write([talkers[3].telemetry(NOW_S + 10)])
    second = registry.changed(first.mark)
    assert [known.name for known in second.devices] == ["d3"]
    assert second.mark > first.mark


def test_changed_can_be_asked_for_little_by_little(registry: Registry) -> None:
    for number in range(7):
        registry.write([Talker(f"a{number}").telemetry(NOW_S), Talker(f"b{number}").state(NOW_S)])
    names: list[str] = []
    mark, has_more = 0, True
    while has_more:
        some = registry.changed(mark, most=3)
        assert len(some.devices) <= 3 + 2, "whole batches, and no more"
        names += [known.name for known in some.devices]
        mark, has_more = some.mark, some.has_more
    assert sorted(names) == sorted([f"{a}{n}" for a in "ab" for n in range(7)])


def test_presence_says_since_when(registry: Registry) -> None:
    door = Talker("door")
    was_there = msgspec.structs.replace(door.presence(NOW_S, True), is_retained=True)
    registry.write([was_there])
    assert registry.device("door").online_since_s is None  # type: ignore[union-attr]
    registry.write([door.presence(NOW_S + 5, False)])
    registry.write([door.presence(NOW_S + 9, False)])
    assert registry.device("door").online_since_s == NOW_S + 5  # type: ignore[union-attr]


def test_a_device_that_was_taken_away(registry: Registry) -> None:
    door = Talker("door")
    registry.write([door.presence(NOW_S, True), door.state(NOW_S), door.telemetry(NOW_S)])
    mark = registry.changed(0).mark
    registry.write([Heard("door", "presence", b"", NOW_S + 1), Heard("door", "state", b"", NOW_S)])
    (known,) = registry.changed(mark).devices
    assert known.is_removed and known.presence is None and known.state is None
    registry.write([door.telemetry(NOW_S + 10)])
    assert not registry.device("door").is_removed  # type: ignore[union-attr]


def test_once_however_often_and_in_whatever_order(again: Open) -> None:
    """Two registries on one database, which take turns."""
    both = (again(), again())
    chance = random.Random(3)
    door = Talker("door")
    heard = [door.telemetry(NOW_S + 10 * number, oldest=1) for number in range(40)]
    copies = heard * 3
    chance.shuffle(copies)
    floor = 0
    while copies:
        batch = [copies.pop() for _ in range(min(len(copies), chance.randint(1, 7)))]
        written = chance.choice(both).write(batch)
        assert written.stored + written.duplicates == len(batch)
        (ack,) = written.acks
        assert ack.seq >= floor
        floor = ack.seq
    assert floor == 40
    for each in both:
        assert len(each.windows("door", "lane", HOUR)) == 40
        same(each.latency(HOUR, Scope(devices=["door"])), windows_of(heard))


def test_once_although_two_store_at_the_same_time(again: Open) -> None:
    door = Talker("door")
    heard = [door.telemetry(NOW_S + number, oldest=1) for number in range(300)]
    stored: list[int] = []

    def store(registry: Registry, order: list[Heard]) -> None:
        for start in range(0, len(order), 20):
            stored.append(registry.write(order[start : start + 20]).stored)

    threads = [
        threading.Thread(target=store, args=(again(), order)) for order in (heard, heard[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(stored) == 300
    last = again()
    same(last.latency(HOUR), windows_of(heard))
    roll(last)
    same(last.latency(HOUR, Scope(devices=["door"])), windows_of(heard))


def test_acks_say_what_is_stored_and_no_more(registry: Registry) -> None:
    door = Talker("door")
    one, two, three = (door.telemetry(NOW_S + number, oldest=1) for number in range(3))
    assert registry.write([one]).acks == (Floor("door", "5b001", 1),)
    assert registry.write([three]).acks == (Floor("door", "5b001", 1),)
    assert registry.write([two]).acks == (Floor("door", "5b001", 3),)
    assert registry.write([two]).acks == (Floor("door", "5b001", 3),)


def test_what_a_device_has_lost_is_a_gap_that_can_still_be_filled(registry: Registry) -> None:
    door = Talker("door")
    first, *lost = (door.telemetry(NOW_S + number, oldest=1) for number in range(4))
    registry.write([first])
    written = registry.write([door.telemetry(NOW_S + 9)])
    assert written.acks == (Floor("door", "5b001", 5),)
    (gap,) = registry.gaps("door", HOUR)
    assert (gap.spool, gap.first, gap.last, gap.at_s) == ("5b001", 2, 4, NOW_S + 9)
    assert registry.device("door").lost == 3  # type: ignore[union-attr]
    assert registry.write([lost[1]]).stored == 1  # another ingester was slow with it
    assert [(gap.first, gap.last) for gap in registry.gaps("door", HOUR)] == [(2, 2), (4, 4)]
    assert registry.device("door").lost == 2  # type: ignore[union-attr]
    assert registry.gaps("door", Span(0, NOW_S)) == ()


def test_what_was_before_us_is_no_gap(registry: Registry) -> None:
    door = Talker("door", seq=500)
    written = registry.write([door.telemetry(NOW_S)])
    assert written.acks == (Floor("door", "5b001", 501),)
    assert registry.gaps("door", HOUR) == ()
    assert registry.device("door").lost == 0  # type: ignore[union-attr]


def test_what_cannot_be_read_is_refused_alone(registry: Registry) -> None:
    door = Talker("door")
    garbage = [
        Heard("door", "telemetry", b"{}", NOW_S),
        Heard("door", "state", b"\xff", NOW_S),
        Heard("../x", "state", b"", NOW_S),
    ]
    written = registry.write([*garbage, door.telemetry(NOW_S)])
    assert (written.stored, written.refused) == (1, 3)
    assert written.why is not None


def test_latency_is_a_merge_over_any_devices_and_time(registry: Registry) -> None:
    heard: dict[str, list[Heard]] = {}
    for number in range(6):
        talker = Talker(f"d{number}", chance=random.Random(number), version=str(number % 2))
        heard[talker.name] = [talker.telemetry(NOW_S + 10 + 60 * turn) for turn in range(70)]
    registry.write([each for many in zip(*heard.values(), strict=True) for each in many])
    spans = [
        Span(NOW_S, NOW_S + 3600), Span(NOW_S + 600, NOW_S + 1800), Span(NOW_S, NOW_S + 86_400),
        Span(NOW_S, NOW_S + 5 * 86_400),
    ]  # fmt: skip

    def check() -> None:
        for span in spans:
            for names in (["d1"], ["d0", "d2", "d5"], None):
                told = [
                    each
                    for name, many in heard.items()
                    for each in many
                    if (names is None or name in names) and span.from_s <= each.at_s < span.to_s
                ]
                same(registry.latency(span, Scope(devices=names)), windows_of(told))
            of_one = [each for n in (1, 3, 5) for each in heard[f"d{n}"]]
            told = [each for each in of_one if span.from_s <= each.at_s < span.to_s]
            same(registry.latency(span, Scope(version="1")), windows_of(told))

    check()
    roll(registry, NOW_S + 1900)  # a part of it
    check()
    roll(registry)
    check()
    late = Talker("d1", spool="5b002", chance=random.Random(77), version="1")
    more = [late.telemetry(NOW_S + 15 + 60 * turn) for turn in range(70)]
    heard["d1"] += more
    registry.write(more)
    check()
    roll(registry)
    check()


def test_nothing_is_there_of_what_was_never_heard(registry: Registry) -> None:
    registry.write([Talker("door").telemetry(NOW_S)])
    for scope in (Scope(devices=["x"]), Scope(pipeline="x"), Scope(model="x"), Scope(devices=[])):
        assert registry.latency(HOUR, scope).end_to_end.count == 0
        assert registry.series(HOUR, scope) == ()
    assert registry.windows("x", "lane", HOUR) == ()
    assert registry.windows("door", "x", HOUR) == ()
    assert registry.vitals("x", HOUR) == ()


def test_windows_are_as_fine_as_there_is_room(registry: Registry) -> None:
    door = Talker("door")
    registry.write([door.telemetry(NOW_S + 10 * turn) for turn in range(360)])
    fine = registry.windows("door", "lane", HOUR)
    assert len(fine) == 360
    assert (fine[0].start_s, fine[0].seconds, fine[0].frames) == (NOW_S - 10, 10.0, 30)
    assert fine[0].fps == 3.0
    assert (fine[0].losses.skipped, fine[0].losses.driver) == (2, 1)
    assert (fine[0].model, fine[0].version) == ("digits", "1")
    few = registry.windows("door", "lane", HOUR, most=36)
    assert 36 <= len(few) <= 37
    assert sum(stretch.frames for stretch in few) == 360 * 30
    roll(registry)
    tens = registry.windows("door", "lane", Span(NOW_S - 43_200, NOW_S + 3600))
    assert [stretch.frames for stretch in tens] == [1800] * 6
    hours = registry.windows("door", "lane", Span(NOW_S - 10 * 86_400, NOW_S + 3600))
    assert [(each.start_s, each.frames, each.seconds) for each in hours] == [
        (NOW_S, 10_800, 3600.0)
    ]


def test_another_model_is_another_stretch(registry: Registry) -> None:
    door = Talker("door")
    first = [door.telemetry(NOW_S + 10 * turn) for turn in range(3)]
    door.version = "2"
    registry.write([*first, *(door.telemetry(NOW_S + 30 + 10 * turn) for turn in range(3))])
    found = registry.windows("door", "lane", HOUR, most=1)
    assert [(each.version, each.frames) for each in found] == [("1", 90), ("2", 90)]


def test_vitals_say_the_worst(registry: Registry) -> None:
    door = Talker("door")
    heard = [door.telemetry(NOW_S + 10 * turn) for turn in range(179)]
    door.hottest_c, door.throttled = 82.55, ("under_voltage", "made up")
    registry.write([*heard, door.telemetry(NOW_S + 1790)])
    fine = registry.vitals("door", HOUR)
    assert len(fine) == 180
    first = fine[0]
    assert (first.hottest_c, first.cpu_percent) == (55.0, 30.0)
    assert (first.memory_percent, first.disk_percent, first.throttled) == (75.0, 75.0, ())
    assert fine[-1].hottest_c == pytest.approx(82.55, abs=0.06)
    assert fine[-1].throttled == ("under_voltage", "other")
    day = Span(NOW_S - 43_200, NOW_S + 43_200)
    ten_days = Span(NOW_S - 9 * 86_400, NOW_S + 86_400)
    for _ in range(2):
        assert [v.hottest_c for v in registry.vitals("door", day)][:2] == [55.0, 55.0]
        worst = registry.vitals("door", ten_days)
        assert max(v.hottest_c or 0 for v in worst) == pytest.approx(82.55, abs=0.06)
        roll(registry)
    assert len(registry.vitals("door", day)) == 3
    late = Talker("door", spool="5b002", hottest_c=90.0)
    registry.write([late.telemetry(NOW_S + 700)])
    assert [v.hottest_c for v in registry.vitals("door", day)][1] == 90.0


def test_series_add_devices_up(registry: Registry) -> None:
    talkers = [Talker(f"d{number}", version=str(number % 2)) for number in range(4)]
    for turn in range(30):
        registry.write([each.telemetry(NOW_S + 5 + 10 * turn) for each in talkers])
    span = Span(NOW_S, NOW_S + 300)
    for _ in range(2):
        for scope in (Scope(), Scope(devices=[each.name for each in talkers])):
            found = registry.series(span, scope)
            assert len(found) == 2 * 5
            assert {(each.version, each.frames) for each in found} == {("0", 360), ("1", 360)}
            assert found[0].fps == pytest.approx(6.0)
        roll(registry, NOW_S + 1000)
    assert registry.series(span, Scope(version="1"))[0].version == "1"


def test_events_can_be_searched(registry: Registry) -> None:
    door, gate = Talker("door"), Talker("gate")
    registry.write(
        [door.event(NOW_S + number, f"the camera 100%_{number} went away") for number in range(9)]
        + [gate.event(NOW_S, "Robert'); DROP TABLE event;--\0", "fault")]
    )
    page = registry.events(EventQuery(most=4))
    assert [row.at_s - NOW_S for row in page.events] == [8, 7, 6, 5]
    rest = registry.events(EventQuery(most=40, before_id=page.before_id))
    assert len(rest.events) == 6 and rest.before_id is None
    assert [row.device for row in rest.events[-2:]] == ["gate", "door"], "who came last is first"
    assert rest.events[-2].event.text.startswith("Robert")
    assert len(registry.events(EventQuery(text="CAMERA 100%_3")).events) == 1
    assert len(registry.events(EventQuery(text="100x")).events) == 0
    assert len(registry.events(EventQuery(text="drop table")).events) == 1
    assert len(registry.events(EventQuery(device="door")).events) == 9
    assert len(registry.events(EventQuery(device="nobody")).events) == 0
    assert len(registry.events(EventQuery(kind="fault", subject="camera")).events) == 1
    assert len(registry.events(EventQuery(span=Span(NOW_S + 2, NOW_S + 4))).events) == 2
    assert registry.events(EventQuery(after_id=page.newest_id)).events == ()


def test_events_are_in_the_order_of_time_and_paged_without_a_hole(registry: Registry) -> None:
    """Whatever comes while somebody reads page after page, and whatever goes."""
    chance = random.Random(5)
    door, gate = Talker("door"), Talker("gate")
    times = [NOW_S + chance.randrange(20) for _ in range(120)]  # many at the same time
    for at_s in times:
        registry.write([chance.choice((door, gate)).event(at_s, "the camera went away")])
    rows = registry.events(EventQuery(most=1000)).events
    assert [row.at_s for row in rows] == sorted(times, reverse=True)
    for device in (None, "door"):
        wanted = [(row.at_s, row.id) for row in rows if device in (None, row.device)]
        assert wanted == sorted(wanted, reverse=True)
        read: list[tuple[float, int]] = []
        before = None
        while True:
            page = registry.events(EventQuery(device=device, before_id=before, most=7))
            read += [(row.at_s, row.id) for row in page.events]
            before = page.before_id
            if before is None:
                break
            registry.write([gate.event(NOW_S + 100 + len(read), "meanwhile")])
        assert read == [each for each in wanted if each in read] and len(read) == len(wanted)
        rows = registry.events(EventQuery(most=1000)).events


def test_what_is_new_is_told_as_it_came_also_what_came_late(registry: Registry) -> None:
    door, gate = Talker("door"), Talker("gate")
    registry.write([door.event(NOW_S + 10, "first")])
    page = registry.events(EventQuery())
    registry.write([door.event(NOW_S + 20, "second"), gate.event(NOW_S - 500, "of long ago")])
    new = registry.events(EventQuery(after_id=page.newest_id)).events
    assert [row.event.text for row in new] == ["of long ago", "second"]
    texts = [row.event.text for row in registry.events(EventQuery()).events]
    assert texts == ["second", "first", "of long ago"]


def test_a_page_goes_on_also_if_its_last_event_is_gone(registry: Registry) -> None:
    door, gate = Talker("door"), Talker("gate")
    for turn in range(10):
        registry.write([(door, gate)[turn % 2].event(NOW_S + turn, "so")])
    page = registry.events(EventQuery(most=3))
    assert page.events[-1].device == "gate"
    registry.forget("gate")
    rest = registry.events(EventQuery(before_id=page.before_id))
    assert [row.at_s - NOW_S for row in rest.events] == [6, 4, 2, 0]


def test_an_update_is_told_step_by_step(registry: Registry) -> None:
    door, gate = Talker("door"), Talker("gate")
    registry.write([door.phase(NOW_S, "fetching"), gate.phase(NOW_S + 1, "fetching")])
    trial = door.phase(NOW_S + 20, "trial")
    registry.write([door.phase(NOW_S + 30, "good")])
    registry.write([trial])  # it comes late
    registry.write([gate.phase(NOW_S + 9, "rejected")])
    first, second = registry.updates(UpdateQuery())
    assert (first.device, first.phase) == ("door", "good")
    assert [step.phase for step in first.steps] == ["fetching", "trial", "good"]
    assert (first.began_s, first.changed_s) == (NOW_S, NOW_S + 30)
    assert (first.model, first.version, first.deployment) == ("digits", "2", 3)
    assert (second.phase, second.steps[-1].reason) == ("rejected", "so rejected")
    assert registry.updates(UpdateQuery(is_open=True)) == ()
    assert len(registry.updates(UpdateQuery(device="gate", version="2"))) == 1
    assert registry.updates(UpdateQuery(deployment=4)) == ()
