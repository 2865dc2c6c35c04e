"""Words of strangers on pages, in streams, tables and queries: XSS, formulas and SQL."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fleet.registry.words import Heard
from fleet.serve import api
from fleet.serve.app import PAGES
from tests.fleet_web import OPERATOR, Browser, Web, web
from tests.telling import event, presence, record, state, window
from wire.messages import Event, Update, to_json

EVIL = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}{%x%}<!--"
RAW = ("<img src=x", "<script>alert", "onerror=alert(1)>")
FORMULA = '=HYPERLINK("http://evil.example","click")'
NAME = "door"
SQL = (
    "' OR '1'='1", "'; DROP TABLE device; --", "\" OR 1=1 --", "%", "_", "\\",
    "a' UNION SELECT 1 --", "x%' ESCAPE '", "') OR ('a'='a",
)  # fmt: skip
NOW_S = 1_800_000_000.0


def hostile_event(seq: int, text: str) -> Event:
    update = Update("rejected", EVIL[:60], EVIL[:60], None, 1, NOW_S, None, text)
    return replace(event(seq, text, time=NOW_S), pipeline=EVIL[:60], update=update)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        one = replace(
            window(), model=EVIL, version=EVIL, engine=EVIL, camera=EVIL, absent=EVIL,
            throttled=(EVIL,),
        )  # fmt: skip
        told = state(faults=(EVIL, f"door: camera: {EVIL}"), config=EVIL)
        running = {
            name: replace(each, model=EVIL, version=EVIL, camera=EVIL, absent=EVIL, engine=EVIL)
            for name, each in told.pipelines.items()
        }
        told = replace(
            told, board=EVIL, groups=(EVIL, FORMULA), pipelines=running | {EVIL: running["door"]}
        )
        said = [
            (presence(True), "presence"),
            (told, "state"),
            (record(1, {"door": one, EVIL: one}, time=NOW_S), "telemetry"),
            (hostile_event(2, EVIL), "event"),
            (hostile_event(3, FORMULA), "event"),
        ]
        heard = [Heard(NAME, kind, to_json(message), NOW_S) for message, kind in said]  # type: ignore[arg-type]
        opened.hear(*heard, now_s=NOW_S)
        assert NAME in opened.parts.live.sight.by_name
        yield opened


@pytest.fixture(scope="module")
def operator(served: Web) -> Iterator[Browser]:
    with served.browser(OPERATOR) as browser:
        yield browser


def pages() -> list[str]:
    paths = [
        p for r in (*PAGES, *api.ROUTES) if "GET" in r.handler.http_methods for p in r.handler.paths
    ]
    filled = [path.replace("{name:str}", NAME).replace("{pipeline:str}", "door") for path in paths]
    return sorted(path for path in filled if "{" not in path)


@pytest.mark.parametrize("path", pages())
def test_words_of_a_device_are_words(path: str, operator: Browser) -> None:
    """In whatever they are shown, and in streams, too, of which pages make elements."""
    query = "?pipeline=door&from_s=0&to_s=2000000000"
    with operator.client.stream("GET", path + query) as answer:
        assert answer.status_code < 500 or answer.status_code == 503
        kind = answer.headers.get("content-type", "")
        if "event-stream" in kind:
            content = next(answer.iter_text())
            content += "".join(_html_in(content))
        else:
            content = answer.read().decode("utf-8", "replace")
        if "json" in kind or "csv" in kind or path == "/metrics":
            assert "text/html" not in kind
            assert answer.headers["x-content-type-options"] == "nosniff"
            return
        for raw in RAW:
            assert raw not in content, content[max(0, content.find(raw) - 300) :][:600]
        assert "49" not in content or "{{7*7}}" in content or "7*7" not in content


def _html_in(stream: str) -> Iterator[str]:
    """Strings of the JSON that events carry."""
    for line in stream.splitlines():
        if line.startswith("data:"):
            try:
                yield from _strings(json.loads(line[5:]))
            except ValueError:
                yield line


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if "<" in value and ("</" in value or "/>" in value) and not value.startswith('"'):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def test_the_words_were_there(operator: Browser) -> None:
    """They arrive where they are shown: what was tried was tried."""
    assert "&lt;img src=x" in operator.get(f"/device/{NAME}").text
    assert "&lt;img src=x" in operator.get("/").text
    assert "&lt;img src=x" in operator.get("/events").text


@pytest.mark.parametrize(
    "path", ["/?search=", "/?model=", "/events?text=", "/sign-in?next=/", "/lines?search="]
)
def test_what_one_searches_for_is_words(path: str, operator: Browser) -> None:
    answer = operator.get(path + "%22%3E%3Cscript%3Ealert(2)%3C/script%3E")
    assert "<script>alert" not in answer.text


def test_no_cell_is_a_formula(operator: Browser) -> None:
    for path in ("/api/v1/devices.csv", "/api/v1/events.csv"):
        answer = operator.get(path)
        assert answer.headers["content-disposition"].startswith("attachment")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) > 1
        for row in rows[1:]:
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t")), cell
                assert not cell.startswith("-") or cell.lstrip("-")[:1].isdigit(), cell
    assert "'=HYPERLINK" in answer.text


@pytest.mark.parametrize("words", SQL)
def test_words_are_no_sql(words: str, operator: Browser, served: Web) -> None:
    for name in ("device", "subject", "text"):
        found = operator.client.get("/api/v1/events", params={name: words})
        assert found.status_code in (200, 400), found.text
        if found.status_code == 200:
            texts = [each["event"]["text"] for each in found.json()["events"]]
            assert all(name == "text" and words.lower() in text.lower() for text in texts), texts
    for name in ("device", "pipeline", "model", "version"):
        found = operator.client.get("/api/v1/updates", params={name: words})
        assert found.status_code == 400 or found.json() == []
        found = operator.client.get("/api/v1/latency", params={name: words, "to_s": NOW_S + 10})
        assert found.status_code in (400, 404) or found.json()["queue"]["count"] == 0
    assert operator.client.get(f"/api/v1/devices/{words}").status_code in (303, 404)
    assert served.registry.device(NAME) is not None


def test_devices_have_only_names_that_names_can_be(served: Web) -> None:
    """Whatever somebody at the broker makes of a topic."""
    payload = to_json(presence(True))
    for name in (EVIL, "a b", "", "x" * 65, "../x", "a\0b", "é"):
        written = served.registry.write([Heard(name, "presence", payload, NOW_S)])
        assert served.registry.device(name) is None or written.refused == 1, name
