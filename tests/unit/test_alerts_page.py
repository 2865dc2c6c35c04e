"""The page of alerts: what is wrong now, what was told, and nothing that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.actions.shelf import Shelf
from fleet.alerts.ledger import Change, Trouble, Turn
from fleet.serve.acting.alerts import PAGE
from fleet.serve.alerting import troubles
from fleet.serve.crew import PartState
from tests.fleet_web import VIEWER, Browser, Web, web


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as opened:
        yield opened


@pytest.fixture(scope="module")
def viewer(served: Web) -> Iterator[Browser]:
    with served.browser(VIEWER) as browser:
        yield browser


def change(turn: Turn, device: str, words: str = "91 C hot") -> Change:
    return Change(turn, Trouble("hot", device, words), 1_790_000_000.0, 1_790_000_600.0)


def test_the_page(served: Web, viewer: Browser) -> None:
    assert "Nothing that lasts is wrong" in viewer.get("/alerts").text
    served.parts.alerts.save([change("raised", "door"), change("raised", "gate")], [])
    served.parts.alerts.save([change("over", "gate")], [])
    page = viewer.get("/alerts").text
    assert '<a href="/device/door">door</a>' in page and "1 device" in page
    assert "over: hot" in page and "for 10 min" in page
    assert "Nobody is told" in page


def test_words_of_devices_are_words(served: Web, viewer: Browser) -> None:
    served.parts.alerts.save([change("raised", "bad", "<img src=x onerror=alert(1)>")], [])
    page = viewer.get("/alerts").text
    assert "&lt;img src=x" in page and "<img src=x" not in page
    served.parts.alerts.save([], [("hot", "bad")])


def test_the_past_has_pages(served: Web, viewer: Browser) -> None:
    served.parts.alerts.save([change("raised", f"cam-{n:03}") for n in range(2 * PAGE)], [])
    first = viewer.get("/alerts").text
    assert f"cam-{2 * PAGE - 1:03}" in first and "Older" in first
    newest = served.parts.alerts.history(1)[0].number
    second = viewer.get(f"/alerts?before={newest - PAGE + 1}").text
    assert f"cam-{PAGE - 1:03}</a></th>" in second and f"cam-{PAGE:03}</a></th>" not in second
    for odd in ("x", "-1", "1e9", "9" * 40, "\u0661"):
        assert viewer.client.get("/alerts", params={"before": odd}).status_code == 200


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_wrong_with_the_whole(is_there: bool) -> None:
    broken = PartState("ingest", "broken", "the broker went away", 0.0)
    well = PartState("ingest", "working", "connected", 0.0)
    shelf = Shelf(warnings=("root metadata expires in 20 days",), trouble="no answer")
    found = {one.kind: one.words for one in troubles(shelf, [broken if is_there else well])}
    assert found["expiry"] == "root metadata expires in 20 days"
    assert found["depot"] == "devices may get no models: the depot: no answer"
    assert ("ingest" in found) == is_there
    assert troubles(Shelf(), [well]) == []
