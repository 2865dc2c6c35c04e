"""A load that fails costs nothing: the thread that loads is there for the next one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from models import manifest
from models.manifest import Output
from runtime.engines import EngineOptions
from runtime.loader import Loader
from runtime.locating import resolve
from runtime.loop import Loop
from tests.by_hand import HandCamera, HandClock, model_of

PATIENCE_S = 30.0


def test_a_disk_without_room_does_not_end_the_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    loop = Loop(HandCamera(HandClock()), model_of(), lambda result: None)
    loader = Loader(loop, "null", EngineOptions(), said.put)
    packed = tmp_path / "model.zip"
    packed.touch()
    with monkeypatch.context() as change:
        change.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        loader.load(packed)
        assert "was not loaded, the model before it runs on" in said.get(timeout=PATIENCE_S)
    loader.load(resolve("digits"))
    assert said.get(timeout=PATIENCE_S).startswith("loaded digits")
    loader.close()


def test_a_model_for_which_there_is_no_memory_does_not_end_it_either(tmp_path: Path) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    loop = Loop(HandCamera(HandClock()), model_of(), lambda result: None)
    loader = Loader(loop, "null", EngineOptions(), said.put)
    vast = Output("vast", (1, 2**31 - 1, 2**20), "float32")  # 9 petabytes
    shutil.copytree(resolve("digits") / "onnx", tmp_path / "m")
    described = manifest.load(tmp_path / "m")
    manifest.write(tmp_path / "m", msgspec.structs.replace(described, outputs=(vast,)))
    loader.load(tmp_path / "m")
    assert "was not loaded, the model before it runs on" in said.get(timeout=PATIENCE_S)
    loader.load(resolve("digits"))
    assert said.get(timeout=PATIENCE_S).startswith("loaded digits")
    loader.close()
