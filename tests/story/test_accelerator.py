"""A pipeline whose accelerator is pulled and plugged in again: frames go on, and it is said."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.delegates import Plug, plug
from tests.story.serving import Service

pytestmark = pytest.mark.slow


def table(stick: Plug) -> str:
    return (
        'camera = "synthetic://64x48@50?digits=1"\nmodel = "digits"\n'
        f'accelerators = ["{stick.accelerator}"]\n'
    )


def test_pulled_in_mid_run_and_plugged_in_again(tmp_path: Path) -> None:
    stick = plug(tmp_path)
    with Service(tmp_path, table(stick)) as service:
        service.open_agent()
        service.start()
        service.serving()
        first = service.totals_where(lambda each: each.phase == "serving")
        assert first.degraded is None
        stick.pull()
        pulled_s = time.monotonic()
        lost = service.totals_where(lambda each: each.degraded is not None)
        print(f"said {time.monotonic() - pulled_s:.2f} s after it was pulled")
        assert "the accelerator does not answer" in str(lost.degraded)
        seen = len(service.heard.found)
        service.wait_for(lambda: service.heard.found[seen:], 10)
        stick.push()
        back = service.totals_where(
            lambda each: each.degraded is None and each.frames > lost.frames
        )
        assert (lost.run, back.run) == (first.run, first.run), "one process all the time"
        assert back.frames - first.frames > 50
        longest_us = back.stages.end_to_end.percentile(1.0)
        print(f"the frame that waited longest: {longest_us} us")
        assert longest_us is not None and longest_us < 2_000_000
        assert service.said().count("the accelerator works again") == 1


def test_not_there_at_the_start(tmp_path: Path) -> None:
    stick = plug(tmp_path)
    stick.pull()
    with Service(tmp_path, table(stick)) as service:
        service.open_agent()
        service.start()
        service.serving()
        first = service.totals_where(lambda each: each.phase == "serving")
        assert "no accelerator is plugged in" in str(first.degraded)
        stick.push()
        back = service.totals_where(lambda each: each.degraded is None)
        assert back.run == first.run and back.frames >= first.frames
