"""Pages that change while somebody looks, and what an operator finds on them the first time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.alerts.ledger import Change, Trouble, Turn
from fleet.registry.words import Heard, Known
from tests.browser.conftest import (
    HOT,
    OFFLINE,
    PHONE,
    WELL,
    Open,
    Yard,
    made_yard,
    playwright,
)
from tests.browser.made_up import DIGESTS, made_up
from wire.happenings import Passage, Places
from wire.messages import Event, Update, UpdatePhase

pytestmark = pytest.mark.slow
expect = playwright.expect
BEYOND = """all => all.filter(one => one.getBoundingClientRect().right > innerWidth)
  .map(one => one.outerHTML.slice(0, 120))"""


def change(turn: Turn, device: str, words: str = "91 C hot") -> Change:
    return Change(turn, Trouble("hot", device, words), 1_790_000_000.0, 1_790_000_600.0)


def phase(yard: Yard, known: Known, phase: UpdatePhase, ago_s: float, why: str | None) -> Heard:
    """An event of an update, as the device tells it."""
    record = known.telemetry
    assert record is not None
    at_s = yard.now_s - ago_s
    update = Update(phase, "digits", "9", DIGESTS["9"], 7, at_s, None, why)
    told = Event(
        record.spool, 0, 0, record.boot, at_s, 1e6 - ago_s, "update", "model", "lane",
        f"digits 9: {phase}", update,
    )  # fmt: skip
    return yard.telling.say(known, told, at_s)


def test_alerts_come_and_go_by_themselves(visit: Open, yard: Yard) -> None:
    page = visit("/alerts")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#standing")).to_contain_text("Nothing that lasts is wrong")
    yard.web.parts.alerts.save([change("raised", HOT)], [])
    expect(page.locator("#standing")).to_contain_text("91 °C hot")
    expect(page.locator("#said")).to_have_text("Wrong now: 1 hot")
    link = page.locator("#standing").get_by_role("link", name=HOT)
    link.focus()
    yard.web.parts.alerts.save([change("raised", OFFLINE)], [])
    expect(page.locator("#standing")).to_contain_text("2 devices")
    expect(link).to_be_focused()  # though the list is a new one
    yard.web.parts.alerts.save([change("over", HOT), change("over", OFFLINE)], [])
    expect(page.locator("#standing")).to_contain_text("Nothing that lasts is wrong")
    expect(page.locator("#said")).to_have_text("Nothing that lasts is wrong")
    expect(page.locator("#past tbody tr")).to_have_count(4)


def test_counts_of_zones_and_lines_come_by_themselves(visit: Open, yard: Yard) -> None:
    known = yard.known["lift-05"]
    record = known.telemetry
    assert record is not None
    page = visit(f"/device/{known.name}")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#counts dd")).to_have_text("2")
    passed = (Passage("line", "back-door", "out", 12_345, "cat"),)
    lane = replace(record.pipelines["lane"], places=Places({"porch": 0}, passed))
    later = replace(
        record, time=yard.now_s, uptime_s=record.uptime_s + 60, pipelines={"lane": lane}
    )
    yard.say(yard.telling.say(known, later, yard.now_s))
    expect(page.locator("#counts")).to_contain_text("12,345")
    expect(page.locator("#counts dd")).to_have_text("0")


def test_marked_words_stay_until_they_are_copied(visit: Open, yard: Yard) -> None:
    page = visit("/alerts")
    expect(page.locator("#live")).to_have_text("live")
    page.evaluate("getSelection().selectAllChildren(document.getElementById('standing'))")
    yard.web.parts.alerts.save([change("raised", WELL, "90 C hot")], [])
    expect(page.locator("#past")).to_contain_text("90 °C hot")
    assert WELL not in page.inner_text("#standing")
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator("#standing")).to_contain_text(WELL)
    yard.web.parts.alerts.save([], [("hot", WELL)])


@pytest.mark.parametrize("path", ["/alerts", "/models", "/events"])
def test_a_page_says_why_it_stands_still(path: str, visit: Open, yard: Yard) -> None:
    page = visit(path)
    expect(page.locator("#live")).to_have_text("live")
    yard.web.parts.live.fail("the database is locked: end what holds it")
    expect(page.locator("#ill")).to_contain_text("This page stands still: the database is locked")
    yard.say()
    expect(page.locator("#ill")).to_be_hidden()


def test_updates_of_a_device(visit: Open, yard: Yard) -> None:
    page = visit(f"/device/{HOT}")
    updates = page.locator("#updates")
    expect(updates).to_contain_text("digits 8")
    expect(updates.locator(".tag")).to_have_text("good")
    expect(updates).to_contain_text(re.compile("began .*, ended after 6 min"))
    updates.locator("summary").click()
    expect(updates.locator(".update-steps li")).to_contain_text(
        ["fetching", "staged", "trial", "good"]
    )


def test_an_update_comes_by_itself_and_says_why_it_ended(visit: Open, yard: Yard) -> None:
    known = yard.known["lift-05"]
    page = visit(f"/device/{known.name}")
    updates = page.locator("#updates")
    expect(page.locator("#live")).to_have_text("live")
    expect(updates).to_contain_text("No update of a model was noted here yet")
    yard.say(phase(yard, known, "checking", 60, None))
    expect(updates.locator(".tag")).to_have_text("checking")
    expect(updates).to_contain_text("under way")
    updates.locator("summary").click()
    why = "golden sample golden-2.png: expected 3, found 8 (0.71)"
    yard.say(phase(yard, known, "rejected", 50, why))
    expect(updates.locator(".tag")).to_have_text("rejected")
    expect(updates.locator(".update-why")).to_have_text(why)
    expect(updates.locator(".update-steps")).to_be_visible()  # as it was left


def test_what_charts_show_is_had_as_csv(visit: Open, yard: Yard) -> None:
    page = visit(f"/device/{HOT}?range=15m")
    expect(page.locator(".panel")).to_have_count(5)
    quarter = rows_of(page, "latency and frames", "start,seconds,model")
    board = rows_of(page, "the board", "start,hottest_c")
    events = rows_of(page, "events", "id,at,heard")
    page.get_by_role("link", name="1 h", exact=True).click()
    expect(page.locator(".hole-words")).to_have_count(1)
    assert rows_of(page, "latency and frames", "start,") > quarter > 1
    assert rows_of(page, "the board", "start,") > board > 1
    assert rows_of(page, "events", "id,") > events > 1


def rows_of(page: playwright.Page, name: str, heads: str) -> int:
    """Of the sheet behind a link, which a browser saves as a file."""
    with page.expect_download() as saved:
        page.locator(".sheets").get_by_role("link", name=name).click()
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0].startswith(heads), lines[0]
    return len(lines)


def test_a_phone_has_an_order_by_touch_and_by_keys(visit: Open) -> None:
    page = visit("/", viewport=PHONE)
    by, way = page.get_by_label("Sort by"), page.get_by_label("Direction")
    expect(by).to_be_visible()
    expect(by).to_have_value("worst")
    by.select_option("hot")
    expect(way.locator("option")).to_have_text(["hottest first", "coolest first"])
    degrees = page.locator("#rows .c-hot")
    expect(degrees.first).to_have_text("86 °C")
    assert page.url.endswith("/?order=hot")
    way.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(degrees.first).not_to_have_text("86 °C")
    assert page.url.endswith("/?order=hot&reverse=1")
    found = [int(words.split()[0]) for words in degrees.all_inner_texts() if words != "-"]
    assert found == sorted(found)
    by.select_option("name")
    expect(way).to_have_value("")
    expect(page.locator("#rows tr .c-name").first).to_have_text("belt-01")
    page.reload()
    expect(by).to_have_value("name")


def test_a_desk_sorts_by_the_heads_of_columns(visit: Open) -> None:
    page = visit("/?order=p95&reverse=1")
    expect(page.get_by_label("Sort by")).to_be_hidden()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("p95")
    page.get_by_role("link", name="Hottest").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Hottest")
    assert page.url.endswith("/?order=hot")


def test_a_reader_whose_clock_is_wrong_reads_right_ages(visit: Open, yard: Yard) -> None:
    page = visit("/")
    page.add_init_script("const now = Date.now; Date.now = () => now() - 7_200_000;")
    page.goto(f"{yard.web.home}/?search={OFFLINE}")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#rows .c-heard")).to_have_text("3 h ago")
    page.wait_for_timeout(1500)  # ages are written anew each second
    expect(page.locator("#rows .c-heard")).to_have_text("3 h ago")
    page.goto(f"{yard.web.home}/device/{HOT}?range=15m")
    expect(page.locator(".panel")).to_have_count(5)
    assert rows_of(page, "the board", "start,") > 1


@pytest.mark.parametrize("width", [390, 1280])
def test_long_names_stay_on_the_screen(width: int, visit: Open, yard: Yard) -> None:
    name, model, version = "n" * 64, "m" * 64, "1." * 31 + "9"
    known = replace(yard.known[WELL], name=name)
    assert known.state is not None and known.telemetry is not None
    why = "w" * 200
    update = Update("rolled_back", model, version, DIGESTS["9"], 7, yard.now_s, None, why)
    lane = replace(known.state.pipelines["lane"], model=model, version=version, update=update)
    state = replace(known.state, groups=("g" * 64,), pipelines={"lane": lane, "p" * 64: lane})
    known = replace(known, state=state, telemetry=replace(known.telemetry, spool=f"long{width}"))
    yard.telling.fill([known])
    yard.say(phase(yard, known, "rolled_back", 50, why))
    yard.web.parts.alerts.save([change("raised", name, why)], [])
    for path in ("/?search=nnnn", f"/device/{name}", f"/events?device={name}", "/alerts"):
        page = visit(path, viewport={"width": width, "height": 844})
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("main")).to_contain_text(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        seen = page.locator("main a, main p, main strong, main h1, main h2")
        assert seen.evaluate_all(BEYOND) == [], path
        page.context.close()  # else the device's page would ask for it once more below: a 404
    yard.web.parts.alerts.save([], [("hot", name)])
    yard.web.registry.forget(name)
    yard.say()


def test_without_devices_the_page_says_how_they_come(
    tmp_path: Path, chromium: playwright.Browser
) -> None:
    with made_yard(tmp_path, chromium, 0) as yard:
        context = chromium.new_context(storage_state=yard.session)
        page = context.new_page()
        page.goto(f"{yard.web.home}/")
        expect(page.get_by_role("heading", level=1)).to_have_text("No device has been heard yet")
        expect(page.locator("#lines")).to_contain_text("How a device comes here")
        expect(page.locator("#lines code").first).to_have_text("vedette fleet enroll NAME")
        expect(page.get_by_role("search")).to_be_hidden()
        expect(page.locator("#live")).to_have_text("live")
        (known,) = made_up(1, yard.now_s)
        yard.telling.fill([known])
        yard.say()
        expect(page.locator("#rows tr")).to_have_count(1)
        expect(page.get_by_role("search")).to_be_visible()
        context.close()
