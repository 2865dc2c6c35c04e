"""Ten thousand devices on one page: how soon it is there, and how quick a search is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import DESK, Yard, made_yard, playwright

pytestmark = [pytest.mark.budget, pytest.mark.slow]
expect = playwright.expect
FIRST_PAINT_MS, SEARCH_MS = 1500, 200
TRIES = 5

PAINT = """() => new Promise((told) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName('first-contentful-paint')[0];
  if (paint) told(paint.startTime);
}).observe({ type: 'paint', buffered: true }))"""
SEARCH = """async (words) => {
  const begun = performance.now(), before = document.getElementById('rows');
  const field = document.getElementById('search');
  field.value = words;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  while (document.getElementById('rows') === before && performance.now() - begun < 5000) {
    await new Promise(requestAnimationFrame);
  }
  return performance.now() - begun;
}"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, chromium: playwright.Browser) -> Iterator[Yard]:
    with made_yard(tmp_path_factory.mktemp("crowd"), chromium, 10_000) as made:
        yield made


@pytest.fixture
def page(crowd: Yard, chromium: playwright.Browser) -> Iterator[playwright.Page]:
    context = chromium.new_context(storage_state=crowd.session, viewport=DESK)
    page = context.new_page()
    page.goto(f"{crowd.web.home}/")
    expect(page.locator("#count")).to_have_text("10,000 devices, 1 to 100 shown")
    yield page
    context.close()


@pytest.mark.timeout(300)
def test_first_paint(page: playwright.Page) -> None:
    found = []
    for _ in range(TRIES):
        page.reload()
        found.append(page.evaluate(PAINT))
    print(f"first paint, ms: {[round(each) for each in found]}")
    assert sorted(found)[TRIES // 2] < FIRST_PAINT_MS


@pytest.mark.timeout(300)
def test_search(page: playwright.Page) -> None:
    found = [page.evaluate(SEARCH, words) for words in ("dock", "jetson 7", "belt-01", "hot", "")]
    print(f"search, ms: {[round(each) for each in found]}")
    assert sorted(found)[len(found) // 2] < SEARCH_MS
