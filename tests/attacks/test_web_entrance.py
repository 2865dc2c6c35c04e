"""At the door of the fleet's web: guessing, stealing, planting and mixing up sessions."""

from __future__ import annotations

import http.client
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fleet.accounts.tries import MOST_HERE
from fleet.serve import gate
from fleet.serve.parts import WebTerms
from tests.fleet_web import OPERATOR, PASSWORDS, VIEWER, Web, web

NOW = re.compile(r'<meta name="now" content="[0-9.]+">')


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Web]:
    with web(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


def test_guessing_is_slowed_down(served: Web) -> None:
    with served.browser() as browser:
        for _ in range(MOST_HERE):
            assert browser.sign_in(OPERATOR, "not her password").status_code == 403
        answer = browser.sign_in(OPERATOR, PASSWORDS[OPERATOR])
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 60
        assert "set-cookie" not in answer.headers
        assert browser.sign_in(VIEWER, PASSWORDS[VIEWER]).status_code == 303
    trail = [(entry.who, entry.outcome) for entry in served.accounts.entries()]
    assert trail == [(VIEWER, "done")] + [(OPERATOR, "refused")] * MOST_HERE


def test_what_is_said_does_not_tell_whether_there_is_such_an_account(shared: Web) -> None:
    with shared.browser() as browser:
        wrong = browser.sign_in(VIEWER, "not her password")
        nobody = browser.sign_in("nobody", "not her password")
    assert wrong.status_code == nobody.status_code == 403
    told, other = (NOW.sub("", page.text) for page in (wrong, nobody))
    assert told.replace(VIEWER, "") == other.replace("nobody", "") and told != wrong.text


def test_a_cookie_that_was_planted_is_not_used(shared: Web) -> None:
    """Session fixation: who signs in gets a secret that nobody had before."""
    with shared.browser() as browser:
        browser.client.cookies.set(browser.cookie, "planted" * 5)
        assert browser.sign_in(VIEWER, PASSWORDS[VIEWER]).status_code == 303
        fresh = [cookie.value for cookie in browser.client.cookies.jar if cookie.value]
        assert any("planted" not in value for value in fresh)
    with shared.browser() as thief:
        assert thief.get("/", cookie=f"{thief.cookie}={'planted' * 5}").status_code == 303


def test_signing_in_again_ends_the_session_before(shared: Web) -> None:
    with shared.browser(VIEWER) as browser:
        first = browser.secret
        assert browser.sign_in(VIEWER, PASSWORDS[VIEWER]).status_code == 303
        assert browser.secret != first
    with shared.browser() as thief:
        assert thief.get("/api/v1/parts", cookie=f"{thief.cookie}={first}").status_code == 401


def test_signing_out_ends_the_session_for_everybody(shared: Web) -> None:
    with shared.browser(VIEWER) as browser:
        stolen = browser.secret
        answer = browser.post("/sign-out", {})
        assert answer.status_code == 303
        assert browser.secret is None
    with shared.browser() as thief:
        assert thief.get("/api/v1/parts", cookie=f"{thief.cookie}={stolen}").status_code == 401


def test_csrf_in_a_form_counts_too(shared: Web) -> None:
    """As a page without scripts sends it."""
    with shared.browser(VIEWER) as browser:
        assert browser.post("/sign-out", {"csrf": "0" * 64}, x_csrf_token="").status_code == 403
        assert browser.post("/sign-out", {"csrf": browser.csrf}, x_csrf_token="").status_code == 303


def test_nobody_is_signed_in_by_another_site(shared: Web) -> None:
    """Login CSRF: somebody would act under the account of an attacker."""
    form = {"name": VIEWER, "password": PASSWORDS[VIEWER]}
    with shared.browser() as browser:
        for origin in ("https://evil.example", "", "null", "http://[::1", "http://]["):
            answer = browser.post("/sign-in", form, origin=origin)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "evil",
        "/\t/evil.example", "javascript:alert(1)", "/x\r\nset-cookie: a=b", "/" + "x" * 3000,
        "/a\\b", "",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(shared: Web, following: str) -> None:
    with shared.browser() as browser:
        answer = browser.sign_in(VIEWER, PASSWORDS[VIEWER], following)
        assert answer.headers["location"] == "/"
        page = browser.get(f"/sign-in?{httpx.QueryParams({'next': following})}")
        assert 'name="next" value="/"' in page.text


def test_one_goes_on_where_one_was(shared: Web) -> None:
    with shared.browser() as browser:
        answer = browser.get("/?search=%22%3E%3Cscript%3E&kind=hot")
        assert answer.status_code == 303
        page = browser.get(answer.headers["location"])
        assert "<script>&" not in page.text
        following = "/?search=%22%3E%3Cscript%3E&kind=hot"
        again = browser.sign_in(VIEWER, PASSWORDS[VIEWER], following)
        assert again.headers["location"] == following


def test_a_link_from_elsewhere_does_not_ask_who_is_signed_in_to_sign_in(shared: Web) -> None:
    """A strict cookie is not sent along with a link of another site: the page asks once more."""
    with shared.browser() as browser:
        answer = browser.get("/", sec_fetch_site="cross-site")
        assert answer.status_code == 303
        first = browser.get("/", **{"sec-fetch-site": "cross-site"})
        assert first.status_code == 200
        assert 'http-equiv="refresh"' in first.text
        assert browser.get("/", **{"sec-fetch-site": "same-origin"}).status_code == 303


def test_cookies_over_https_only(tmp_path: Path) -> None:
    with web(tmp_path, WebTerms(secure=True, is_behind_proxy=True)) as served:
        form = {"name": VIEWER, "password": PASSWORDS[VIEWER], "next": "/"}
        with served.browser() as browser:
            answer = browser.post("/sign-in", form)
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-vedette=")
            for flag in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
                assert flag in cookie
            assert "domain" not in cookie.lower()
            assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_behind_a_proxy_its_word_counts_not_the_browsers(tmp_path: Path) -> None:
    with web(tmp_path, WebTerms(secure=True, is_behind_proxy=True)) as served:
        with served.browser() as browser:
            told = {"x-forwarded-for": "10.0.0.1, 203.0.113.9"}
            browser.client.post(
                "/sign-in", data={"name": "x", "password": "y"},
                headers={"origin": served.home, **told},
            )  # fmt: skip
        assert served.accounts.entries()[0].address == "203.0.113.9"


def test_without_a_proxy_nobody_says_where_they_are(shared: Web) -> None:
    with shared.browser() as browser:
        browser.client.post(
            "/sign-in", data={"name": "x", "password": "y"},
            headers={"origin": shared.home, "x-forwarded-for": "203.0.113.9"},
        )  # fmt: skip
    assert shared.accounts.entries()[0].address == "127.0.0.1"


def test_a_stream_ends_with_its_session(served: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ASK_AGAIN_S", 0.2)
    with served.browser(VIEWER) as browser:
        secret = browser.secret
        assert secret is not None
        with browser.client.stream("GET", "/live") as stream:
            assert stream.status_code == 200
            lines = stream.iter_raw()
            next(lines)
            served.accounts.sessions.end(secret)
            end_s = time.monotonic() + 60
            for _ in lines:
                assert time.monotonic() < end_s, "the stream goes on"


def test_a_body_of_any_size(shared: Web) -> None:
    """It is refused before it is read."""
    address = urlsplit(shared.home)
    assert address.hostname is not None
    for path in ("/sign-in", "/sign-out"):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("origin", shared.home)
        connection.putheader("content-type", "application/x-www-form-urlencoded")
        connection.putheader("content-length", str(10**12))
        connection.endheaders(b"name=" + b"a" * 1000)
        answer = connection.getresponse()
        assert answer.status in (401, 413), answer.status
        connection.close()


def test_a_body_without_end(shared: Web) -> None:
    """Of which nobody says how long it is."""
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b"name="
        for _ in range(20_000):
            sent += 1
            yield b"a" * 10_000

    headers = {"origin": shared.home, "content-type": "application/x-www-form-urlencoded"}
    with shared.browser() as browser:
        try:
            answer = browser.client.post("/sign-in", content=body(), headers=headers)
            assert answer.status_code == 413
        except httpx.TransportError:  # it hung up on us
            pass
    assert sent < 5000


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe=%ff%00", "application/x-www-form-urlencoded"),
        (b"name=a&name=b&password[]=c", "application/x-www-form-urlencoded"),
        (b'{"name": {"a": 1}}', "application/json"),
        (b"--x\r\ncontent-disposition: form-data; name=", "multipart/form-data; boundary=x"),
        (b"", "text/plain"),
        (b"&".join([b"a=1"] * 9000), "application/x-www-form-urlencoded"),
        (b"password=" + b"a" * 60000, "application/x-www-form-urlencoded"),
    ],
)
def test_forms_that_are_none(shared: Web, body: bytes, kind: str) -> None:
    with shared.browser() as browser:
        headers = {"origin": shared.home, "content-type": kind}
        answer = browser.client.post("/sign-in", content=body, headers=headers)
        assert 400 <= answer.status_code < 500
        assert "Traceback" not in answer.text


def test_a_bug_is_not_shown_to_anybody(
    shared: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("vedette"), "propagate", True)
    with shared.browser(VIEWER) as browser:
        monkeypatch.setattr(shared.parts.live, "sight", None)
        for path in ("/api/v1/summary", "/"):
            answer = browser.get(path)
            assert answer.status_code == 500
            for word in ("Traceback", "NoneType", "sight", "fleet/"):
                assert word not in answer.text
    assert "NoneType" in caplog.text
