"""The options that commands share, and what they become."""

from __future__ import annotations

import argparse
import re

from runtime.engines import EngineOptions
from wire.names import NAME_PATTERN


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model and how it is run."""
    parser.add_argument(
        "--model", required=True, metavar="PATH",
        help="model folder, bundle (.zip), .tflite or .onnx file, or the name of a zoo model: "
        "digits, digits-detect",
    )  # fmt: skip
    add_engine_options(parser)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """--engine, --threads, --accelerator: how it is run."""
    parser.add_argument(
        "--engine", metavar="NAME",
        help="litert, onnxruntime, tensorrt or null; default: by the format",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=threads, metavar="N", help="inference threads; default: cores - 1"
    )
    parser.add_argument(
        "--accelerator", action="append", default=[], metavar="NAME",
        help="LiteRT delegate library or ONNX Runtime provider; may be given several times",
    )  # fmt: skip


def add_camera_option(parser: argparse.ArgumentParser) -> None:
    """--camera: where frames come from."""
    parser.add_argument(
        "--camera", default="synthetic://640x480@30", metavar="URI",
        help="synthetic://640x480@30, file://PATH, v4l2:///dev/video0?size=1280x720&fps=30, "
        "csi://0, rtsp://USER@HOST/PATH#password_file=FILE, http://HOST/PATH#fps=5, "
        "pipeline://NAME, which another shares, or for models that take rows rows://FILE.csv, "
        "rows+synthetic://4@30 and rows+mqtt://HOST/TOPIC (default: %(default)s; vedette cameras "
        "lists what "
        "is here)",
    )  # fmt: skip


def engine_options(words: argparse.Namespace) -> EngineOptions:
    """How to run the model, as the user wished."""
    return EngineOptions(threads=words.threads, accelerators=tuple(words.accelerator))


def pipeline_name(text: str) -> str:
    """A pipeline's name."""
    if not re.match(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError(f"{text!r}: 1 to 64 letters, digits, '_' and '-'")
    return text


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _within(text, 1, 10**12)


def threads(text: str) -> int:
    """A number of threads: engines crash where the system has no more of them."""
    return _within(text, 1, 256)


def port(text: str) -> int:
    """A TCP port; 0 takes any free one."""
    return _within(text, 0, 65535)


def duration_s(text: str) -> float:
    """A time in seconds, above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _within(text: str, least: int, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {least} "
            + (f"to {most}" if most < 10**12 else "up")
        )
    return number
