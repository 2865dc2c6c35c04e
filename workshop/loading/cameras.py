"""A camera's address at a rate of our choice, one for each pipeline."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from runtime.cameras import make_camera
from runtime.suite.jobs import absolute
from wire.masking import masked
from wire.troubles import Refused

RATES = (0.1, 1000.0)  # what a synthetic camera can do
AT = re.compile(r"@[\d.]+$")

Feed = Callable[[float | None, int], str]
"""(pictures per second, or None for as fast as they are taken; number of the pipeline) -> URI."""


def feed_of(uri: str) -> Feed:
    """How to get pictures at any rate from what the user named. Raises Refused for a camera that
    has a rate of its own, or that two cannot open at a time."""
    kind, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    if kind == "synthetic":
        return _checked(lambda rate, number: _synthetic(kind, place, query, rate, number))
    if kind == "file":
        path = absolute(f"file://{place}")
        return _checked(lambda rate, number: _recording(path, query, rate))
    if kind == "rows":
        table = absolute(f"file://{place}").removeprefix("file://")
        return _checked(lambda rate, number: _rows(table, query, rate))
    if kind == "rows+synthetic":
        return _checked(lambda rate, number: _synthetic(kind, place, query, rate, number))
    raise Refused(
        f"{masked(uri)}: a load test sets the rate itself and opens a camera several times: use "
        "synthetic://640x480, file://PATH or rows://FILE.csv"
    )


def _checked(feed: Feed) -> Feed:
    """Raises Refused at once for an address that cannot be meant."""
    make_camera(feed(1.0, 0))
    return feed


def _synthetic(kind: str, place: str, query: str, rate: float | None, number: int) -> str:
    """Each pipeline sees other digits, unless the user gave a seed."""
    options = query.split("&") if query else []
    if not any(option.startswith("seed=") for option in options):
        options.append(f"seed={number}")
    size = AT.sub("", place.rstrip("/"))
    at = "" if rate is None else f"@{rate:g}"
    return f"{kind}://{size}{at}?{'&'.join(options)}"


def _recording(path: str, query: str, rate: float | None) -> str:
    """Again and again. It has no options but those that we set."""
    _kept(query, ("pace", "loop"), ())
    return f"{path}?loop=yes&pace={'fast' if rate is None else f'{rate:g}'}"


def _rows(table: str, query: str, rate: float | None) -> str:
    """Again and again, with the columns that the user wants."""
    kept = _kept(query, ("rate", "loop"), ("columns",))
    options = ["loop=yes", *kept, *([] if rate is None else [f"rate={rate:g}"])]
    return f"rows://{table}?{'&'.join(options)}"


def _kept(query: str, ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """The options that stay as they are. Raises Refused for one that there is not."""
    options = [option for option in query.split("&") if option]
    names = [option.partition("=")[0] for option in options]
    for name in names:
        if name not in (*ours, *theirs):
            raise Refused(f"--camera: {name!r} means nothing to a load test: leave it out")
    return [each for each, name in zip(options, names, strict=True) if name in theirs]
