"""Alerts in a real database, told by real HTTP: exactly once, over restarts and outages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fleet.accounts.tables import open_engine
from fleet.alerts import book as book_module
from fleet.alerts.alerts import Alerts
from fleet.alerts.book import AlertBook, Told
from fleet.alerts.bulletin import Message
from fleet.alerts.ledger import Change, Trouble
from fleet.alerts.sending import address_of, send
from fleet.alerts.terms import Alerting, Target, check
from fleet.commands import alerts as command
from fleet.live.line import Line
from tests.alert_inbox import Inbox
from tests.telling import NOW_S
from tests.unit.test_alerts import healthy, line
from wire.troubles import Refused, Unavailable

QUICK = Alerting(gather_s=20, pace_s=120, hold_s={"silent": 60})


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(f"sqlite:///{tmp_path / 'fleet.db'}")
    yield made
    made.dispose()


def alerts(engine: Engine, *urls: str, terms: Alerting = QUICK) -> Alerts:
    return Alerts("yard", terms, [Target(url=url) for url in urls], AlertBook(engine))


def silent(now_s: float, *names: str) -> list[Line]:
    """These were not heard for long; `gate` was just now."""
    long_ago = [line(name, healthy(name, NOW_S - 5000), now_s) for name in names]
    return [*long_ago, line("gate", healthy("gate", now_s - 1), now_s)]


def walk(told: Alerts, seconds: int, *names: str, from_s: float = NOW_S) -> float:
    """Let time pass. Returns when it is."""
    for at_s in range(0, seconds, 5):
        told.step(silent(from_s + at_s, *names), [], from_s + at_s)
    return from_s + seconds


def test_a_device_that_falls_silent_and_comes_back(engine: Engine, inbox: Inbox) -> None:
    told = alerts(engine, inbox.url)
    now_s = walk(told, 90, "door")
    assert inbox.titles == ["[yard] door: newest record is 84 min old"]
    assert inbox.taken[0]["type"] == "warning"
    now_s = walk(told, 600, "door", from_s=now_s)
    assert len(inbox.taken) == 1, "once"
    walk(told, 300, from_s=now_s)  # the door is no more: nobody is told
    assert len(inbox.taken) == 1
    told.close()


def test_it_is_said_when_it_is_over(engine: Engine, inbox: Inbox) -> None:
    told = alerts(engine, inbox.url)
    now_s = walk(told, 90, "door")
    for _ in range(60):
        now_s += 5
        back = line("door", healthy("door", now_s - 1), now_s)
        told.step([back, *silent(now_s)], [], now_s)
    assert inbox.titles[1:] == ["[yard] over: door: silent"]
    assert inbox.taken[1]["type"] == "success"
    assert AlertBook(engine).standing() == ()
    told.close()


def test_many_that_fall_silent_are_one_message(engine: Engine, inbox: Inbox) -> None:
    told = alerts(engine, inbox.url)
    names = [f"cam-{number}" for number in range(500)]
    walk(told, 90, *names)
    assert inbox.titles == ["[yard] 500 devices silent"]
    assert len(AlertBook(engine).standing()) == 500
    told.close()


def test_messages_keep_their_pace(engine: Engine, inbox: Inbox) -> None:
    """One device after the other: they are gathered."""
    told = alerts(engine, inbox.url)
    now_s = NOW_S
    names: list[str] = []
    for number in range(20):
        names.append(f"cam-{number}")
        now_s = walk(told, 30, *names, from_s=now_s)
    now_s = walk(told, 300, *names, from_s=now_s)
    assert 4 <= len(inbox.taken) <= 8
    assert sum(one["message"].count("cam-") for one in inbox.taken) == 20
    told.close()


def test_a_restart_neither_repeats_nor_forgets(engine: Engine, inbox: Inbox) -> None:
    first = alerts(engine, inbox.url)
    now_s = walk(first, 90, "door")
    inbox.status = 500  # what is found now cannot be told
    now_s = walk(first, 150, "door", "yard", from_s=now_s)
    assert len(inbox.taken) == 1
    first.close()
    inbox.status = 200
    second = alerts(engine, inbox.url)
    walk(second, 300, "door", "yard", from_s=now_s)
    assert inbox.titles[1:] == ["[yard] yard: newest record is 86 min old"]
    second.close()


@pytest.mark.slow
def test_a_target_that_is_away_is_tried_more_and_more_rarely(
    engine: Engine, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.status = 503
    told = alerts(engine, inbox.url)
    now_s = walk(told, 3600, "door")
    book = AlertBook(engine)
    how = book.told(address_of(Target(url=inbox.url)).id)
    assert 5 <= how.tries <= 8 and how.why is not None
    complaints = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len([one for one in complaints if "[[alerts]] number 1" in one]) == 1
    assert not any("secret" in one for one in (*complaints, how.why))
    inbox.status = 200
    walk(told, 1900, "door", from_s=now_s)
    assert len(inbox.taken) == 1
    told.close()


def test_a_target_that_works_is_told_though_another_does_not(engine: Engine, inbox: Inbox) -> None:
    told = alerts(engine, "json://127.0.0.1:1/?cto=1&rto=1", inbox.url)
    walk(told, 120, "door")
    assert len(inbox.taken) == 1
    told.close()


def test_of_two_processes_one_tells(engine: Engine, inbox: Inbox) -> None:
    one, other = alerts(engine, inbox.url), alerts(engine, inbox.url)
    for at_s in range(0, 120, 5):
        one.step(silent(NOW_S + at_s, "door"), [], NOW_S + at_s)
        other.step(silent(NOW_S + at_s, "door"), [], NOW_S + at_s)
    assert (one.is_ours, other.is_ours, len(inbox.taken)) == (True, False, 1)
    one.close()
    now_s = walk(other, 60, "door", "yard", from_s=NOW_S + 120)
    walk(other, 150, "door", "yard", from_s=now_s)
    assert other.is_ours and len(inbox.taken) == 2, "what it goes on with, and no more"
    other.close()


def test_who_died_is_followed(engine: Engine, inbox: Inbox) -> None:
    one, other = alerts(engine, inbox.url), alerts(engine, inbox.url)
    one.step([], [], NOW_S)
    other.step([], [], NOW_S + 29)
    assert not other.is_ours
    other.step([], [], NOW_S + 31)
    assert other.is_ours
    other.close()


def test_a_new_target_is_not_told_of_old_times(engine: Engine, inbox: Inbox) -> None:
    walk(first := alerts(engine), 90, "door")
    first.close()
    second = alerts(engine, inbox.url)
    walk(second, 300, "door", from_s=NOW_S + 90)
    assert inbox.taken == []
    second.close()


def test_what_is_found_at_the_first_look_is_told(engine: Engine, inbox: Inbox) -> None:
    told = alerts(engine, inbox.url)
    for at_s in range(0, 40, 5):
        told.step([], [Trouble("expiry", "", "root expires in 20 days")], NOW_S + at_s)
    assert inbox.titles == ["[yard] root expires in 20 days"]
    told.close()


def test_the_oldest_changes_go(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MOST_CHANGES", 30)
    monkeypatch.setattr(book_module, "TIDY_EVERY", 10)
    book = AlertBook(engine)
    for number in range(100):
        book.save([Change("raised", Trouble("hot", f"d{number}", "x"), 1, 2)], [])
    kept = book.history(1000)
    assert 30 <= len(kept) <= 40 and kept[0].change.trouble.subject == "d99"


def test_targets_choose(engine: Engine, inbox: Inbox) -> None:
    targets = [
        Target(url=inbox.url + "/a", kinds=("hot",)),
        Target(url=inbox.url + "/b", groups=("yard",)),
        Target(url=inbox.url + "/c", groups=("doors",)),
    ]
    told = Alerts("yard", QUICK, targets, AlertBook(engine))
    walk(told, 90, "door")
    assert len(inbox.taken) == 1, "its group is doors, and it is silent, not hot"
    for at_s in range(100, 400, 5):
        expiry = Trouble("expiry", "", "root expires in 20 days")
        told.step(silent(NOW_S + at_s, "door"), [expiry], NOW_S + at_s)
    assert inbox.titles[1:] == ["[yard] root expires in 20 days"] * 2, "the fleet is everybody's"
    told.close()


def test_a_database_that_is_away_stops_nothing(
    engine: Engine, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = alerts(engine, inbox.url)
    now_s = walk(told, 30, "door")
    with monkeypatch.context() as patch:

        def away(*_: object) -> None:
            raise Unavailable("the database does not answer")

        patch.setattr(AlertBook, "save", away)
        now_s = walk(told, 90, "door", from_s=now_s)
        assert inbox.taken == []
    walk(told, 60, "door", from_s=now_s)
    assert len(inbox.taken) == 1, "what was found meanwhile is not lost"
    told.close()


def test_what_is_kept_is_read_again(engine: Engine) -> None:
    book = AlertBook(engine)
    trouble = Trouble("rolled_back", "door", "it was \x1b slow; DROP TABLE alert", "m", ("a", "b"))
    book.save([Change("raised", trouble, 1.5, 2.5)], [])
    book.save([Change("worse", trouble, 1.5, 9.5)], [])
    (standing,) = book.standing()
    assert (standing.trouble, standing.began_s, standing.told_s) == (trouble, 1.5, 9.5)
    assert standing.told_mark == "m"
    assert [kept.change.turn for kept in book.history()] == ["worse", "raised"]
    assert [kept.number for kept in book.changes(1)] == [2]
    book.save([Change("over", trouble, 1.5, 10.5)], [])
    assert book.standing() == ()
    assert book.told("new") == Told(3)
    book.save([Change("raised", trouble, 1.5, 11.5)], [])
    book.save([], [("rolled_back", "door")])
    assert book.standing() == ()


def test_addresses(tmp_path: Path, inbox: Inbox) -> None:
    shown = address_of(Target(url=inbox.url)).shown
    assert shown.startswith("json://") and "secret" not in shown
    file = tmp_path / "url"
    file.write_text(inbox.url + "\n")
    kept = address_of(Target(url_file=str(file)))
    assert kept.url == inbox.url
    send(kept, Message("title", "body", "trouble"))
    assert inbox.titles == ["title"]
    with pytest.raises(Refused, match="no address that Apprise knows") as refused:
        address_of(Target(url="nonsense://tok3n@host"))
    assert "tok3n" not in str(refused.value)
    file.write_text("two words")
    with pytest.raises(Refused, match="one address"):
        address_of(Target(url_file=str(file)))
    with pytest.raises(Unavailable, match="cannot be read"):
        address_of(Target(url_file=str(tmp_path / "none")))
    inbox.status = 404
    with pytest.raises(Unavailable, match="json://") as broken:
        send(kept, Message("title", "body", "over"))
    assert "secret" not in str(broken.value)


def test_a_target_has_one_address() -> None:
    check(
        (Target(url="json://host"), Target(url_file="/a")),
        Alerting(hold_s={"hot": 0}, page="https://here"),
        "f",
    )
    for wrong in (Target(), Target(url="json://host", url_file="/a")):
        with pytest.raises(Refused, match="number 1"):
            check((wrong,), Alerting(), "fleet.toml")
    with pytest.raises(Refused, match="no kind 'hott'"):
        check((), Alerting(hold_s={"hott": 1}), "fleet.toml")
    with pytest.raises(Refused, match="calm_s: there is no kind 'hott'"):
        check((), Alerting(calm_s={"hott": 1}), "fleet.toml")
    with pytest.raises(Refused, match="https://"):
        check((), Alerting(page="javascript:alert(1)"), "fleet.toml")


def test_the_command_tries_targets_and_lists(
    tmp_path: Path, inbox: Inbox, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = '[broker]\nurl = "mqtt://localhost"\n'
    (tmp_path / "fleet.toml").write_text(f'name = "yard"\n{toml}')
    where = ("--dir", str(tmp_path))
    with pytest.raises(Refused, match=r"no \[\[alerts\]\]"):
        command.main(["--test", *where])
    with pytest.raises(Unavailable, match="no database yet"):
        command.main([*where])
    target = f'[[alerts]]\nurl = "{inbox.url}"\n'
    (tmp_path / "fleet.toml").write_text(f'name = "yard"\n{toml}{target}')
    assert command.main(["--test", *where]) == 0
    assert inbox.titles == ["[yard] a test"]
    said = capsys.readouterr().out
    assert "took it" in said and "secret" not in said
    inbox.status = 500
    assert command.main(["--test", "--json", *where]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"] and "error=500" in report["targets"][0]["why"]
    engine = open_engine(f"sqlite:///{tmp_path / 'registry.db'}")
    AlertBook(engine).save([Change("raised", Trouble("hot", "door", "91 C hot"), 1, 2)], [])
    engine.dispose()
    assert command.main([*where, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["standing"][0]["device"] == "door" and report["history"][0]["turn"] == "raised"
    assert command.main([*where]) == 0
    assert "door: 91 C hot" in capsys.readouterr().out
