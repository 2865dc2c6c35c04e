"""The passphrases of offline keys: from a file, from the environment, or typed."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from wire.folders import named_path
from wire.signing import SigningKey, WrongPassphrase, load_key
from wire.troubles import Refused, Unavailable

VARIABLE = "VEDETTE_PASSPHRASE"
SHORTEST = 8  # characters
TRIES = 3
LARGEST = 16 * 1024  # bytes of a file


def add_passphrase_option(parser: argparse.ArgumentParser) -> None:
    """--passphrase-file"""
    parser.add_argument(
        "--passphrase-file", type=named_path, metavar="FILE",
        help="passphrases of the offline keys, one a line; the first is for new keys "
        f"(default: {VARIABLE}, else it is asked for)",
    )  # fmt: skip


class Passphrases:
    """Those that were given; more are asked for where somebody can type them."""

    def __init__(self, file: Path | None) -> None:
        """file: of --passphrase-file. Raises Unavailable, Refused."""
        self._known = _given(file)

    def for_new_keys(self) -> bytes:
        """Raises Refused if it is too short, or there is none."""
        phrase = self._known[0] if self._known else _typed_twice()
        if len(phrase.decode("utf-8", "replace")) < SHORTEST:
            raise Refused(f"a passphrase has at least {SHORTEST} characters")
        if phrase not in self._known:
            self._known.append(phrase)
        return phrase

    def load(self, path: Path) -> SigningKey:
        """The key in a file. Raises Unavailable, Refused; WrongPassphrase where none fits."""
        for phrase in (None, *self._known):
            try:
                return load_key(path, phrase)
            except WrongPassphrase as error:
                wrong = error
        if not _somebody_types():
            if self._known:
                raise wrong
            raise WrongPassphrase(
                f"{path}: it is encrypted: give its passphrase by --passphrase-file or {VARIABLE}"
            )
        for _ in range(TRIES):
            phrase = _typed(f"passphrase of {path.name}: ")
            try:
                key = load_key(path, phrase)
            except WrongPassphrase as error:
                wrong = error
                print(f"vedette: {error}", file=sys.stderr)
                continue
            self._known.append(phrase)
            return key
        raise wrong


def environment() -> dict[str, str]:
    """What a child of ours may know: all but the passphrase."""
    return {name: value for name, value in os.environ.items() if name != VARIABLE}


def _given(file: Path | None) -> list[bytes]:
    if file is None:
        phrase = os.environ.get(VARIABLE)
        return [os.fsencode(phrase)] if phrase else []
    try:
        with open(file, "rb") as opened:
            content = opened.read(LARGEST)
    except OSError as error:
        raise Unavailable(f"{file}: cannot be read: {error.strerror}") from None
    phrases = [line.rstrip(b"\r") for line in content.split(b"\n")]
    found = [phrase for phrase in phrases if phrase]
    if not found:
        raise Refused(f"{file}: holds no passphrase")
    return found


def _somebody_types() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _typed_twice() -> bytes:
    if not _somebody_types():
        raise Refused(f"the new keys need a passphrase: --passphrase-file FILE or {VARIABLE}")
    first = _typed("passphrase for the offline keys: ")
    if _typed("the same again: ") != first:
        raise Refused("these were two passphrases: nothing was made")
    return first


def _typed(prompt: str) -> bytes:
    try:
        return os.fsencode(getpass.getpass(prompt, sys.stderr))
    except EOFError:
        raise Refused("no passphrase was typed") from None
