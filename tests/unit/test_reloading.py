"""What a running pipeline takes from a configuration that is read again, and what it cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.reloading import Reloading, pipeline_of
from runtime.tasks import Box
from tests.by_hand import result_at
from tests.unit.test_reporting import OLD, Desk
from wire.folders import Folders
from wire.local import Found
from wire.messages import PipelineSettings
from wire.results import Result
from wire.troubles import Refused

FIRST = 'camera = "synthetic://64x48"\nmodel = "digits"'


class Service:
    """A pipeline that was started with FIRST. loaded: which models were asked for since; expected:
    how often it was told that the fleet may deploy some."""

    def __init__(self, folder: Path) -> None:
        self.folders = Folders(folder / "vedette.toml", folder / "state", folder / "run")
        self.write(FIRST)
        self.desk = Desk(folder / "run")
        self.loaded: list[str | None] = []
        self.expected = 0
        started, _ = pipeline_of(self.folders, "door")
        self.reloading = Reloading(
            self.folders, "door", started, self.desk.reporter, self.load, self.expect
        )

    def load(self, path: Path | None) -> None:
        self.loaded.append(None if path is None else path.name)

    def expect(self) -> None:
        self.expected += 1

    def write(self, pipeline: str) -> None:
        text = f'device = "a"\n[broker]\nurl = "mqtt://localhost"\n[pipeline.door]\n{pipeline}\n'
        self.folders.config.write_text(text)

    def reload(self, pipeline: str) -> None:
        self.write(pipeline)
        self.reloading.read_again()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "run").mkdir()
    service = Service(tmp_path)
    yield service
    service.desk.close()


def test_settings_and_the_model_are_taken(service: Service) -> None:
    service.reload(FIRST.replace("digits", "digits-detect") + "\nresults_per_s = 5")
    assert service.desk.reporter.totals().settings == PipelineSettings(results_per_s=5)
    assert service.loaded == ["digits-detect"]


def test_who_shares_its_camera_from_now_on_waits_for_a_restart(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    reader = '\n[pipeline.{}]\ncamera = "pipeline://door{}"\nmodel = "digits"'
    live = FIRST.replace("64x48", "64x48@30")
    service.reload(live)
    assert "its camera" not in caplog.text
    service.reload(live + reader.format("faces", "") + reader.format("cars", "?crop=car"))
    assert (
        "[pipeline.door] its camera is ready for cars, faces when this service is restarted"
        in caplog.text
    )


def test_a_fleet_that_deploys_from_now_on_and_no_model_of_its_own(service: Service) -> None:
    service.reload(FIRST)
    assert service.expected == 0
    without = FIRST.replace('model = "digits"', "")
    service.reload(without)
    assert service.loaded == ["digits"], "neither a model nor a fleet that brings one: refused"
    service.reload(f'{without}\n[updates]\nroot = "/etc/vedette/root.json"')
    assert (service.loaded, service.expected) == (["digits", None], 1)


def test_what_an_operator_set_stays_where_the_file_did_not_change_it(service: Service) -> None:
    operators = PipelineSettings("every", 3.0)
    service.desk.reporter.apply(operators)
    service.reload(FIRST + "\nthreads = 1")
    assert service.desk.reporter.totals().settings == operators


def test_what_needs_a_restart_is_said_until_it_is_as_it_was(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("vedette"), "propagate", True)
    other = FIRST.replace("64x48", "32x32")
    for pipeline, said in ((other, True), (other, True), (FIRST, False)):
        caplog.clear()
        service.reload(pipeline)
        assert ("camera: changed, used when this service is restarted" in caplog.text) is said


ZONES = "tracking = {}\nzone.left = {points = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}\n"


def seen(service: Service, times: int = 3, score: float = 0.9) -> Result:
    """What is published of a box that stands at the left."""
    desk = service.desk
    for _ in range(times):
        desk.clock.sleep(0.1)
        box = Box(0, "0", score, 100, 200, 60, 90)
        desk.reporter.emit(result_at(desk.clock.ns(), (box,), digest=OLD.digest))
    return [each for each in desk.heard() if isinstance(each, Found)][-1].result


def test_zones_are_taken_and_tracks_stay(service: Service) -> None:
    service.desk.reporter.apply(PipelineSettings("every", 30.0))
    assert seen(service).found[0].track is None
    text = FIRST + '\nresults = "every"\nresults_per_s = 30\n' + ZONES
    service.reload(text)
    said = seen(service)
    assert (said.found[0].track, said.zones["left"].entered) == (1, 1)
    service.reload(text + "zone.all = {points = [[0, 0], [1, 0], [1, 1], [0, 1]]}\n")
    more = seen(service, 1)
    assert (more.found[0].track, more.found[0].zones) == (1, ("left", "all"))
    assert more.zones["left"].entered == 1


def test_filters_do_not_falsify_what_is_said_of_the_model(service: Service) -> None:
    text = FIRST + '\nresults = "every"\nresults_per_s = 30\nfilter = {min_score = 0.5}\n'
    service.reload(text)
    assert seen(service, score=0.4).found == ()
    totals = service.desk.reporter.totals()
    assert (totals.frames, totals.scores.frames) == (3, 3)
    assert totals.scores.sum == pytest.approx(1.2)


def test_a_label_that_the_model_lacks_is_said(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("vedette"), "propagate", True)
    reporter = service.desk.reporter
    monkeypatch.setattr(reporter, "_counted", replace(OLD, labels=("person",)))
    service.reload(FIRST + '\nfilter = {labels = ["persn"]}\n')
    assert (
        "filter.labels: the model finds nothing called persn; did you mean person?" in caplog.text
    )


@pytest.mark.parametrize("pipeline", ["camera = 3", 'model = "digits"'])
def test_a_refused_file_changes_nothing(service: Service, pipeline: str) -> None:
    service.reload(pipeline)
    assert service.loaded == []
    with pytest.raises(Refused, match="door"):
        pipeline_of(service.folders, "door")
