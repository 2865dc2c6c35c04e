"""What happens to pages seldom: somebody is signed out meanwhile, searches from an old page, has
boards in the cold."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fleet.serve import gate
from tests.browser.conftest import HOT, WELL, Open, Yard, playwright, sign_in
from tests.fleet_web import VIEWER
from wire.messages import Event

pytestmark = pytest.mark.slow
expect = playwright.expect


def test_who_is_signed_out_meanwhile_is_asked_to_sign_in(
    chromium: playwright.Browser, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "ASK_AGAIN_S", 0.1)
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, yard.web.home, VIEWER)
    page.goto(f"{yard.web.home}/events?kind=fault")
    expect(page.locator("#live")).to_have_text("live")
    for cookie in context.cookies():
        yard.web.accounts.sessions.end(cookie["value"])
    page.wait_for_url("**/sign-in?next=*", timeout=30_000)
    assert "kind%3Dfault" in page.url
    context.close()


def test_a_search_from_an_old_page_of_events_is_live_again(visit: Open, yard: Yard) -> None:
    record = yard.known[HOT].telemetry
    assert record is not None
    page = visit("/events?before=2")
    expect(page.locator("#live")).to_have_text("live")
    page.get_by_label("Search events").fill("a wasp")
    expect(page.locator("#list")).to_contain_text("Nothing matches")
    told = Event(
        record.spool, 0, 0, record.boot, yard.now_s, 1e6, "note", "camera", "lane", "a wasp sits"
    )
    yard.say(yard.telling.say(yard.known[HOT], told, yard.now_s))
    expect(page.locator("#rows li").first).to_contain_text("a wasp sits")


def test_a_board_in_the_cold_is_drawn_inside_its_chart(visit: Open, yard: Yard) -> None:
    record = yard.known[WELL].telemetry
    assert record is not None
    cold = replace(record.health, temperatures_c={"cpu-thermal": -12.0})
    for ago_s in (90.0, 60.0, 30.0):
        at_s = yard.now_s - ago_s
        told = replace(record, time=at_s, uptime_s=1e6 - ago_s, health=cold)
        yard.say(yard.telling.say(yard.known[WELL], told, at_s))
    page = visit(f"/device/{WELL}?range=15m")
    drawing = page.locator(".panel").nth(3).locator("svg[role=img]")
    expect(drawing).to_be_visible()
    bottom, height = drawing.evaluate(
        """svg => { const box = svg.querySelector(".line").getBBox();
                    return [box.y + box.height, Number(svg.getAttribute("height"))]; }"""
    )
    assert bottom <= height
