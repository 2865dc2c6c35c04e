"""A real browser, and a fleet's web that it looks at."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright import sync_api as playwright

from fleet.folder import FleetFolder
from fleet.registry.words import Known
from tests.browser.filling import Telling
from tests.browser.made_up import made_up
from tests.fleet_web import OPERATOR, PASSWORDS, Web, web

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
DEVICES = 214
HOT, OFFLINE, WELL = "belt-13", "gate-03", "dock-01"  # of the made-up fleet


@dataclass
class Yard:
    """A web with a made-up fleet. now_s: when it was made up. known: by name."""

    web: Web
    telling: Telling
    now_s: float
    known: dict[str, Known]
    session: dict[str, object] = field(default_factory=dict)

    def say(self, *heard: object) -> None:
        """Devices say something now. Time stands still here: nobody falls silent meanwhile."""
        self.web.hear(*heard, now_s=self.now_s)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def chromium() -> Iterator[playwright.Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, chromium: playwright.Browser) -> Iterator[Yard]:
    with made_yard(tmp_path_factory.mktemp("yard"), chromium, DEVICES) as made:
        yield made


class made_yard:
    """A web whose registry knows so many devices, and a session of an operator."""

    def __init__(
        self,
        place: Path,
        chromium: playwright.Browser,
        many: int,
        folder: FleetFolder | None = None,
    ) -> None:
        self._web = web(place, folder=folder)
        self._chromium = chromium
        self._many = many

    def __enter__(self) -> Yard:
        served = self._web.__enter__()
        now_s = time.time()
        fleet = made_up(self._many, now_s)
        telling = Telling(served.registry)
        known = {each.name: each for each in fleet}
        if HOT in known:
            telling.fill_past(known[HOT], now_s - 12, 1.2, 10.0)
        telling.fill(fleet)
        yard = Yard(served, telling, now_s, known)
        yard.say()
        context = self._chromium.new_context()
        page = context.new_page()
        sign_in(page, served.home)
        yard.session = context.storage_state()
        context.close()
        return yard

    def __exit__(self, *told: object) -> None:
        self._web.__exit__(None, None, None)


def sign_in(page: playwright.Page, home: str, account: str = OPERATOR) -> None:
    page.goto(f"{home}/sign-in")
    page.get_by_label("Name").fill(account)
    page.get_by_label("Password").fill(PASSWORDS[account])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


Open = Callable[..., playwright.Page]


@pytest.fixture
def visit(chromium: playwright.Browser, yard: Yard) -> Iterator[Open]:
    """Opens a page as the operator; at the end no page may have complained on its console."""
    contexts: list[playwright.BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str, **wanted: object) -> playwright.Page:
        wanted = {"viewport": DESK, "storage_state": yard.session, **wanted}
        context = chromium.new_context(**wanted)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: complaints.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{yard.web.home}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
