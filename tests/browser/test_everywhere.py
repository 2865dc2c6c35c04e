"""What holds on every page: accessible, without complaints, no wider than the screen, honest."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from fleet.live.view import LiveView
from tests.browser.conftest import HOT, PHONE, Open, Yard, playwright
from tests.gate import TcpGate

pytestmark = pytest.mark.slow
expect = playwright.expect
PAGES = (
    "/",
    f"/device/{HOT}",
    "/events",
    "/models",
    "/alerts",
    "/account",
    "/?search=nobody",
    "/sign-in",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_no_serious_hindrance(path: str, scheme: str, visit: Open) -> None:
    page = visit(path, color_scheme=scheme, reduced_motion="reduce")
    if path.startswith("/device/"):
        expect(page.locator(".panel")).to_have_count(5)
        page.get_by_text("As a table").click()
    found = Axe().run(page).response["violations"]
    told = [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found]
    assert [one for one in told if one[1] in ("serious", "critical")] == [], told
    if path != "/sign-in":
        assert told == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [320, PHONE["width"], 820])
def test_nothing_is_wider_than_the_screen(path: str, width: int, visit: Open) -> None:
    page = visit(path, viewport={"width": width, "height": 844})
    if path.startswith("/device/"):
        expect(page.locator(".panel")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", PAGES[:5])
def test_says_when_it_is_not_live_and_comes_back(
    path: str, chromium: playwright.Browser, yard: Yard
) -> None:
    with TcpGate(int(yard.web.home.rpartition(":")[2])) as gate:
        context = chromium.new_context(storage_state=yard.session)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{gate.port}{path}")
        live = page.locator("#live")
        expect(live).to_have_text("live")
        gate.stall()
        expect(live).to_contain_text("no news for", timeout=40_000)
        gate.flow()
        expect(live).to_have_text("live", timeout=40_000)
        gate.cut()
        connections = gate.connections
        while gate.connections == connections:
            page.wait_for_timeout(100)
        expect(live).to_have_text("live", timeout=40_000)
        context.close()


def test_says_when_the_registry_is_away(visit: Open, yard: Yard) -> None:
    page = visit("/")
    expect(page.locator("#live")).to_have_text("live")
    view: LiveView = yard.web.parts.live
    view.fail("the database is locked: end what holds it")
    alert = page.locator("#head [role=alert]")
    expect(alert).to_contain_text("This page stands still: the database is locked")
    yard.say()
    expect(alert).to_have_count(0)


def test_the_first_key_skips_to_the_content(visit: Open) -> None:
    page = visit("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
