"""What the operator's commands call things when they refuse."""

from __future__ import annotations

import time

import pytest

from fleet.commands import keys
from fleet.roles.roles import Role
from fleet.roles.root import first_root
from wire.troubles import Refused

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_a_threshold_speaks_of_the_release_and_not_of_targets() -> None:
    one = Role((KEY,))
    with pytest.raises(Refused, match=r"^release: 3 of 1 keys cannot sign"):
        first_root(
            {"root": one, "targets": Role((KEY,), 3), "snapshot": one, "timestamp": one},
            time.time(),
        )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["rotate"], "keys rotate ROLE: say which role gets a new key: root, release, snapshot"),
        (["add"], "keys add ROLE: say which role gets one more key: root, release"),
        (["threshold", "root"], "keys threshold ROLE M: say of which role M keys must sign"),
    ],
)
def test_what_is_left_out_is_named(words: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        keys.main(words)
