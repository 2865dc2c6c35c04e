"""Alerts go on for long: over clocks that are set back, and targets that are away for months."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from fleet.alerts.alerts import SELDOM_S, Alerts
from fleet.alerts.book import Told, open_book
from fleet.alerts.bulletin import Message
from fleet.alerts.ledger import Ledger, Sight, Trouble
from fleet.alerts.sending import Address, identity
from fleet.alerts.terms import TERMS, Alerting, Target

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
HOT = Trouble("hot", "door", "86 C hot")
EXPIRY = Trouble("expiry", "", "the release expires soon")


def test_what_lasts_is_raised_and_is_over_though_the_clock_was_set_back() -> None:
    ledger = Ledger(TERMS.__getitem__, DAY_S)
    hot, calm = Sight([HOT], {"", "door"}), Sight([], {"", "door"})
    assert ledger.look(hot, NOW_S + DAY_S) == []
    assert ledger.look(hot, NOW_S) == []
    (raised,) = ledger.look(hot, NOW_S + TERMS["hot"].hold_s)
    assert (raised.turn, raised.began_s) == ("raised", NOW_S)
    assert ledger.look(calm, NOW_S + DAY_S) == []
    assert ledger.look(calm, NOW_S + 300) == []
    (over,) = ledger.look(calm, NOW_S + 300 + TERMS["hot"].calm_s)
    assert over.turn == "over"


def test_a_target_is_told_though_the_clock_was_set_back(tmp_path: Path) -> None:
    sent: list[str] = []

    def send(address: Address, message: Message) -> None:
        sent.append(message.title)

    with closing(open_book(f"sqlite:///{tmp_path / 'a.db'}")) as book:
        target = Target(url="json://127.0.0.1:9/")
        alerts = Alerts("home", Alerting(gather_s=1, pace_s=120), [target], book, send)
        for passed_s in (0, 5):
            alerts.step((), [EXPIRY], NOW_S + DAY_S + passed_s)
        assert len(sent) == 1
        for passed_s in range(0, 70, 5):
            alerts.step((), [], NOW_S + passed_s)
        assert len(sent) == 2 and "over" in sent[1]


def test_a_lease_from_before_the_clock_was_set_back_is_over(tmp_path: Path) -> None:
    with closing(open_book(f"sqlite:///{tmp_path / 'a.db'}")) as book:
        assert book.hold("one", NOW_S + DAY_S, 30)
        assert book.hold("other", NOW_S, 30)
        assert not book.hold("one", NOW_S + 1, 30)


def test_a_target_that_was_away_for_months_is_tried_again(tmp_path: Path) -> None:
    sent: list[str] = []

    def send(address: Address, message: Message) -> None:
        sent.append(message.title)

    with closing(open_book(f"sqlite:///{tmp_path / 'a.db'}")) as book:
        target = Target(url="json://127.0.0.1:9/")
        alerts = Alerts("home", Alerting(gather_s=0), [target], book, send)
        alerts.step((), [], NOW_S)
        book.tell(identity(target), Told(0, None, NOW_S, 5000, "it was away"))
        alerts.step((), [EXPIRY], NOW_S + 60)
        assert sent == []
        alerts.step((), [EXPIRY], NOW_S + SELDOM_S)
        assert len(sent) == 1
