"""The page of the whole fleet, as an operator uses it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.registry.words import Heard
from tests.browser.conftest import HOT, OFFLINE, PHONE, WELL, Open, Yard, playwright, sign_in
from wire.messages import to_json

pytestmark = pytest.mark.slow
expect = playwright.expect


def test_signs_in_finds_a_device_and_opens_it(chromium: playwright.Browser, yard: Yard) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{yard.web.home}/device/{HOT}")
    assert "/sign-in?next=" in page.url
    page.get_by_label("Name").fill("olga")
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("Name")).to_have_value("olga")
    sign_in(page, yard.web.home)
    expect(page.get_by_role("heading", level=1)).to_have_text("7 of 214 devices need you")
    page.keyboard.press("/")
    page.keyboard.type(HOT)
    expect(page.locator("#rows tr")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/device/{HOT}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOT)
    context.close()


def test_in_five_seconds_one_sees_what_is_wrong_and_where(visit: Open) -> None:
    page = visit("/", viewport=PHONE)
    headline = page.get_by_role("heading", level=1)
    expect(headline).to_have_text("7 of 214 devices need you")
    troubles = page.get_by_role("list", name="What is wrong").get_by_role("listitem")
    expect(troubles.first).to_contain_text("1 offline")
    expect(troubles.first).to_contain_text(OFFLINE)
    bottom = troubles.last.bounding_box()
    assert bottom is not None and bottom["y"] + bottom["height"] < PHONE["height"]
    troubles.first.get_by_role("link").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows tr")).to_contain_text(OFFLINE)
    assert page.url.endswith("/?kind=offline")


def test_what_is_wrong_stands_on_one_line(visit: Open) -> None:
    page = visit("/")
    labels = page.locator(".trouble-label")
    assert "1 rolled back" in labels.all_inner_texts()
    tall = "(all) => all.map((one) => one.getClientRects()[0].height)"
    assert max(labels.evaluate_all(tall)) < 34, "two lines are higher"


def test_the_address_carries_what_is_shown(visit: Open) -> None:
    page = visit("/")
    page.locator("select[name=board]").select_option("NVIDIA Jetson Orin Nano")
    page.get_by_role("link", name="p95").click()
    expect(page.locator("th[aria-sort]")).to_have_text("p95")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    first = page.locator("#rows tr").first.get_attribute("data-name")
    found = page.locator("#count").text_content()
    page.reload()
    expect(page.locator("#count")).to_have_text(str(found))
    assert page.locator("#rows tr").first.get_attribute("data-name") == first
    expect(page.locator("select[name=board]")).to_have_value("NVIDIA Jetson Orin Nano")
    page.locator(".chip").click()
    expect(page.locator("#count")).to_have_text("214 devices, 1 to 100 shown")
    page.go_back()
    expect(page.locator("#count")).to_have_text(str(found))
    expect(page.locator("select[name=board]")).to_have_value("NVIDIA Jetson Orin Nano")


def test_pages_of_the_table(visit: Open) -> None:
    page = visit("/?order=name")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#count")).to_have_text("214 devices, 101 to 200 shown")
    assert page.url.endswith("order=name&page=2")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("#count")).to_have_text("214 devices, 1 to 100 shown")


def test_what_is_shown_is_had_as_a_sheet(visit: Open) -> None:
    page = visit("/")
    page.locator("select[name=kind]").select_option("hot")
    expect(page.locator("#rows tr")).to_have_count(2)
    with page.expect_download() as told:
        page.get_by_role("link", name="These as CSV").click()
    lines = told.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 and HOT in lines[1] + lines[2]


def test_works_without_scripts(visit: Open) -> None:
    page = visit("/", java_script_enabled=False)
    page.get_by_label("Search devices").fill("dock jetson")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#count")).to_contain_text("of 214 devices")
    assert "search=dock+jetson" in page.url
    page.get_by_role("link", name="Hottest").click()
    expect(page.locator("th[aria-sort]")).to_have_text("Hottest")


def test_values_change_in_place(visit: Open, yard: Yard) -> None:
    page = visit(f"/?search={WELL}")
    cell = page.locator("#rows tr .c-fps")
    expect(page.locator("#live")).to_have_text("live")
    known = yard.known[WELL]
    assert known.telemetry is not None
    link = page.get_by_role("link", name=WELL, exact=True)
    link.focus()
    lane = replace(known.telemetry.pipelines["lane"], fps=12.3, frames=123)
    now_s = yard.now_s + 1
    record = replace(known.telemetry, pipelines={"lane": lane}, time=now_s, uptime_s=99_999.0)
    yard.say(yard.telling.say(known, record, now_s))
    expect(cell).to_have_text("12.3 fps")
    expect(link).to_be_focused()  # though the line is a new one


def test_a_device_that_goes_is_said(visit: Open, yard: Yard) -> None:
    page = visit("/")
    expect(page.locator("#live")).to_have_text("live")
    known = yard.known["ramp-20"]
    assert known.presence is not None
    gone = to_json(replace(known.presence, online=False))
    yard.say(Heard(known.name, "presence", gone, yard.now_s))
    expect(page.get_by_role("heading", level=1)).to_have_text("8 of 214 devices need you")
    expect(page.locator("#said")).to_have_text("8 of 214 devices need you")
    expect(page.locator("#rows tr").nth(1)).to_contain_text("ramp-20")
    back = to_json(known.presence)
    yard.say(Heard(known.name, "presence", back, yard.now_s))
    expect(page.get_by_role("heading", level=1)).to_have_text("7 of 214 devices need you")


def test_lines_do_not_move_under_a_finger(visit: Open, yard: Yard) -> None:
    page = visit("/")
    expect(page.locator("#live")).to_have_text("live")
    page.locator("#rows tr").nth(3).hover()
    known = yard.known["ramp-21"]
    assert known.presence is not None
    gone = to_json(replace(known.presence, online=False))
    yard.say(Heard(known.name, "presence", gone, yard.now_s))
    expect(page.get_by_role("heading", level=1)).to_have_text("8 of 214 devices need you")
    expect(page.locator("#rows tr").nth(1)).not_to_contain_text("ramp-21")
    page.mouse.move(5, 5)
    expect(page.locator("#rows tr").nth(1)).to_contain_text("ramp-21")
    yard.say(Heard(known.name, "presence", to_json(known.presence), yard.now_s))
    expect(page.get_by_role("heading", level=1)).to_have_text("7 of 214 devices need you")


def test_nothing_matches_is_said(visit: Open) -> None:
    page = visit("/?search=nobody-is-called-so")
    expect(page.locator("#lines")).to_contain_text("Nothing matches")
    page.get_by_role("link", name="Show all 214").click()
    expect(page.locator("#count")).to_contain_text("214 devices")


def test_the_theme_is_kept(visit: Open) -> None:
    page = visit("/")

    def ground() -> object:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.get_by_role("button", name="Change between light and dark").click()
    dark = ground()
    assert light != dark
    page.reload()
    assert ground() == dark


def test_stillness_is_respected(visit: Open) -> None:
    page = visit("/", reduced_motion="reduce")
    expect(page.locator("#live")).to_have_text("live")
    name = "getComputedStyle(document.querySelector('.live-dot')).animationName"
    assert page.evaluate(name) == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(name) == "breathe"
