"""What operators do, in a real browser: a model is dropped, deployed, tried and found good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.acting_yard import ActingYard, acting_yard
from tests.browser.conftest import playwright
from tests.fleet_web import OPERATOR, PASSWORDS
from tests.yard import digits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SOON_MS = 60_000
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingYard]:
    with acting_yard(tmp_path_factory.mktemp("acting")) as made:
        door = made.yard.device(tables="[commands]\nsnapshot = true\n")
        door.start("agent")
        door.start("lane")
        made.until(lambda: len(made.web.parts.live.sight.lines) == 1)
        done = made.yard.push(digits(made.yard.folder, "1"))
        assert done.code == 0, done.err
        with made.looking():
            yield made


@pytest.fixture
def page(scene: ActingYard, chromium: playwright.Browser) -> Iterator[playwright.Page]:
    """Signed in. Whatever the console complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{scene.web.home}/sign-in")
    page.fill("input[name=name]", OPERATOR)
    page.fill("input[name=password]", PASSWORDS[OPERATOR])
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{scene.web.home}/")
    yield page
    context.close()
    assert said == []


def check_axe(page: playwright.Page) -> None:
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS]
    assert serious == []


def test_a_dropped_model_is_deployed_tried_and_good(
    scene: ActingYard, page: playwright.Page
) -> None:
    bundle = digits(scene.yard.folder, "2")
    page.goto(f"{scene.web.home}/models")
    check_axe(page)
    drop(page, bundle)
    page.wait_for_selector(".job-done", timeout=SOON_MS)
    words = page.inner_text(".job-done .job-words")
    assert "waits in the depot" in words
    digits_of_it = re.search(r"vedette fleet sign ([0-9a-f]{12})", words)
    assert digits_of_it is not None
    scene.until(lambda: scene.web.parts.actions.shelf.candidates)
    digest = scene.web.parts.actions.shelf.candidates[0].digest
    assert digest.startswith(digits_of_it[1])
    # no reload: the page learns by itself that it waits, that it is signed, and who runs it
    page.wait_for_selector(f"tr[data-candidate='{digits_of_it[1]}']", timeout=SOON_MS)
    assert scene.yard.run("fleet", "sign", "--yes", digest).code == 0
    page.wait_for_selector("tr[data-release='digits 2']", timeout=SOON_MS)
    page.wait_for_selector("tr[data-candidate]", state="detached", timeout=SOON_MS)
    page.wait_for_selector(".job-done", state="detached", timeout=SOON_MS)
    assert "no device yet" in page.inner_text("tr[data-release='digits 2']")
    other = page.context.new_page()
    other.goto(f"{scene.web.home}/models")
    page.click("a[aria-label='Deploy digits 2']")
    check_axe(page)
    page.select_option("select[name=trial_s]", "60")
    page.eval_on_selector("select[name=trial_s] option[value='60']", "(one) => { one.value = '6' }")
    page.select_option("select[name=trial_s]", "6")
    page.click("text=See what would change")
    assert "1 of 1 device: door" in page.inner_text("main")
    check_axe(page)
    page.click("text=Deploy now")
    page.wait_for_url(re.compile("/rollout/lane"))
    # no reload from here on: it is the page that learns it
    page.wait_for_selector("tr[data-device=door] .tag-trial", timeout=SOON_MS)
    assert "1 on their way" in page.inner_text(".rule-counts")
    page.wait_for_selector("tr[data-device=door] .tag-good", timeout=SOON_MS)
    assert "1 good" in page.inner_text(".rule-counts")
    assert "digits 2" in page.inner_text("tr[data-device=door]")
    check_axe(page)
    other.wait_for_selector("tr[data-release='digits 2'] a:has-text('1 device')", timeout=SOON_MS)
    assert "1 good" in other.inner_text("#deployed .rule-counts")
    other.close()


def test_golden_samples_and_what_devices_say_of_them(
    scene: ActingYard, page: playwright.Page
) -> None:
    page.goto(f"{scene.web.home}/models/digits/2")
    cases = page.locator(".golden-case")
    assert cases.count() == 4
    page.wait_for_selector(".golden-case .tag-good", timeout=SOON_MS)
    assert "right on 1 device" in cases.first.inner_text()
    assert "passed on 1 device" in page.inner_text("#variants .facts")
    assert re.search(r"\b1 97\.3 %", cases.first.inner_text()), "its label and its score"
    answer = page.request.get(
        scene.web.home + str(page.get_attribute(".golden-case image", "href"))
    )
    assert answer.status == 200 and answer.headers["content-type"] == "image/png"
    check_axe(page)


def test_commands_are_answered_on_the_page(scene: ActingYard, page: playwright.Page) -> None:
    page.goto(f"{scene.web.home}/device/door")
    page.click("#acting button:has-text('Watch')")
    page.wait_for_selector("#acting .job-done", timeout=SOON_MS)
    assert "telemetry every 10 s for 5 minutes" in page.inner_text("#acting .job-done")
    page.click("#acting button:has-text('Take one')")
    page.wait_for_selector("#acting img.job-picture", timeout=SOON_MS)
    measure = "(one) => one.decode().then(() => one.naturalWidth)"
    width = page.eval_on_selector("#acting img.job-picture", measure)
    assert width >= 160
    page.once("dialog", lambda one: one.dismiss())
    page.click("#acting button:has-text('Restart')")
    page.wait_for_timeout(300)
    assert page.locator("#acting .job").count() == 2, "who says no to the question restarts nothing"
    check_axe(page)


def test_what_is_no_bundle_is_said_on_the_page(
    scene: ActingYard, page: playwright.Page, tmp_path: Path
) -> None:
    wrong = tmp_path / "notes.zip"
    wrong.write_bytes(b"PK\x03\x04 <b>no</b> bundle")
    page.goto(f"{scene.web.home}/models")
    page.set_input_files("#bundle", wrong)
    page.wait_for_selector(".job-refused", timeout=SOON_MS)
    assert "notes.zip" in page.inner_text(".job-refused")
    assert page.locator(".job-refused b").count() == 0


def test_rolling_back_is_asked_about_first(scene: ActingYard, page: playwright.Page) -> None:
    page.goto(f"{scene.web.home}/rollout/lane")
    page.click("text=Roll back")
    assert "digits 1 to all" in page.inner_text("main")
    check_axe(page)
    page.click("text=Roll back now")
    page.wait_for_url(re.compile("/rollout/lane$"))
    page.wait_for_selector("h2:has-text('digits 1')", timeout=SOON_MS)
    page.goto(f"{scene.web.home}/alerts")
    check_axe(page)


def drop(page: playwright.Page, file: Path) -> None:
    """As a hand does that drags it from the desktop."""
    content = list(file.read_bytes())
    held = page.evaluate_handle(
        "([content, name]) => { const held = new DataTransfer();"
        " held.items.add(new File([new Uint8Array(content)], name)); return held; }",
        [content, file.name],
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": held})
    page.dispatch_event("#drop", "drop", {"dataTransfer": held})
