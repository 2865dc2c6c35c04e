"""What a script of a page asks for is refused: in JSON with one sentence, never as a page."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.fleet_web import OPERATOR, Browser, Web, web

CANDIDATES = "/models/candidates"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as made:
        yield made


@pytest.fixture
def operator(served: Web) -> Iterator[Browser]:
    with served.browser(OPERATOR) as browser:
        yield browser


def headers_of(browser: Browser, **others: str) -> dict[str, str]:
    told = {"origin": browser.home, "x-csrf-token": browser.csrf, "x-requested-by": "script"}
    return {name: value for name, value in (told | others).items() if value}


@pytest.mark.parametrize(
    ("others", "status", "words"),
    [
        ({}, 400, "this is no bundle: vedette fleet pack makes one"),
        ({"x-csrf-token": "wrong"}, 403, "this page is too old: load it again"),
        ({"cookie": "vedette=nobody"}, 401, "sign in first"),
    ],
)
def test_a_script_is_told_why(
    operator: Browser, others: dict[str, str], status: int, words: str
) -> None:
    if "cookie" in others:
        operator.client.cookies.clear()
    answer = operator.client.post(
        CANDIDATES, content=b"#!/bin/sh", headers=headers_of(operator, **others)
    )
    assert answer.status_code == status
    assert answer.json() == {"error": words}


def test_a_page_without_a_script_is_told_on_a_page(operator: Browser) -> None:
    headers = headers_of(operator, **{"x-requested-by": ""})
    answer = operator.client.post(CANDIDATES, content=b"#!/bin/sh", headers=headers)
    assert answer.status_code == 400 and answer.headers["content-type"].startswith("text/html")


def test_who_looks_for_jobs_is_told_too(operator: Browser) -> None:
    operator.client.cookies.clear()
    answer = operator.get("/jobs?link=/models", **{"x-requested-by": "script"})
    assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})
    assert operator.get("/jobs?link=/models").status_code == 303


def test_too_large_names_the_limit(served: Web, operator: Browser) -> None:
    address = urlsplit(served.home)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("POST", CANDIDATES)
    for name, value in headers_of(operator).items():
        connection.putheader(name, value)
    connection.putheader("cookie", f"{operator.cookie}={operator.secret}")
    connection.putheader("content-length", str((513 << 20) + 1))
    connection.endheaders(b"PK")
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert answer.status == 413
    assert told == {"error": "this is too large: a bundle has 512 MiB at most"}
