"""What an operator does is refused: the page says why in one sentence, until that is dismissed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from fleet.actions.uploading import MOST_AT_ONCE
from tests.browser.conftest import playwright, sign_in
from tests.fleet_web import Web, web
from wire.signing import make_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
STAYS_MS = 2500  # more than three looks of the page at its jobs
expect = playwright.expect


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Of a fleet whose broker is away: what is refused here is refused by the page or the web."""
    folder = tmp_path_factory.mktemp("refusals")
    with web(folder, key=make_key(folder / "command.pem")) as made:
        yield made


@pytest.fixture
def page(served: Web, chromium: playwright.Browser) -> Iterator[playwright.Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_in(page, served.home)
    page.goto(f"{served.home}/models")
    yield page
    context.close()


def refusal(page: playwright.Page) -> playwright.Locator:
    return page.locator("#drop [role=alert] .refusal span")


def choose(page: playwright.Page, folder: Path, content: bytes, name: str = "notes.zip") -> None:
    file = folder / name
    file.write_bytes(content)
    page.set_input_files("#bundle", file)


def check_stays(page: playwright.Page, words: str | re.Pattern[str]) -> None:
    """It is there, is still there, is what is read out, and goes when it is dismissed."""
    expect(refusal(page)).to_have_text(words)
    page.wait_for_timeout(STAYS_MS)
    expect(refusal(page)).to_have_text(words)
    expect(page.locator("#going-words")).to_have_text(words)
    assert page.locator("#going").is_hidden()
    page.get_by_role("button", name="Dismiss").click()
    expect(refusal(page)).to_have_count(0)


def test_what_is_no_bundle(page: playwright.Page, tmp_path: Path) -> None:
    choose(page, tmp_path, b"#!/bin/sh\n")
    expect(refusal(page)).to_have_count(1)
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    check_stays(page, "notes.zip is no bundle: vedette fleet pack makes one.")


def test_what_is_too_large_is_not_even_sent(page: playwright.Page, tmp_path: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    large = tmp_path / "large.zip"
    with large.open("wb") as file:
        file.write(b"PK")
        file.truncate((512 << 20) + 1)  # a hole: it takes no room on the disk
    page.set_input_files("#bundle", large)
    check_stays(page, "large.zip is too large: it has 513 MiB, and a bundle 512 MiB at most.")
    assert sent == []


def test_what_the_server_refuses(served: Web, page: playwright.Page, tmp_path: Path) -> None:
    uploads = served.parts.actions.uploads
    uploads._coming = MOST_AT_ONCE
    try:
        choose(page, tmp_path, b"PK rest")
        check_stays(page, "Others are uploading: try again in a while.")
        choose(page, tmp_path, b"PK rest")
        expect(refusal(page)).to_have_count(1)
    finally:
        uploads._coming = 0
    choose(page, tmp_path, b"PK rest", "other.zip")
    page.wait_for_selector(".job-refused, .job-failed")
    expect(refusal(page)).to_have_count(0)
    expect(page.locator("#going-words")).to_have_text("other.zip has come")


def test_a_session_that_has_ended(served: Web, page: playwright.Page, tmp_path: Path) -> None:
    page.context.clear_cookies()
    choose(page, tmp_path, b"PK rest")
    expect(refusal(page)).to_have_text("Signed out: sign in again.")
    expect(page.locator("#going-words")).to_have_text("Signed out: sign in again.")
    refusal(page).get_by_role("link", name="sign in again").click()
    page.wait_for_url(f"{served.home}/sign-in?next=%2Fmodels")


def test_a_server_that_does_not_answer(page: playwright.Page, tmp_path: Path) -> None:
    page.route("**/models/candidates", lambda route: route.abort())
    choose(page, tmp_path, b"PK rest")
    check_stays(page, "The server does not answer: try again.")
