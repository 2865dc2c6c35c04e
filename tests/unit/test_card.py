"""The [card] of a manifest: for people, checked all the same, and shown as it is."""

from __future__ import annotations

import pytest

from models import manifest
from models.manifest import Card, Measured
from runtime.commands.model import accuracy_words
from tests.model_folder import MANIFEST
from wire.troubles import Refused

ACCURACY = '{ metric = "top1", value = 0.9883, on = "held-out digits", samples = 450 }'


def card_of(lines: str) -> Card:
    return manifest.parse(f"{MANIFEST}[card]\n{lines}\n", "m.toml").card


def test_a_card_comes_back_as_it_was_written() -> None:
    card = card_of(f'summary = "which digit?"\nlicence = "Apache-2.0"\naccuracy = [{ACCURACY}]')
    measured = Measured("top1", 0.9883, "held-out digits", 450)
    assert card == Card("which digit?", "Apache-2.0", (measured,))
    whole = manifest.parse(f"{MANIFEST}[card]\naccuracy = [{ACCURACY}]\n", "m.toml")
    assert manifest.parse(manifest.as_text(whole), "again.toml") == whole
    assert manifest.parse(MANIFEST, "m.toml").card == Card()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"accuracy = [{ACCURACY.replace('0.9883', '98.83')}]", "possible: from 0 to 1"),
        (f"accuracy = [{ACCURACY.replace('450', '0')}]", "samples"),
        ('accuracy = [{ metric = "top1", value = 0.9 }]', "on"),
        (f"accuracy = [{(ACCURACY + ',' + chr(10)) * 17}]", "accuracy"),
        ("summary = 7", "summary"),
        (f'summary = "{"x" * 301}"', "summary"),
        ('license = "MIT"', "did you mean licence"),
    ],
)
def test_what_a_card_cannot_say_is_refused(line: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        card_of(line)


def test_accuracy_is_told_in_words() -> None:
    measured = Measured("top1", 0.9883, "held-out digits", 450)
    assert accuracy_words(measured) == "top1 98.83 % on held-out digits, 450 samples"
    assert accuracy_words(Measured("map50", 0.5, "a yard")) == "map50 50 % on a yard"
