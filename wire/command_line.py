"""The options of a command: what is wrong with them is said in one line, as every trouble."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NoReturn

from wire.likely import did_you_mean
from wire.troubles import one_line


class Parser(argparse.ArgumentParser):
    """Says what is wrong, what may be meant and where the options are listed; not all of them."""

    def error(self, message: str) -> NoReturn:
        hint = _meant(message, list(_options(self)))
        self.exit(2, f"{self.prog}: error: {one_line(message)}{hint} ({self.prog} --help)\n")


def _meant(message: str, known: list[str]) -> str:
    """Which option argparse did not know, if it is nearly one."""
    start, _, words = message.partition("unrecognized arguments: ")
    typed = () if start else words.split()
    hints = (did_you_mean(word.partition("=")[0], known) for word in typed if word[:2] == "--")
    return next(filter(None, hints), "")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All its options, and those of its verbs."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _options(verb)
