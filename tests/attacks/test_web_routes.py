"""Every route of the fleet's web: without sign-in, with the wrong role, forged, and unmeant."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fleet.serve import api
from fleet.serve.app import PAGES
from fleet.serve.gate import SAFE
from fleet.serve.routes import NEED, Route
from tests.fleet_web import OPERATOR, VIEWER, Browser, Web, web

ROUTES = [
    (route, method, re.sub(r"\{[^}]*\}", "sample", re.sub(r"\{[^}]*:int\}", "1", path)))
    for route in (*PAGES, *api.ROUTES)
    for path in sorted(route.handler.paths)
    for method in sorted(route.handler.http_methods)
]
NAMED = [pytest.param(*each, id=f"{each[1]} {each[2]}") for each in ROUTES]
GUARDED = [each for each in NAMED if each.values[0].need != "anyone"]
UNSAFE = [each for each in GUARDED if each.values[1] not in SAFE]
# what anyone may have, and nothing else
OPEN = {
    ("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/healthz"), ("GET", "/static/sample"),
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


@pytest.fixture(scope="module")
def nobody(served: Web) -> Iterator[Browser]:
    with served.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def viewer(served: Web) -> Iterator[Browser]:
    with served.browser(VIEWER) as browser:
        yield browser


@pytest.fixture(scope="module")
def operator(served: Web) -> Iterator[Browser]:
    with served.browser(OPERATOR) as browser:
        yield browser


def ask(browser: Browser, method: str, path: str, **headers: str) -> int:
    """As a page of ours would, but for what headers say otherwise. The status; never a 5xx."""
    told = {"origin": browser.home, "x-csrf-token": browser.csrf}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value.encode("latin-1") for name, value in told.items() if value}
    with browser.client.stream(method, path, headers=list(sent.items())) as answer:
        assert answer.status_code < 500 or answer.status_code == 503, f"{method} {path}"
        return answer.status_code


def is_out(status: int, method: str, path: str) -> bool:
    """Whether nobody was let in: told to sign in, or sent there."""
    is_page = method == "GET" and not path.startswith(("/api/", "/metrics"))
    return status == (303 if is_page else 401)


def test_only_these_are_open() -> None:
    found = {(method, path) for route, method, path in ROUTES if route.need == "anyone"}
    assert found == OPEN


def test_there_are_routes_to_try() -> None:
    assert len(GUARDED) > 20
    assert UNSAFE


@pytest.mark.parametrize(("route", "method", "path"), GUARDED)
def test_without_sign_in(route: Route, method: str, path: str, nobody: Browser) -> None:
    assert is_out(ask(nobody, method, path), method, path)


FORGED = (
    "x", "0" * 43, "../../etc/passwd", "' OR 1=1 --", "a" * 5000,
    "eyJhbGciOiJub25lIn0.eyJyb2xlIjoib3BlcmF0b3IifQ.", '"";', "%00", "\xe4",
)  # fmt: skip


@pytest.mark.parametrize(("route", "method", "path"), GUARDED)
def test_with_a_forged_session(route: Route, method: str, path: str, nobody: Browser) -> None:
    for forged in FORGED:
        status = ask(nobody, method, path, cookie=f"{nobody.cookie}={forged}")
        assert is_out(status, method, path), forged


@pytest.mark.parametrize(("route", "method", "path"), GUARDED)
def test_with_a_forged_token(route: Route, method: str, path: str, nobody: Browser) -> None:
    status = ask(nobody, method, path, authorization="Bearer vedette_guess")
    assert status == (401 if path.startswith(("/api/", "/metrics")) else 403)


@pytest.mark.parametrize(("route", "method", "path"), GUARDED)
def test_a_token_opens_no_page_and_changes_nothing(
    route: Route, method: str, path: str, served: Web, nobody: Browser
) -> None:
    token = served.accounts.add_token(OPERATOR, 1).secret
    status = ask(nobody, method, path, authorization=f"Bearer {token}")
    is_reading = method == "GET" and path.startswith(("/api/", "/metrics"))
    assert (status not in (401, 403, 303)) == is_reading


@pytest.mark.parametrize(
    ("route", "method", "path"), [each for each in GUARDED if each.values[0].need == "operator"]
)
def test_a_viewer_does_nothing(
    route: Route, method: str, path: str, viewer: Browser, served: Web
) -> None:
    assert ask(viewer, method, path) == 403
    if method not in SAFE:
        tried = served.accounts.entries()[0]
        assert (tried.who, tried.subject, tried.outcome) == (VIEWER, path, "refused")


NOT_MEANT: tuple[dict[str, str], ...] = (
    {"x_csrf_token": ""},
    {"x_csrf_token": "0" * 64},
    {"x_csrf_token": "\xe4"},
    {"origin": ""},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": "https://127.0.0.1.evil.example:8080"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://127.0.0.1:8080@evil.example"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"host": "evil.example", "origin": "http://evil.example"},
)


@pytest.mark.parametrize(("route", "method", "path"), UNSAFE)
def test_nobody_else_makes_an_operator_do_it(
    route: Route, method: str, path: str, operator: Browser
) -> None:
    for headers in NOT_MEANT:
        assert ask(operator, method, path, **headers) in (403, 421), headers
    assert operator.get("/api/v1/parts").status_code == 200  # not even signed out


@pytest.mark.parametrize(("route", "method", "path"), UNSAFE)
def test_the_token_of_another_session_is_none(
    route: Route, method: str, path: str, operator: Browser, viewer: Browser
) -> None:
    assert ask(operator, method, path, x_csrf_token=viewer.csrf) == 403


@pytest.mark.parametrize(("route", "method", "path"), NAMED)
def test_a_name_that_is_not_ours(route: Route, method: str, path: str, nobody: Browser) -> None:
    """DNS rebinding: the browser believes that we are somebody else."""
    for host in (
        "evil.example", "127.0.0.1.evil.example", "-", "localhost.evil.example", "a b", "[::1",
    ):  # fmt: skip
        assert ask(nobody, method, path, host=host) == 421, host


@pytest.mark.parametrize(("route", "method", "path"), NAMED)
def test_headers_of_every_answer(route: Route, method: str, path: str, nobody: Browser) -> None:
    with nobody.client.stream(method, path, headers={"origin": nobody.home}) as answer:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"]
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_methods_and_paths_that_nobody_offers(
    method: str, viewer: Browser, nobody: Browser
) -> None:
    for path in ("/", "/nothing", "/api/description/openapi.json", "/static/%2e%2e/app.py"):
        for browser in (viewer, nobody):
            status = ask(browser, method, path)
            assert status in (204, 303, 401, 403, 404, 405), f"{path}: {status}"
            assert method in SAFE or status >= 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
        "/static/fleet.css%00", "/static/.", "/static/%5c..%5capp.py", "/static/%ff%fe",
    ],
)  # fmt: skip
def test_no_file_but_those_for_pages(path: str, nobody: Browser) -> None:
    assert ask(nobody, "GET", path) == 404


def test_a_guard_forgets_no_route(served: Web) -> None:
    """Whatever the application answers at all is in the table, or is for nobody."""
    app = served.gate.app
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            need = handler.opt.get(NEED)
            if need is None and handler.http_methods != {"OPTIONS"}:
                assert route.path.startswith("/api/description"), route.path
