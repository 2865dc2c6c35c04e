"""Which variant of a model a device takes."""

from __future__ import annotations

import pytest

from agent.update.variants import chosen
from wire.deployments import Rule, Who, takes
from wire.release import Variant
from wire.troubles import Refused
from wire.trust.trust import Bundle

PI = "Raspberry Pi 5 Model B Rev 1.0"


def bundle(digit: str, kind: str, *boards: str) -> Bundle:
    variant = Variant("digits", "7", kind, boards)
    return Bundle(f"models/digits/7/{kind}-{digit}.zip", digit * 64, 1000, variant)


ONNX = bundle("1", "onnx")
LITE = bundle("2", "tflite")
FOR_PI = bundle("3", "onnx", "raspberry-pi-5", "raspberry-pi-4")
FOR_THIS = bundle("4", "onnx", PI)
FOR_ORIN = bundle("5", "onnx", "nvidia-jetson-orin")
ALL = (ONNX, LITE, FOR_PI, FOR_THIS, FOR_ORIN)


@pytest.mark.parametrize(
    ("bundles", "board", "formats", "running", "best"),
    [
        ((ONNX, LITE), "x86_64", ("tflite", "onnx"), (), LITE),
        ((ONNX, LITE), "x86_64", ("onnx", "tflite"), (), ONNX),
        ((ONNX, LITE), "x86_64", ("onnx",), (), ONNX),
        (ALL, "x86_64", ("tflite", "onnx"), (), LITE),
        (ALL, PI, ("tflite", "onnx"), (), FOR_THIS),
        (ALL[:3], PI, ("tflite", "onnx"), (), FOR_PI),
        (ALL, PI, ("tflite",), (), LITE),
        ((ONNX, LITE), "x86_64", ("tflite", "onnx"), (ONNX.digest,), ONNX),  # stays
        ((ONNX, LITE), "x86_64", ("tflite",), (ONNX.digest,), LITE),  # cannot stay
    ],
)
def test_the_best_one(
    bundles: tuple[Bundle, ...],
    board: str,
    formats: tuple[str, ...],
    running: tuple[str, ...],
    best: Bundle,
) -> None:
    assert chosen(bundles, board, formats, running) == best


def test_a_name_is_no_beginning_of_another() -> None:
    with pytest.raises(Refused, match=r"raspberry-pi-5"):
        chosen((FOR_PI,), "Raspberry Pi 500", ("onnx",), ())


def test_says_what_there_is() -> None:
    with pytest.raises(Refused, match="no such version"):
        chosen((), PI, ("tflite",), ())
    with pytest.raises(Refused, match=r"x86_64.*tflite.*there is onnx; onnx for nvidia-jetson"):
        chosen((ONNX, FOR_ORIN), "x86_64", ("tflite",), ())


@pytest.mark.parametrize(
    ("boards", "board", "is_taken"),
    [
        ((), "x86_64", True),
        (("raspberry-pi-5",), PI, True),
        (("raspberry-pi",), PI, True),
        ((PI,), PI, True),
        (("raspberry-pi-5",), "Raspberry Pi 500 Rev 1.0", False),
        (("raspberry-pi-4", "nvidia-jetson"), PI, False),
    ],
)
def test_a_rule_names_boards_as_a_manifest_does(
    boards: tuple[str, ...], board: str, is_taken: bool
) -> None:
    assert takes(Rule("digits", "7", boards=boards), Who("door", (), board)) == is_taken
