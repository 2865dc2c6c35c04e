"""What a model finds is on its device's page, by a real broker, for as long as somebody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.folder import FleetFolder
from tests.brokers import Mosquitto
from tests.browser.conftest import WELL, made_yard, playwright
from wire import topics
from wire.config import Broker
from wire.link import LinkEvent
from wire.messages import to_json
from wire.mqtt.mqtt import MqttLink
from wire.results import Result, StageDurations, Thing

pytestmark = pytest.mark.slow
expect = playwright.expect
DURATIONS = StageDurations(180.0, 900.0, 11_000.0, 140.0, 12_220.0)


def nothing(event: LinkEvent) -> None:
    """For a link that only speaks."""


def test_what_is_found_is_seen(tmp_path: Path, chromium: playwright.Browser) -> None:
    with Mosquitto() as broker:
        terms = Broker(broker.url())
        folder = FleetFolder(tmp_path, "yard", terms)
        device = MqttLink(terms, WELL, nothing)
        device.open()
        with made_yard(tmp_path, chromium, 16, folder) as yard:
            name = sorted(yard.known)[0]
            context = chromium.new_context(storage_state=yard.session)
            page = context.new_page()
            page.goto(f"{yard.web.home}/device/{name}")
            expect(page.locator("#live")).to_have_text("live")
            found = page.locator("[data-found=lane]")
            for number in range(200):
                things = (Thing("seven", score=0.93), Thing("<b>two</b>", score=0.5))
                result = Result("lane", "digits", "8", "0" * 64, number, 0.0, DURATIONS, things)
                device.publish(topics.result("yard", name, "lane"), to_json(result), qos=0)
                page.wait_for_timeout(100)
                if found.is_visible():
                    break
            expect(found).to_contain_text("seven (93 %), <b>two</b> (50 %) in frame")
            expect(found).to_contain_text("12.2 ms")
            context.close()
        device.close()
