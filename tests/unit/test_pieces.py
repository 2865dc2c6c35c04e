"""Pages in pieces: what changed is told once, and what hinders it is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from fleet.alerts.ledger import Change, Trouble, Turn
from fleet.serve.pages import pieces
from tests.fleet_web import VIEWER, Browser, Web, web
from wire.troubles import Unavailable


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


@pytest.fixture
def viewer(served: Web, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    monkeypatch.setattr(pieces, "LOOK_S", 0.05)
    with served.browser(VIEWER) as browser:
        yield browser


def change(turn: Turn, device: str) -> Change:
    return Change(turn, Trouble("hot", device, "91 C hot"), 1_790_000_000.0, 1_790_000_600.0)


def told(answer: httpx.Response) -> Iterator[tuple[str, dict[str, object]]]:
    """Kind and content of each event of a stream."""
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            yield kind, json.loads(line[5:])


def until_beats(events: Iterator[tuple[str, dict[str, object]]], many: int) -> list[object]:
    """Ids of the pieces that come before so many beats have."""
    found, beats = [], 0
    for kind, content in events:
        beats += kind == "beat"
        found += [content["id"]] if kind == "piece" else []
        if beats == many:
            return found
    raise AssertionError("the stream ended")


def test_an_alert_is_told_once_and_its_end_is(served: Web, viewer: Browser) -> None:
    with viewer.client.stream("GET", "/alerts/live") as answer:
        events = told(answer)
        assert until_beats(events, 1) == ["standing", "past"]
        assert until_beats(events, 3) == [], "nothing changed"
        served.parts.alerts.save([change("raised", "door")], [])
        found: dict[object, dict[str, object]] = {}
        while len(found) < 2:
            kind, content = next(events)
            found |= {content["id"]: content} if kind == "piece" else {}
        assert "91 °C hot" in str(found["standing"]["html"])
        assert found["standing"]["said"] == "Wrong now: 1 hot"
        assert "91 °C hot" in str(found["past"]["html"])
        served.parts.alerts.save([change("over", "door")], [])
        while "Nothing that lasts" not in str(found["standing"]["html"]):
            kind, content = next(events)
            found |= {content["id"]: content} if kind == "piece" else {}
        assert found["standing"]["said"] == "Nothing that lasts is wrong"


def test_an_older_page_of_the_past_stays(viewer: Browser) -> None:
    with viewer.client.stream("GET", "/alerts/live?before=7") as answer:
        assert until_beats(told(answer), 2) == ["standing"]


def test_a_database_that_is_away_is_said(
    served: Web, viewer: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, book = threading.Event(), served.parts.alerts
    really = book.standing

    def standing() -> object:
        if gone.is_set():
            raise Unavailable("the database is locked")
        return really()

    monkeypatch.setattr(book, "standing", standing)
    with viewer.client.stream("GET", "/alerts/live") as answer:
        events = told(answer)
        until_beats(events, 1)
        gone.set()
        words = next(c["trouble"] for kind, c in events if kind == "beat" and c["trouble"])
        assert words == "the database is locked"
        gone.clear()
        assert next(True for kind, c in events if kind == "beat" and c["trouble"] is None)


def test_models_are_told_in_pieces(viewer: Browser) -> None:
    with viewer.client.stream("GET", "/models/live") as answer:
        events = told(answer)
        assert until_beats(events, 1) == ["shelf", "deployed", "released", "waiting"]
        assert until_beats(events, 3) == []


def test_a_version_that_nobody_released_has_no_stream(viewer: Browser) -> None:
    for path in ("", "/live", "/golden/" + "0" * 64 + "/1"):
        assert viewer.get("/models/digits/9" + path).status_code == 404
