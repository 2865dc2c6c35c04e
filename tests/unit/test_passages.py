"""Zones and lines in telemetry: each crossing is in one window, whoever restarts or changes."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from agent.ledger import Ledger, newest
from runtime.tasks import Class
from runtime.tracking.passages import MOST_OF_LABELS, Passages
from runtime.tracking.places import Moved
from tests.rig import totals
from tests.unit.test_zones import FLOOR, LEFT, Floor, box
from tests.walking import result_of
from wire.happenings import LONGEST_LABEL, MOST_PASSAGES, Passage, Places
from wire.local import Totals
from wire.messages import Window, parse, to_json
from wire.observation import Observation, Tracking, Zone
from wire.troubles import Refused

OVER, BACK = [k / 100 for k in range(80, 29, -2)], [k / 100 for k in range(30, 81, 2)]
WEST = Passage("line", "middle", "west", 1, "0")
ENTERED, LEFT_IT = (Passage("zone", "left", way, 1, "0") for way in ("entered", "left"))


def told(places: Places | None) -> set[tuple[str, str, str, int]]:
    assert places is not None
    return {(each.where, each.way, each.label, each.count) for each in places.passed}


def test_telemetry_has_who_came_who_went_and_who_is_there() -> None:
    floor = Floor()
    assert floor.observer.places == Places(), "nobody knows yet"
    floor.observer(result_of((Class(3, "3", 0.9),), 1.0))  # type: ignore[arg-type]
    assert floor.observer.places == Places(), "a classifier finds nobody"
    floor.see()
    assert floor.observer.places == Places({"left": 0})
    floor.walk(*OVER)
    before = floor.observer.places
    assert before is not None and before.inside == {"left": 1}
    (direction,) = {each[2] for each in floor.happened() if each[0] == "cross"}
    assert told(before) == {("left", "entered", "0", 1), ("middle", direction, "0", 1)}
    floor.walk(*BACK)
    after = floor.observer.places
    assert after is not None and after.inside == {"left": 0} and len(after.passed) == 4


def test_no_zone_and_no_line_is_nothing() -> None:
    assert Floor(Observation(tracking=Tracking())).observer.places is None


def test_what_was_counted_stays_when_a_zone_changes_or_goes() -> None:
    """Totals that shrink would be refused as impossible."""
    floor = Floor()
    floor.walk(*OVER)
    before = told(floor.observer.places)
    floor.observer.apply(replace(FLOOR, zone={"left": Zone(LEFT, margin=0.2)}))
    floor.see(box(0.3))
    assert ("left", "entered", "0", 2) in told(floor.observer.places)
    floor.observer.apply(replace(FLOOR, zone={}))
    floor.see(box(0.3))
    places = floor.observer.places
    assert places is not None and places.inside == {}
    assert {each[:3] for each in before} <= {each[:3] for each in told(places)}


def moved(label: str, where: str = "gate") -> Moved:
    return Moved("cross", where, 1, label, 1.0, "in")


def test_labels_without_end_are_counted_together(caplog: pytest.LogCaptureFixture) -> None:
    passages = Passages()
    passages.add(moved(f"{k} {'x' * 200}") for k in range(500))
    found = passages.told()
    assert sum(each.count for each in found) == 500
    assert len(found) == MOST_OF_LABELS + 1 and found[-1].label == ""
    assert max(len(each.label) for each in found) == LONGEST_LABEL
    passages.add(moved("person", f"gate{k}") for k in range(500))
    assert len(passages.told()) == MOST_PASSAGES
    assert caplog.text.count("restarted") == 1


def test_the_most_that_can_be_said_fits_the_smallest_broker() -> None:
    """Packets of 64 KiB. 16 zones and 16 lines, the longest names, labels that JSON makes long."""
    passages = Passages()
    for k in range(16):
        zone, line = f"z{k:02}".ljust(64, "z"), f"l{k:02}".ljust(64, "l")
        for n in range(8):
            label = f"{k}{n}".ljust(LONGEST_LABEL, "\1")
            passages.add([Moved("enter", zone, n, label, 1.0), Moved("leave", zone, n, label, 1.0)])
            passages.add(
                Moved("cross", line, n, label, 1.0, way.ljust(64, way)) for way in ("i", "o")
            )
    places = Places({}, passages.told())
    assert len(places.passed) > 1.5 * MOST_OF_LABELS
    assert 40_000 < len(to_json(places)) < 60_000


def says(frames: int, *passed: Passage, run: str = "run1", inside: int = 0) -> Totals:
    return totals(frames, frames / 30, run, places=Places({"left": inside}, passed))


def cut(ledger: Ledger, silent: set[str] | None = None) -> Window:
    return ledger.cut(60.0, silent or set(), None)[1]["lane"]


def test_every_crossing_is_in_one_window() -> None:
    ledger = Ledger("boot", 0.0, None)
    assert ledger.hear(says(10, WEST, ENTERED, inside=1))
    assert cut(ledger).places == Places({"left": 1}, (WEST, ENTERED))
    assert ledger.hear(says(20, replace(WEST, count=5), ENTERED, LEFT_IT))
    again = Ledger("boot", 1.0, newest([ledger.book()]))  # killed
    assert cut(again).places == Places({"left": 0}, (replace(WEST, count=4), LEFT_IT))
    assert cut(again, {"lane"}).places == Places()  # silent: nobody knows who is there


@pytest.mark.parametrize("phase", ["no_camera", "no_model", "ended"])
def test_who_does_not_see_does_not_know_who_is_inside(phase: str) -> None:
    ledger = Ledger("boot", 0.0, None)
    ledger.hear(says(10, WEST, inside=2))
    ledger.hear(replace(says(10, WEST, inside=2), phase=phase))
    assert cut(ledger).places == Places({}, (WEST,))


def test_a_restart_of_the_runtime_loses_none() -> None:
    ledger = Ledger("boot", 0.0, None)
    ledger.hear(says(10, replace(WEST, count=3)))
    ledger.hear(says(5, replace(WEST, count=2), run="run2"))
    assert cut(ledger).places == Places({"left": 0}, (replace(WEST, count=5),))


@pytest.mark.parametrize(
    "later", [says(20), says(20, replace(WEST, count=4)), says(20, replace(WEST, count=2**60))]
)
def test_counts_that_cannot_be_true_are_refused(later: Totals) -> None:
    ledger = Ledger("boot", 0.0, None)
    assert ledger.hear(says(10, replace(WEST, count=5)))
    assert not ledger.hear(later)


def test_a_book_of_before_there_were_places_is_read() -> None:
    ledger = Ledger("boot", 0.0, None)
    ledger.hear(totals(10, 1.0))
    book = msgspec.msgpack.decode(ledger.book())
    account = book["accounts"]["lane"]
    del account["latest"]["places"], account["taken"]["passed"], account["carried"]["passed"]
    old = Ledger("boot", 1.0, newest([msgspec.msgpack.encode(book)]))
    assert old.latest("lane") is not None and cut(old).places is None


@pytest.mark.parametrize(
    "places",
    [
        {"passed": [{"kind": "zone", "where": "a", "way": "in", "count": 1}] * 257},
        {"passed": [{"kind": "zone", "where": "a", "way": "in", "count": -1}]},
        {"passed": [{"kind": "zone", "where": "a\n", "way": "in", "count": 1}]},
        {"passed": [{"kind": "zone", "where": "a", "way": "in", "count": 1, "label": "x" * 101}]},
        {"inside": {"a b": 1}},
        {"inside": {f"z{k}": 1 for k in range(257)}},
    ],
)
def test_a_message_has_bounds(places: dict[str, object]) -> None:
    ledger = Ledger("boot", 0.0, None)
    ledger.hear(totals(10, 1.0))
    window = msgspec.to_builtins(cut(ledger))
    assert parse(to_json(msgspec.convert(window, Window)), Window)
    with pytest.raises(Refused):
        parse(msgspec.json.encode(window | {"places": places}), Window)
