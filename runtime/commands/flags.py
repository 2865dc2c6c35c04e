"""The options that commands share, and what they become."""

from __future__ import annotations

import argparse

from runtime.engines import EngineOptions


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --engine, --threads, --accelerator: which model, and how it is run."""
    parser.add_argument(
        "--model", required=True, metavar="PATH",
        help="model folder, bundle (.zip), .tflite or .onnx file, or the name of a zoo model: "
        "digits, digits-detect",
    )  # fmt: skip
    parser.add_argument(
        "--engine", metavar="NAME", help="litert, onnxruntime or null; default: by the format"
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="inference threads; default: cores - 1"
    )
    parser.add_argument(
        "--accelerator", action="append", default=[], metavar="NAME",
        help="LiteRT delegate library or ONNX Runtime provider; may be given several times",
    )  # fmt: skip


def add_camera_option(parser: argparse.ArgumentParser) -> None:
    """--camera: where frames come from."""
    parser.add_argument(
        "--camera", default="synthetic://640x480@30", metavar="URI",
        help="synthetic://640x480@30, file://PATH or v4l2:///dev/video0?size=1280x720&fps=30 "
        "(default: %(default)s; vedette cameras lists what is here)",
    )  # fmt: skip


def engine_options(words: argparse.Namespace) -> EngineOptions:
    """How to run the model, as the user wished."""
    return EngineOptions(threads=words.threads, accelerators=tuple(words.accelerator))


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def port(text: str) -> int:
    """A TCP port; 0 takes any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return number
