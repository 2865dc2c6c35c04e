"""The page of a comparison in a real browser: complete in itself, readable, for everybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from runtime.panel import Spread
from runtime.suite import Machine
from tests.browser.conftest import DESK, PHONE, playwright
from workshop.comparing.accuracy import Accuracy, Confused, OfClass
from workshop.comparing.report import as_html
from workshop.comparing.results import (
    FORM,
    Changed,
    Compared,
    Comparison,
    Gate,
    Latency,
    Layer,
    Layers,
    Memory,
    OnDevice,
    SampleSet,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
LABELS = ("cat", "dog", "a very long name of a class indeed", "<b>hen</b>")
HOSTILE = '"><script>alert(1)</script>'
Show = Callable[..., playwright.Page]


def accuracy(wrong: int, labels: tuple[str, ...] = LABELS) -> Accuracy:
    right = 50 - wrong
    classes = tuple(
        OfClass(place, label, 50, 50, right / 50, right / 50) for place, label in enumerate(labels)
    )
    confusion = tuple(Confused(place, place, right) for place in range(len(labels)))
    confusion += tuple(Confused(place, (place + 1) % len(labels), wrong) for place in range(2))
    return Accuracy(200, right / 50, 0.995, None, None, classes, confusion)


def model(name: str, wrong: int, ms: float, size: int, judged: Accuracy | None = None) -> Compared:
    spread = Spread(ms * 1e3, ms * 1.4e3, ms * 2e3)
    noise = tuple(
        Layer(f"block_{n}/conv;{HOSTILE}", "CONV_2D", (1, 8, 8, 16), 60 - wrong - n, 0.999)
        for n in range(12)
    )
    return Compared(
        name, f"/models/{name}", None, HOSTILE, "1", "classify", "tflite", "litert", "f" * 64, size,
        None, (HOSTILE,), judged or accuracy(wrong), 0.94, 0.99, {"float": 1 - wrong / 50},
        Changed(wrong, 1, 0.01, (HOSTILE,)), Latency(200, spread, spread, spread, spread),
        Memory(70 + size / 1e6, 50), Layers(noise, "float", "names", 8, 1), on_front=wrong < 3,
    )  # fmt: skip


def comparison(*models: Compared) -> Comparison:
    bench = OnDevice("door", "lane", "int8", HOSTILE, "litert", 300, 30.0, Spread(1, 2, 3),
                     Spread(4, 5, 6))  # fmt: skip
    return Comparison(
        FORM, Machine("a board", 4, "Linux", "3.11", "1", "2026-11-22T10:00:00Z", 0.1), 1,
        SampleSet(HOSTILE, 200, "classes", "e" * 64, (HOSTILE,)), "float", models,
        (bench, OnDevice("attic", None, trouble=HOSTILE)),
        (Gate(HOSTILE, True, HOSTILE), Gate("int8.top1 < 0.5", False, "int8.top1 = 0.9")),
    )  # fmt: skip


USUAL = comparison(
    model("float", 1, 12, 14_000_000),
    model("float16", 1, 12.2, 7_000_000),
    model("dynamic", 4, 7, 3_700_000),
    model("int8", 2, 4, 3_600_000),
    Compared("torn", "/models/torn", HOSTILE),
)


@pytest.fixture
def show(chromium: playwright.Browser, tmp_path: Path) -> Iterator[Show]:
    """Opens a page; it may neither complain nor ask for anything else."""
    contexts: list[playwright.BrowserContext] = []
    said: list[str] = []

    def open_page(told: Comparison, **wanted: object) -> playwright.Page:
        file = tmp_path / "report.html"
        file.write_text(as_html(told))
        context = chromium.new_context(**{"viewport": DESK, **wanted})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: said.append(one.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda one: said.append(one.message))
        page.on("request", lambda one: said.append(one.url) if one.url != file.as_uri() else None)
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everybody_can_read_it(show: Show, scheme: str, size: dict[str, int]) -> None:
    page = show(USUAL, color_scheme=scheme, viewport=size)
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "only parts scroll"
    titles = page.locator("h2").all_inner_texts()
    assert titles == ["Gates", "Accuracy, latency and size", "Agreement", "On devices", "Confusion",
                      "Classes", "Layers", "What, and how"]  # fmt: skip


def test_nothing_lies_over_anything_else(show: Show) -> None:
    page = show(USUAL)
    crossing = page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap(svg => {
          const boxes = [...svg.querySelectorAll('text')].map(
            one => [one.textContent, one.getBoundingClientRect()]);
          const frame = svg.getBoundingClientRect(), found = [];
          boxes.forEach(([words, a], place) => {
            if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push(words);
            for (const [other, b] of boxes.slice(place + 1))
              if (!words.startsWith('a very') && !other.startsWith('a very') &&
                  a.left + 1 < b.right && b.left + 1 < a.right &&
                  a.top + 3 < b.bottom && b.top + 3 < a.bottom) found.push(words + '/' + other);
          });
          return found;
        })"""
    )
    assert crossing == []


def test_marks_and_gates_say_what_they_mean_without_colour(show: Show) -> None:
    page = show(USUAL)
    verdicts = page.locator(".verdict").all_inner_texts()
    assert [words.split(":")[0] for words in verdicts] == ["Fails", "Passes"]
    names = page.locator("section:has(h2:text('Accuracy, latency')) tbody th").all_inner_texts()
    assert names == ["float *", "float16 *", "dynamic", "int8 *", "torn"]
    circles = page.locator("svg[aria-label*='against latency'] circle")
    assert circles.count() == 4
    hollow = page.locator("svg[aria-label*='against latency'] circle.hollow")
    assert hollow.count() == 1 and hollow.locator("title").text_content() == (
        "dynamic: 0.9200, 7.00 ms, 3.70 MB"
    )


def test_many_classes_become_pairs_and_the_worst(show: Show) -> None:
    labels = tuple(f"class {place}" for place in range(300))
    page = show(comparison(model("float", 1, 12, 9), model("int8", 5, 4, 3, accuracy(5, labels))))
    assert page.locator("svg[aria-label^='Confusion']").count() == 0
    assert page.get_by_text("pairs that are mixed up most").count() == 1
    assert page.get_by_text("The 20 worst of 300 classes.").count() == 1


def test_a_single_model_without_a_truth_is_a_page_too(show: Show) -> None:
    spread = Spread(1, 2, 3)
    only = Compared(
        "only", "only", task="raw", format="onnx", engine="onnxruntime", size_bytes=9,
        latency=Latency(9, spread, spread, spread, spread),
    )  # fmt: skip
    page = show(comparison(only))
    assert page.title() == "only compared"
    assert page.locator("svg").count() == 0, "nothing to set the latency against"


def test_it_prints_on_white_in_the_dark_too(show: Show) -> None:
    page = show(USUAL, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) != "rgb(255, 255, 255)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    text = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert max(map(int, re.findall(r"\d+", text))) < 120, "dark words on it"
