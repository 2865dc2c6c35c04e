"""`vedette doctor`: what is missing on this very machine, and the command that mends it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import msgspec

from runtime.doctor.examine import Examined, examine
from wire.command_line import Parser
from wire.finding import in_words
from wire.folders import add_folder_options, folders_of


def main(argv: Sequence[str]) -> int:
    """0 if nothing is bad, whatever the warnings; 1 otherwise."""
    words = parser().parse_args(argv)
    found = examine(folders_of(words))
    print(msgspec.json.encode(found).decode() if words.json else "\n".join(lines(found)))
    return 1 if found.bad else 0


def lines(found: Examined) -> Iterator[str]:
    """The findings as a person reads them."""
    yield from in_words(found.findings)
    if found.bad or found.warnings:
        yield f"{found.bad or 'nothing'} bad, {_count(found.warnings, 'warning')}"
    else:
        yield "all is well"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s'[: number != 1]}"


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette doctor",
        description="Try every engine with a real model, every camera with a real frame, each "
        "pipeline's model, the broker and everything that a device needs; for what is missing, "
        "say the command that mends it. Best with sudo: then it sees what the services see.",
    )
    add_folder_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser
