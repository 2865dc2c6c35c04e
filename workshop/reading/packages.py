"""Frameworks: imported quietly, by their versions, and what they say when something is wrong."""

from __future__ import annotations

import importlib
import logging
import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from wire.troubles import Unavailable

DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel")}


def import_tensorflow() -> Any:
    """The module `tensorflow`, with Keras on top of it whatever Keras is set to here.

    Raises Unavailable without it.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    tensorflow = import_quietly("tensorflow")
    tensorflow.get_logger().setLevel(logging.ERROR)
    return tensorflow


def import_quietly(name: str) -> Any:
    """A package of the extra `workshop` that writes its warnings into a log. Raises Unavailable."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise Unavailable(f"{package} is missing: pip install 'vedette[workshop]'") from None


def versions(*packages: str) -> dict[str, str]:
    """Of those that are installed, by name."""
    found: dict[str, str] = {}
    for package in packages:
        for distribution in DISTRIBUTIONS.get(package, (package,)):
            try:
                found[package] = version(distribution)
                break
            except PackageNotFoundError:
                continue
    return found


def first_line(error: BaseException | str) -> str:
    """Of what a framework says of a trouble, the first line that says something, 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
