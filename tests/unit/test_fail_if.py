"""Conditions of --fail-if: what they mean, and that nothing else can stand in one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from wire.troubles import Refused
from workshop.comparing.fail_if import Condition, Figure
from workshop.comparing.known import Known, classes_of
from workshop.comparing.names import named

FIGURES: dict[str, dict[str, Figure]] = {
    "float": {"top1": 0.99, "p50_ms": 10.0, "recall": {"cat": 0.9, "7": 0.8}, "map50": None},
    "int8": {"top1": 0.97, "p50_ms": 4.0, "recall": {"cat": 0.7, "7": None}, "map50": None},
}
NAMES = ("top1", "p50_ms", "recall", "map50", "device_p95_ms")
KNOWN = Known(tuple(FIGURES), NAMES, ("recall",), ("device_p95_ms",))
ASKED = replace(KNOWN, classes={"int8": ("cat", "7")}, devices=("door", "gate/lane"))


@pytest.mark.parametrize(
    ("words", "fails"),
    [
        ("int8.top1 < float.top1 - 0.01", True),
        ("int8.top1 < float.top1 - 0.03", False),
        ("float.top1 - int8.top1 > .01 and int8.p50_ms < 5", True),
        ("int8.top1 < .5 or int8.p50_ms > float.p50_ms / 2", False),
        ("not int8.top1 >= 0.975", True),
        ("0.9 <= int8.top1 < 0.98", True),
        ("0.9 <= int8.top1 < 0.97", False),
        ("abs(int8.top1 - float.top1) > 2e-2 * 0.9", True),
        ("min(int8.top1, float.top1) == int8.top1", True),
        ("max(int8.p50_ms, 3, 5) != 5", False),
        ('int8.recall["cat"] < 0.75', True),
        ("-int8.top1 > +0.0", False),
        ("float.recall[7] > 0.7", True),
        ("(int8.top1 + float.top1) * 2 > 3.9", True),
    ],
)
def test_says_what_python_would(words: str, fails: bool) -> None:
    condition = Condition(words)
    condition.check(KNOWN)
    assert condition.judge(FIGURES).fails is fails


def test_tells_which_figures_were_put_in() -> None:
    verdict = Condition(' int8.top1 < float.top1 and float.recall["cat"] > 0 ').judge(FIGURES)
    assert verdict.figures == 'int8.top1 = 0.97, float.top1 = 0.99, float.recall["cat"] = 0.9'
    assert verdict.condition == 'int8.top1 < float.top1 and float.recall["cat"] > 0'


@pytest.mark.parametrize(
    "words",
    [
        "", "int8.top1 <", "int8.top1", "1", "True", "int8.top1 < 'a'", "int8.top1 < True",
        "__import__('os').system('true') < 1", "int8.top1.real < 1", "(1).real < 2",
        "[1 for x in (1,)] < 1", "int8.top1 is 1", "int8.top1 in 1", "(lambda: 1)() < 2",
        "int8.top1 ** 9 < 1", "int8.top1 // 1 < 1", "1 << 9 < 1", "~1 < 2", "f'{1}' < 1",
        "(a := 1) < 2", "min(1) < 2", "abs(1, 2) < 1", "min(1, key=abs) < 1", "min() < 1",
        "int8['top1'] < 1", "top1 < 1", "int8.top1 < 1 if 1 < 2 else 3 < 4", "1j < 2",
        "(" * 500 + "1" + ")" * 500 + " < 2", "1 < 2" + " " * 1000, "\0 < 1", "max(*1) < 1",
        "int8.top1 < 1; 2", "(1 < 2) < 3",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(words: str) -> None:
    with pytest.raises(Refused) as refusal:
        Condition(words).check(KNOWN)
    assert str(refusal.value).startswith("--fail-if")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("int9.top1 < 1", "no model 'int9'; did you mean int8? (there are float, int8)"),
        ("int8.top2 < 1", "no figure 'top2'; did you mean top1?"),
        ("int8.top1 < 0 and int8.tops > 1", "no figure 'tops'"),
    ],
)
def test_a_mistyped_name_is_told_before_anything_is_measured(words: str, says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        Condition(words).check(KNOWN)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("int8.map50 < 1", "int8.map50 is not known"),
        ('int8.recall["7"] < 1', r'int8.recall\["7"\] is not known'),
        ('int8.recall["dog"] < 1',
         r'int8.recall\["dog"\] was not measured: there is int8.recall\["cat"\], int8'),
        ("1 / (int8.top1 - 0.97) < 1", "divides by zero"),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_there_is_no_success(words: str, says: str) -> None:
    condition = Condition(words)
    condition.check(KNOWN)
    with pytest.raises(Refused, match=says):
        condition.judge(FIGURES)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("int8.recall < 1", 'int8.recall is of one class: write int8.recall["cat"]'),
        ('int8.recall["dog"] < 1', "there is no class 'dog' (there are cat, 7)"),
        ('int8.top1["cat"] < 1', "int8.top1 is one number: leave ['cat'] out"),
        ("int8.device_p95_ms > 1", 'of one device: write int8.device_p95_ms["door"]'),
        ('int8.device_p95_ms["gate"] > 1', "no --device 'gate'; did you mean gate/lane?"),
        ("1 / 0 > int8.top1", "divides by zero"),
        ("1 / (int8.top1 - int8.top1) < 1", "divides by zero"),
    ],
)
def test_what_no_measuring_can_tell_is_told_before(words: str, says: str) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        Condition(words).check(ASKED)


def test_without_a_device_there_is_no_figure_of_one() -> None:
    says = "int8.device_p95_ms is of a device: add --device gate"
    with pytest.raises(Refused, match=re.escape(says)):
        Condition('int8.device_p95_ms["gate"] > 1').check(KNOWN)


@pytest.mark.parametrize(
    "words",
    [
        'float.recall["dog"] < 1', 'int8.recall["7"] < 1', 'int8.device_p95_ms["gate/lane"] > 1',
        "1 / (int8.top1 - float.top1) < 1", "1 / max(0, float.p50_ms - int8.p50_ms) < 1",
        "1 / max(0, int8.p50_ms - float.p50_ms) < 1",
    ],
)  # fmt: skip
def test_what_measuring_will_tell_is_left_to_it(words: str) -> None:
    Condition(words).check(ASKED)


def test_model_folders_tell_their_classes() -> None:
    known = classes_of(named(["digits"], None))
    assert known == dict.fromkeys(("onnx", "tflite"), tuple("0123456789"))
