"""The pages of a device, of events and of an account, as an operator uses them."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from fleet.registry.words import Heard
from tests.browser.conftest import HOT, WELL, Open, Yard, playwright, sign_in
from tests.fleet_web import VIEWER
from wire.messages import Event, to_json

pytestmark = pytest.mark.slow
expect = playwright.expect


def event(yard: Yard, name: str, text: str, kind: str = "fault") -> Heard:
    record = yard.known[name].telemetry
    assert record is not None
    told = Event(
        record.spool, 0, 0, record.boot, yard.now_s, 1e6, kind, "camera", "lane", text  # type: ignore[arg-type]
    )  # fmt: skip
    return yard.telling.say(yard.known[name], told, yard.now_s)


def values(page: playwright.Page, panel: int) -> str:
    return str(page.locator(".panel").nth(panel).locator(".panel-values").text_content())


def test_charts_stand_on_one_axis(visit: Open) -> None:
    page = visit(f"/device/{HOT}")
    panels = page.locator(".panel svg[role=img]")
    expect(panels).to_have_count(5)
    boxes = [panels.nth(each).bounding_box() for each in range(5)]
    assert len({(box["x"], box["width"]) for box in boxes if box is not None}) == 1
    words = panels.nth(0).get_attribute("aria-label") or ""
    assert re.search(r"^Latency\. p50 from [\d.]+ ms to [\d.]+ ms, newest", words), words
    expect(page.locator(".shade-words").first).to_have_text("throttled")
    expect(page.locator(".hole-words")).to_have_text("no records")
    assert page.locator(".mark-update").count() >= 5  # trial and good, in each chart
    assert page.locator(".mark-fault").count() >= 5


def test_the_crosshair_goes_through_all_charts(visit: Open) -> None:
    page = visit(f"/device/{HOT}")
    expect(page.locator(".charts-when")).to_have_text("newest values")
    page.locator(".panel").nth(2).scroll_into_view_if_needed()
    box = page.locator(".panel svg[role=img]").nth(2).bounding_box()
    assert box is not None
    # where the board was hot: 0.55 to 0.75 h ago, of one hour
    page.mouse.move(box["x"] + 46 + (box["width"] - 56) * 0.36, box["y"] + 30)
    expect(page.locator(".charts-when")).not_to_have_text("newest values")
    expect(page.locator(".panel").nth(3)).to_contain_text(re.compile(r"hottest 8[3-6](\.\d)? °C"))
    expect(page.locator(".panel").nth(1)).to_contain_text(re.compile(r"fps 2[23]"))
    crosses = page.locator(".cross").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    assert len({cross.split("V")[0] for cross in crosses}) == 1 and crosses[0]


def test_charts_by_keys_are_read_out(visit: Open) -> None:
    page = visit(f"/device/{HOT}")
    expect(page.locator(".panel")).to_have_count(5)
    page.locator("#canvas").focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    said = page.locator("#said")
    expect(said).to_contain_text("Latency: p50")
    expect(said).to_contain_text("Temperature: hottest")
    page.keyboard.press("Escape")
    expect(page.locator(".charts-when")).to_have_text("newest values")


def test_stage_range_and_table(visit: Open) -> None:
    page = visit(f"/device/{HOT}")
    expect(page.locator(".panel")).to_have_count(5)
    whole = values(page, 0)
    page.get_by_label("Stage of latency").select_option("queue")
    assert values(page, 0) != whole
    page.get_by_text("As a table").click()
    rows = page.get_by_role("region", name="The charts as a table").get_by_role("row")
    assert 20 <= rows.count() <= 70
    page.get_by_role("link", name="15 min").click()
    expect(page.locator(".segments [aria-current]")).to_have_text("15 min")
    expect(page.locator(".hole-words")).to_have_count(0)
    page.reload()
    expect(page.locator(".segments [aria-current]")).to_have_text("15 min")


def test_a_device_page_is_live(visit: Open, yard: Yard) -> None:
    page = visit(f"/device/{WELL}")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.get_by_role("list", name="What is wrong")).to_contain_text("Nothing is wrong")
    known = yard.known[WELL]
    assert known.state is not None
    lane = replace(known.state.pipelines["lane"], phase="no_camera", absent="/dev/video0 is gone")
    broken = replace(known.state, pipelines={"lane": lane})
    yard.say(Heard(WELL, "state", to_json(broken), yard.now_s), event(yard, WELL, "video0 is gone"))
    troubles = page.get_by_role("list", name="What is wrong")
    expect(troubles).to_contain_text("lane no camera: /dev/video0 is gone")
    expect(page.locator("#said")).to_contain_text("no camera")
    expect(page.locator("#events")).to_contain_text("video0 is gone")
    yard.say(Heard(WELL, "state", to_json(known.state), yard.now_s))
    expect(troubles).to_contain_text("Nothing is wrong")


def test_a_device_that_nobody_heard(yard: Yard, chromium: playwright.Browser) -> None:
    context = chromium.new_context(storage_state=yard.session)
    page = context.new_page()
    answer = page.goto(f"{yard.web.home}/device/nobody")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("alert")).to_have_text("No device of this name has been heard.")
    context.close()


def test_events_are_searched_and_come_by_themselves(visit: Open, yard: Yard) -> None:
    page = visit("/events")
    expect(page.locator("#live")).to_have_text("live")
    rows = page.locator("#rows li")
    yard.say(event(yard, "yard-02", "the lens cap is on"))
    expect(rows.first).to_contain_text("the lens cap is on")
    expect(page.locator("#said")).to_have_text("1 new event")
    page.get_by_label("Search events").fill("LENS")
    expect(rows).to_have_count(1)
    assert "text=LENS" in page.url
    yard.say(event(yard, "yard-02", "the lens is dirty"), event(yard, HOT, "something else"))
    expect(rows).to_have_count(2)
    page.get_by_label("Kind").select_option("recovered")
    expect(page.locator("#list")).to_contain_text("Nothing matches")
    page.get_by_role("link", name="Show all events").click()
    expect(rows.first).to_contain_text("something else")


def test_what_strangers_say_is_only_text(visit: Open, yard: Yard) -> None:
    evil = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    known = yard.known["yard-05"]
    assert known.state is not None
    lane = replace(known.state.pipelines["lane"], phase="no_camera", absent=evil, camera=evil)
    broken = replace(known.state, board=evil, groups=(evil,), pipelines={"lane": lane})
    yard.say(Heard("yard-05", "state", to_json(broken), yard.now_s), event(yard, "yard-05", evil))
    for path in ("/?search=yard-05", "/device/yard-05", "/events"):
        page = visit(path)
        expect(page.locator("main")).to_contain_text("<img src=x")
        assert page.locator("img").count() == 0 and "owned" not in page.title()
    yard.say(Heard("yard-05", "state", to_json(known.state), yard.now_s))
    page = visit("/")
    expect(page.locator("#live")).to_have_text("live")
    event_of_evil = event(yard, "yard-05", evil)
    page.goto(f"{yard.web.home}/device/yard-05")
    yard.say(Heard("yard-05", "state", to_json(broken), yard.now_s), event_of_evil)
    expect(page.locator("#head")).to_contain_text("<img src=x")  # as it comes by itself, too
    assert page.locator("img").count() == 0 and "owned" not in page.title()
    yard.say(Heard("yard-05", "state", to_json(known.state), yard.now_s))


def test_a_viewer_sees_and_does_not_act(chromium: playwright.Browser, yard: Yard) -> None:
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, yard.web.home, VIEWER)
    page.goto(f"{yard.web.home}/device/{HOT}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOT)
    expect(page.get_by_text("Commands")).to_have_count(0)
    page.goto(f"{yard.web.home}/account")
    expect(page.get_by_role("heading", name="Who did what")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(f"{yard.web.home}/events")
    assert "/sign-in?next=" in page.url
    context.close()


def test_a_password_is_changed(chromium: playwright.Browser, yard: Yard) -> None:
    yard.web.accounts.add("walter", "a first password", "viewer")
    context = chromium.new_context()
    page = context.new_page()

    def enter(password: str) -> None:
        page.goto(f"{yard.web.home}/sign-in")
        page.get_by_label("Name").fill("walter")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()

    def change(old: str, new: str, again: str) -> None:
        page.goto(f"{yard.web.home}/account")
        page.get_by_label("Old password").fill(old)
        page.get_by_label("New password").fill(new)
        page.get_by_label("Once more").fill(again)
        page.get_by_role("button", name="Change it").click()

    enter("a first password")
    page.wait_for_url("**/")
    change("a wrong password", "a second password", "a second password")
    expect(page.get_by_role("alert").last).to_have_text("the old password is wrong")
    change("a first password", "a second password", "a third password")
    expect(page.get_by_role("alert").last).to_contain_text("typed in two ways")
    change("a first password", "a second password", "a second password")
    page.wait_for_url("**/sign-in")
    enter("a first password")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    enter("a second password")
    page.wait_for_url("**/")
    context.close()
