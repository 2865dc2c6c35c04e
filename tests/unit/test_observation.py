"""Filters, zones and lines in a configuration: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from models.manifest import Decoding, load
from runtime.commands.check_config import main
from runtime.locating import ZOO, locate
from runtime.tracking.foreign import foreign_labels
from runtime.tracking.fruitless import fruitless
from wire.config import Pipeline, parse
from wire.observation import Bounds, Filter, Line, Observation, Tracking, Zone, observation_of
from wire.troubles import Refused

BEFORE = 'device = "d"\n[broker]\nurl = "mqtt://localhost"\n[pipeline.door]\n'
DOOR = BEFORE + 'camera = "synthetic://64x48"\nmodel = "digits-detect"\n'
SQUARE = "points = [[0, 0], [1, 0], [1, 1], [0, 1]]\n"
TRACKED = "[pipeline.door.tracking]\n"
ZONE = "[pipeline.door.zone.porch]\n"
LINE = TRACKED + "[pipeline.door.line.gate]\n"


def door(more: str) -> Pipeline:
    return parse(DOOR + more, "v.toml").pipeline["door"]


def test_nothing_is_asked_for_unless_it_is_written() -> None:
    assert door("").is_nothing
    assert not door(TRACKED).is_nothing
    assert not door(ZONE + SQUARE).is_nothing
    assert not door("[pipeline.door.filter]\nmin_score = 0.3\n").is_nothing


def test_all_of_it_is_read() -> None:
    text = (
        TRACKED + 'lost_s = 2\nlabels = "any"\n' + ZONE + SQUARE + 'labels = ["person"]\n'
        "[pipeline.door.line.gate]\npoints = [[0, 0.5], [1, 0.5]]\n"
        'directions = ["down", "up"]\nanchor = "middle"\nmargin = 0.2\n'
        '[pipeline.door.filter]\nmin_score = 0.3\nlabels = ["person", "traffic light"]\n'
        '[pipeline.door.filter.label."traffic light"]\nmin_size = [0.01, 0.02]\n'
    )
    assert observation_of(door(text)) == Observation(
        filter=Filter(
            min_score=0.3,
            labels=("person", "traffic light"),
            label={"traffic light": Bounds(min_size=(0.01, 0.02))},
        ),
        tracking=Tracking(lost_s=2.0, labels="any"),
        zone={"porch": Zone(((0, 0), (1, 0), (1, 1), (0, 1)), labels=("person",))},
        line={"gate": Line(((0, 0.5), (1, 0.5)), ("down", "up"), (), "middle", 0.2)},
    )


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (ZONE, ":7: pipeline.door.zone.porch.points: missing; it takes an array"),
        (ZONE + "points = [[0, 0], [1, 0]]", ":8: pipeline.door.zone.porch.points: too short"),
        (
            ZONE + "points = [[0, 0], [1, 0], [1, 1.5]]",
            ":8: pipeline.door.zone.porch.points[2][1]: expected number <= 1.0; "
            "possible: from 0 to 1",
        ),
        (ZONE + "points = [[0, 0], [1, 0], [nan, 1]]", "points[2][0]: expected number >= 0.0"),
        (ZONE + "points = [[0, 0], [1, 1], [1, 0], [0, 1]]", "its sides cross each other"),
        (ZONE + "points = [[0, 0], [1, 1], [0.5, 0.5]]", "its points lie on one line"),
        (ZONE + "points = [[0, 0], [1, 0], [1, 1], [0, 0]]", "a point is there twice"),
        # the runtime would divide by the square of what is between them
        (ZONE + "points = [[0, 0], [1e-170, 0], [1, 1], [0, 1]]", "a point is there twice"),
        (LINE + "points = [[0, 0.5], [1e-170, 0.5]]", "both are the same point"),
        (ZONE + SQUARE + 'anchor = "foot"', "'foot' is not possible; possible: bottom, middle"),
        ('[pipeline.door.zone."my porch"]\n' + SQUARE, "a zone's name has 1 to 64 letters"),
        (
            "".join(f"[pipeline.door.zone.z{k}]\n{SQUARE}" for k in range(17)),
            "pipeline.door.zone.z16: 17 zones, 16 are possible",
        ),
        (
            "[pipeline.door.line.gate]\npoints = [[0, 0], [1, 1]]",
            ":7: pipeline.door.line.gate: a line counts tracks: "
            "add the table [pipeline.door.tracking]",
        ),
        (LINE + "points = [[0, 0.5], [0, 0.5]]", "both are the same point: a line has two ends"),
        (LINE + "points = [[0, 0], [1, 1], [1, 0]]", "too long: at most 2 values are possible"),
        (
            LINE + 'points = [[0, 0], [1, 1]]\ndirections = ["a", "a"]',
            "both are called the same: nobody could tell them apart",
        ),
        (
            LINE + 'points = [[0, 0], [1, 1]]\ndirections = ["a b", "c"]',
            "[0]: expected 1 to 64",
        ),
        ("[pipeline.door.filter]\nmin_score = 1.5", "possible: from 0 to 1"),
        (
            "[pipeline.door.filter]\nmin_size = [0.5, 0.1]\nmax_size = [0.2, 0.2]",
            ":8: pipeline.door.filter.min_size: larger than max_size: no box is both",
        ),
        (
            '[pipeline.door.filter]\nlabels = ["a"]\n[pipeline.door.filter.label.b]\n',
            "pipeline.door.filter.label.b: b is never taken: add it to labels under filter",
        ),
        (
            "[pipeline.door.filter.label.b]\nscore = 0.5",
            "filter.label.b.score: there is no such key here; did you mean min_score?",
        ),
        (TRACKED + "lost_s = 0", "lost_s: expected number >= 0.05; possible: from 0.05 to 60"),
    ],
)
def test_what_is_refused_is_said_with_line_key_and_reason(more: str, complaint: str) -> None:
    with pytest.raises(Refused) as trouble:
        door(more)
    assert complaint in str(trouble.value)
    assert "\n" not in str(trouble.value)


def test_a_label_that_the_model_lacks_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vedette.toml"
    file.write_text(DOOR + TRACKED + ZONE + SQUARE + 'labels = ["3", "three"]\n')
    assert main([str(file)]) == 0
    said = capsys.readouterr().out
    assert "; tracked; zones porch" in said
    assert "warning: pipeline.door.zone.porch.labels: the model finds nothing called three" in said
    assert "called 3" not in said


def test_labels_that_nobody_knows_are_not_judged() -> None:
    wanted = Observation(filter=Filter(labels=("persn",)))
    assert list(foreign_labels(wanted, ())) == []
    assert list(foreign_labels(wanted, ("person", "dog"))) == [
        "filter.labels: the model finds nothing called persn; did you mean person?"
    ]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("tracking", TRACKED),
        ("filter", "[pipeline.door.filter]\nmin_score = 0.3\n"),
        ("zone", ZONE + SQUARE),
        ("line", LINE + "points = [[0, 0], [1, 1]]\n"),
    ],
)
def test_what_does_nothing_with_a_model_without_boxes_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, text: str
) -> None:
    file = tmp_path / "vedette.toml"
    for model, times in (("digits", 1), ("digits-detect", 0)):
        file.write_text(DOOR.replace("digits-detect", model) + text)
        assert main([str(file)]) == 0
        said = capsys.readouterr().out
        assert f"{model} on synthetic" in said
        assert said.count(f"warning: pipeline.door.{table}: does nothing here") == times


def test_instances_and_poses_have_boxes() -> None:
    wanted, told = Observation(tracking=Tracking()), load(ZOO / "digits" / "tflite")
    objects, regions = Decoding(head="yolov8"), Decoding(head="logits")
    for model, lines in (
        (replace(told, task="pose", decoding=objects), 0),
        (replace(told, task="segment", decoding=objects), 0),
        (replace(told, task="segment", decoding=regions), 1),
        (replace(told, task="embed", decoding=Decoding(head="vector")), 1),
    ):
        assert len(list(fruitless(wanted, model))) == lines


def test_what_no_box_can_pass_or_is_there_twice_is_told() -> None:
    filter_ = Filter(
        max_size=(0.5, 0.0),
        labels=("3", "7", "3", "3"),
        label={"7": Bounds(max_size=(0, 0)), "3": Bounds(max_size=(1, 1))},
    )
    zone = Zone(((0, 0), (1, 0), (1, 1)), labels=("7", "7"))
    wanted = Observation(filter=filter_, zone={"porch": zone})
    with locate(ZOO / "digits-detect" / "onnx") as located:
        assert located.manifest is not None
        assert list(fruitless(wanted, located.manifest)) == [
            "filter.max_size: no box is so small: nothing will be found; make it larger, or leave "
            "it out",
            "filter.label.7.max_size: no box is so small: no 7 will be found; make it larger, or "
            "leave it out",
            "filter.labels: 3 is there twice: once is enough",
            "zone.porch.labels: 7 is there twice: once is enough",
        ]
        assert (
            list(fruitless(Observation(filter=Filter(labels=("3", "7"))), located.manifest)) == []
        )
