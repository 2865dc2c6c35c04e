"""What every book of alerts keeps, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from fleet.alerts.book import AlertBook, Told, open_book
from fleet.alerts.ledger import Change, Trouble

HARD = Trouble("rolled_back", "door", "it was '; DROP TABLE alert; -- \u2603", "mark", ("a", "b"))


@pytest.fixture
def book(url: str) -> Iterator[AlertBook]:
    with closing(open_book(url)) as book:
        yield book


def test_what_stands_and_what_was(book: AlertBook, url: str) -> None:
    book.save([Change("raised", HARD, 1.5, 2.5)], [])
    book.save([Change("worse", HARD, 1.5, 9.5)], [])
    with closing(open_book(url)) as again:
        (standing,) = again.standing()
        assert (standing.trouble, standing.began_s, standing.told_s) == (HARD, 1.5, 9.5)
        assert standing.told_mark == "mark"
        assert [kept.change.turn for kept in again.history()] == ["worse", "raised"]
    book.save([Change("over", HARD, 1.5, 10.5)], [])
    assert book.standing() == ()
    newest = book.history(1)[0].number
    assert [kept.change.turn for kept in book.changes(newest - 2)] == ["worse", "over"]
    assert [kept.change.turn for kept in book.history(5, before=newest)] == ["worse", "raised"]
    assert book.changes(newest - 1)[0].change.trouble.groups == ("a", "b")


def test_the_forgotten_are_gone(book: AlertBook) -> None:
    other = Trouble("hot", "gate", "91 C hot")
    book.save([Change("raised", each, 1, 2) for each in (HARD, other)], [])
    book.save([], [("rolled_back", "door")])
    assert [one.trouble for one in book.standing()] == [other]


def test_targets(book: AlertBook) -> None:
    book.save([Change("raised", HARD, 1, 2)], [])
    newest = book.history(1)[0].number
    assert book.told("one") == Told(newest), "who is new is not told of what was"
    told = Told(newest, 5.5, 6.5, 3, "it does not answer")
    book.tell("one", told)
    assert book.told("one") == told
    assert book.told("two") == Told(newest)


def test_what_is_being_sent_is_noted_until_it_is_known_how_it_went(book: AlertBook) -> None:
    assert book.told("mail").sending is None
    book.begin("mail", 3)
    book.begin("mail", 4)
    assert book.told("mail").sending == 4
    assert book.told("other").sending is None
    book.tell("mail", Told(0, tried_s=5.0, tries=1, why="no", sending=4))
    assert book.told("mail").sending == 4
    book.tell("mail", Told(4, 6.0))
    assert book.told("mail") == Told(4, 6.0)


def test_one_holds_the_lease(book: AlertBook, url: str) -> None:
    assert book.hold("one", 100, 60)
    assert book.hold("one", 130, 60), "again"
    with closing(open_book(url)) as other:
        assert not other.hold("two", 189, 60)
        assert other.hold("two", 191, 60)
    assert not book.hold("one", 200, 60)
    book.let_go("one")
    assert not book.hold("one", 200, 60), "it was not its own to let go"
    book.let_go("two")
    assert book.hold("one", 200, 60)


def test_of_many_that_begin_at_once_one_gets_it(url: str) -> None:
    books = [open_book(url) for _ in range(4)]
    got: list[bool] = []
    ready = threading.Barrier(4)

    def try_it(number: int) -> None:
        ready.wait()
        got.append(books[number].hold(str(number), 100, 60))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in books:
        each.close()
    assert sorted(got) == [False, False, False, True]
