"""The preview's page in a real browser: what a person sees, presses and hears."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from runtime.preview import Preview
from runtime.tasks import Box, Class, Stats
from tests.story.chromium import BINARY, Tab, browser
from tests.story.feeding import Pipeline, feeding, port_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="chromium is missing: apt-get install chromium"),
]

STATE = "document.getElementById('state').textContent"
BANNER = "document.getElementById('banner').textContent"
FRAME = "document.getElementById('frame').textContent"
SEEN = "!document.getElementById('picture').hidden"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


def has(element: str, words: str) -> str:
    return f"document.getElementById({element!r}).innerText.includes({words!r})"


def test_a_person_watches_pauses_and_reads(tab: Tab) -> None:
    pipeline = Pipeline(found=(Box(7, "<b>seven</b>", 0.97, 200, 120, 160, 200),))
    with Preview(0, "digits on a test", pipeline.look) as preview, feeding(preview, pipeline):
        tab.look("light", 1366, 860)
        tab.open(preview.address)
        tab.wait_for(f"{STATE} === 'Live' && {SEEN}")
        first = tab.ask(FRAME)
        tab.wait_for(f"{FRAME} !== {first!r}")  # it moves
        tab.wait_for(has("found", "<b>seven</b>"))  # a label is text, never markup
        for element, words in (
            ("stages", "end to end"),
            ("stages", "200 µs"),
            ("counts", "skipped"),
            ("about", "digits 1.0.0"),
            ("about", "abababababababab"),
            ("fps", "30.0"),
        ):
            tab.wait_for(has(element, words))
        assert "seven" in tab.ask("document.getElementById('picture').alt")
        tab.press("p")
        tab.wait_for(f"{STATE} === 'Paused'")
        held = tab.ask("document.getElementById('picture').src")
        tab.ask("new Promise(done => setTimeout(done, 500))")
        assert tab.ask("document.getElementById('picture').src") == held
        tab.press("p")
        tab.wait_for(f"{STATE} === 'Live' && document.getElementById('picture').src !== {held!r}")
    assert tab.complaints == []  # of the console: no error, nothing against the policy


def test_an_absent_camera_and_a_lost_connection_are_said_and_mended(tab: Tab) -> None:
    pipeline = Pipeline()
    with Preview(0, "one", pipeline.look) as preview:
        port = port_of(preview)
        with feeding(preview, pipeline):
            tab.open(preview.address)
            tab.wait_for(f"{STATE} === 'Live' && {SEEN}")
            assert (
                tab.ask("document.getElementById('banner').getAttribute('aria-live')") == "polite"
            )
            pipeline.absent = "/dev/video0 was unplugged"
            tab.wait_for(f"{STATE} === 'Camera absent'")
            assert "/dev/video0 was unplugged" in tab.ask(BANNER)
            pipeline.absent = None
            tab.wait_for(f"{STATE} === 'Live' && {BANNER} === ''")
    tab.wait_for(f"{STATE} === 'Connection lost'")
    assert "Connection lost, trying again" in tab.ask(BANNER)
    with Preview(port, "two", pipeline.look) as preview, feeding(preview, pipeline):
        tab.wait_for(f"{STATE} === 'Live' && {BANNER} === ''")
        before = tab.ask(FRAME)
        tab.wait_for(f"{FRAME} !== {before!r}")  # pictures too


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 820, 1366])
def test_it_fits_every_window_in_both_schemes(tab: Tab, scheme: str, width: int) -> None:
    long = "a label that does not end " * 8
    pipeline = Pipeline(found=tuple(Class(n, long, 0.1 * n) for n in range(9)))
    name = "digits on " + "x" * 150
    with Preview(0, name, pipeline.look) as preview, feeding(preview, pipeline):
        tab.look(scheme, width, 800)
        tab.open(preview.address)
        tab.wait_for(f"{STATE} === 'Live' && {SEEN}")
        pipeline.absent = "no-blank" * 30
        tab.wait_for(f"{STATE} === 'Camera absent'")
        assert tab.ask("document.documentElement.scrollWidth") <= width
        picture = cv2.imdecode(np.frombuffer(tab.picture(), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        corner = picture[-5:, :5].mean()
        assert corner > 200 if scheme == "light" else corner < 50


def test_a_keyboard_and_a_screen_reader_are_enough(tab: Tab) -> None:
    pipeline = Pipeline(found=(Stats("scores", (1, 2), 0.0, 1.0, 0.5),))
    with Preview(0, "digits", pipeline.look) as preview, feeding(preview, pipeline):
        tab.look("light", 1366, 860)
        tab.open(preview.address)
        tab.wait_for(f"{STATE} === 'Live' && {SEEN}")
        names = []
        for _ in range(3):
            tab.press("Tab")
            names.append(tab.ask("document.activeElement.id"))
        assert names == ["pause", "save", "full"]
        nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
        said = {(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes}
        assert ("image", "The live picture, showing scores") in said
        assert {("button", "Pause"), ("button", "Save this picture")} <= said
        assert {("rowheader", "end to end"), ("columnheader", "p95")} <= said
        assert any(role == "status" for role, _ in said)


def test_a_paused_page_asks_for_no_pictures(tab: Tab) -> None:
    pipeline = Pipeline()
    with Preview(0, "digits", pipeline.look) as preview, feeding(preview, pipeline):
        tab.open(preview.address)
        tab.wait_for(f"{STATE} === 'Live' && {SEEN}")
        tab.press("p")
        tab.wait_for(f"{STATE} === 'Paused'")
        tab.ask("new Promise(done => setTimeout(done, 500))")
        assert preview._waiting == 0
        made = preview._picture
        tab.ask("new Promise(done => setTimeout(done, 500))")
        assert preview._picture is made
