"""What knocking at the doors has found, each as a small test of its own."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from runtime.golden import read_answer
from wire.block.server import BlockServer
from wire.mqtt.url import address_of
from wire.troubles import Refused


class NoFiles:
    def open(self, key: str) -> BinaryIO | None:
        return None


def test_one_byte_of_a_device_ended_the_depot() -> None:
    """A request that is no UTF-8 was neither read nor dropped."""
    server = BlockServer(lambda *_, **__: 0, "home", NoFiles())
    server.asked("door", b'{"file":"\xff","ranges":[[0,1]]}')
    server.asked("door", b"[" * 4000)


@pytest.mark.parametrize("task", ["classify", "detect", "raw"])
def test_an_expected_answer_that_is_no_text(tmp_path: Path, task: str) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(b'[{"label":"\xff","index":7,"score":0.9}]')
    with pytest.raises(Refused, match="not an expected answer"):
        read_answer(path, task)


@pytest.mark.parametrize("url", ["mqtt://" + "a" * 9000, "\0" * 9000, "mqtt://user@" + "b" * 9000])
def test_a_long_address_is_not_repeated_in_full(url: str) -> None:
    with pytest.raises(Refused) as refused:
        address_of(url)
    assert len(str(refused.value)) < 600
