"""What zones and lines counted, as programs, spreadsheets and people get it."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest

from fleet.serve.api import passing
from tests.fleet_talk import NOW_S, Talker
from tests.fleet_web import OPERATOR, Browser, Web, web
from wire.happenings import Passage, Places

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Two doors with a line and a zone; another device without."""
    with web(tmp_path_factory.mktemp("web")) as opened:
        heard = []
        for name in ("door-1", "door-2"):
            door = Talker(name)
            for hour in range(3):
                passed = (
                    Passage("line", "gate", "in", 1000 + hour, "person"),
                    Passage("line", "gate", "in", 2, EVIL),
                    Passage("zone", "porch", "left", 5),
                )
                door.places = Places({"porch": 7}, passed)
                heard.append(door.telemetry(NOW_S + 3600 * hour + 5))
        heard.append(Talker("plain").telemetry(NOW_S))
        opened.hear(*heard, now_s=NOW_S + 7210)
        yield opened


@pytest.fixture(scope="module")
def token(served: Web) -> str:
    return served.accounts.add_token(OPERATOR, 1).secret


@pytest.fixture
def program(served: Web, token: str) -> Iterator[Browser]:
    with served.browser() as browser:
        yield browser


def asked(program: Browser, token: str, path: str) -> object:
    answer = program.get(f"/api/v1/{path}", authorization=f"Bearer {token}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_hour_by_hour(program: Browser, token: str) -> None:
    told = asked(
        program, token, f"devices/door-1/passages?from_s={NOW_S + 3600}&to_s={NOW_S + 3601}"
    )
    assert isinstance(told, list) and len(told) == 3
    assert told[0] == {
        "start_s": NOW_S + 3600, "device": "door-1", "pipeline": "lane", "kind": "line",
        "where": "gate", "way": "in", "label": "person", "count": 1001,
    }  # fmt: skip


def test_sums_over_devices(program: Browser, token: str) -> None:
    span = f"from_s={NOW_S}&to_s={NOW_S + 10_000}"
    told = asked(program, token, f"passages?{span}")
    assert isinstance(told, list) and len(told) == 6
    people = [each for each in told if each["label"] == "person"]
    assert [(each["device"], each["count"]) for each in people] == [
        ("door-1", 3003), ("door-2", 3003),
    ]  # fmt: skip
    assert asked(program, token, f"passages?{span}&device=door-2&pipeline=lane") == told[3:]
    assert asked(program, token, f"passages?{span}&device=plain") == []
    assert asked(program, token, f"passages?{span}&pipeline=nobody") == []


def test_a_spreadsheet(program: Browser, token: str) -> None:
    path = f"/api/v1/devices/door-1/passages.csv?from_s={NOW_S}&to_s={NOW_S + 10_000}"
    answer = program.get(path, authorization=f"Bearer {token}")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert len(rows) == 9 and sum(int(row["count"]) for row in rows) == 3003 + 6 + 15


def test_too_much_is_refused(program: Browser, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "MOST_LINES", 5)
    for path in ("passages", "devices/door-1/passages"):
        answer = program.get(
            f"/api/v1/{path}?from_s={NOW_S}&to_s={NOW_S + 10_000}", authorization=f"Bearer {token}"
        )
        assert answer.status_code == 400 and "fewer devices" in answer.json()["error"]


def test_the_page_of_a_device(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.serve.pages.device.time.time", lambda: NOW_S + 7210)
    with served.browser(OPERATOR) as browser:
        page = browser.get("/device/door-1").text
        assert "porch, inside" in page and "<dd>7</dd>" in page
        assert '<td class="num">1,004</td><td class="num">3,009</td>' in page
        assert EVIL not in page and "person 3,003, &lt;script&gt;" in page and "others 15" in page
        assert "counts-title" not in browser.get("/device/plain").text
