"""Whether a pipeline's process is there: one that hangs is, one that was killed is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtimes import Runtimes
from wire.local import Apply, agent_mailbox, pipeline_mailbox, pipeline_socket
from wire.messages import PipelineSettings

WISH = Apply(PipelineSettings())


@pytest.fixture
def runtimes(tmp_path: Path) -> Iterator[Runtimes]:
    mailbox = agent_mailbox(tmp_path)
    yield Runtimes(mailbox, tmp_path, ["lane"], 0.0)
    mailbox.close()


def test_a_process_that_takes_nothing_more_is_there(runtimes: Runtimes, tmp_path: Path) -> None:
    process = pipeline_mailbox(tmp_path, "lane")
    try:
        assert runtimes.is_there("lane", WISH)
        for _ in range(100_000):
            if not runtimes.tell("lane", WISH):
                break
        assert not runtimes.tell("lane", WISH), "it is full"
        assert runtimes.is_there("lane", WISH)
    finally:
        process.close()


def test_a_process_that_ended_is_not(runtimes: Runtimes, tmp_path: Path) -> None:
    assert not runtimes.is_there("lane", WISH), "it never was"
    place = pipeline_socket(tmp_path, "lane")
    process = pipeline_mailbox(tmp_path, "lane")
    place.rename(tmp_path / "kept")
    process.close()
    assert not runtimes.is_there("lane", WISH), "it ended in order"
    shutil.move(tmp_path / "kept", place)
    assert place.is_socket()
    assert not runtimes.is_there("lane", WISH), "it was killed"
