"""What the JSON API says to who asks for what there is not: which word, and what it may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.registry.words import Heard
from tests.fleet_web import OPERATOR, Browser, Web, web
from tests.telling import presence, record
from wire.messages import to_json

NOW_S = 1_800_000_000.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        opened.hear(
            Heard("door", "presence", to_json(presence(True)), NOW_S),
            Heard("door", "telemetry", to_json(record(1, time=NOW_S)), NOW_S),
            now_s=NOW_S + 10,
        )
        yield opened


@pytest.fixture(scope="module")
def token(served: Web) -> str:
    return served.accounts.add_token(OPERATOR, 1).secret


@pytest.fixture
def program(served: Web) -> Iterator[Browser]:
    with served.browser() as browser:
        yield browser


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("devices?show=most", "show: 'most' is none of all, needs, online, offline"),
        ("events?kind=odd", "kind: 'odd' is none of fault, "),
        ("devices?page=0", "page: at least 1"),
        ("devices?page=x", "page: write a whole number"),
        ("devices?reverse=maybe", "reverse: write true or false"),
        ("devices?search=" + "a" * 201, "search: at most 200 characters"),
        ("devices?search=%00", "search: holds a character that cannot be looked for"),
        ("latency?from_s=abc", "from_s: write a number: Unix seconds, like 1767225600"),
        ("devices/door/windows", "pipeline is missing: add pipeline=..."),
        ("devices/door/windows.csv", "pipeline is missing: add pipeline=..."),
        (
            "devices?pgae=2",
            "'pgae': no such parameter: it may be search, show, kind, model, board, group, order, "
            "reverse, page",
        ),
        ("devices.csv?sort=x", "'sort': no such parameter: it may be search, "),
        ("devices/door?name=x", "'name': no such parameter: there are none here"),
        (
            "devices/door/vitals?pipeline=x",
            "'pipeline': no such parameter: it may be most, from_s, to_s",
        ),
        ("summary?a=1", "'a': no such parameter: there are none here"),
    ],
)
def test_what_cannot_be_read(asked: str, words: str, program: Browser, token: str) -> None:
    answer = program.get(f"/api/v1/{asked}", authorization=f"Bearer {token}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith(words), answer.text


def test_who_is_not_signed_in_learns_no_names(program: Browser) -> None:
    answer = program.get("/api/v1/devices?pgae=2", authorization="Bearer none")
    assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})


@pytest.mark.parametrize("path", ["latency?device=nope", "latency?device=door&device=nope",
                                  "devices/nope", "devices/nope/gaps"])  # fmt: skip
def test_a_device_that_there_is_not(path: str, program: Browser, token: str) -> None:
    answer = program.get(f"/api/v1/{path}", authorization=f"Bearer {token}")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("no such device: nope")


def test_a_page_beyond_the_last_is_empty(program: Browser, token: str) -> None:
    def asked(path: str) -> dict[str, object]:
        answer = program.get(f"/api/v1/{path}", authorization=f"Bearer {token}")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    assert len(asked("devices?page=1")["devices"]) == 1  # type: ignore[arg-type]
    beyond = asked("devices?page=99")
    assert (beyond["devices"], beyond["page"], beyond["pages"], beyond["found"]) == ([], 99, 1, 1)
    assert asked("latency?device=door")


def test_tokens_only_read(program: Browser, token: str, served: Web) -> None:
    path = f"{served.home}/api/v1/devices"
    shown = {"authorization": f"Bearer {token}"}
    answer = program.client.post(path, headers=shown)
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("tokens only read")
    answer = program.client.post(path)
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("another site asked for this")
