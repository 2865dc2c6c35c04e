"""What `vedette doctor` says of models: what is damaged, and what only lacks something."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import bundle
from models.pipelines import Trial
from models.store import Store
from runtime.doctor.models import look_at_models
from runtime.engines import engine_reason
from runtime.locating import ZOO
from wire import config
from wire.folders import Folders

FILE = """\
[broker]
url = "mqtt://localhost"

[pipeline.door]
camera = "synthetic://64x48"
model = "digits"
engine = "tensorrt"
"""


@pytest.mark.skipif(engine_reason("tensorrt") is None, reason="TensorRT is here")
def test_a_good_model_without_its_engine_is_not_to_be_removed(tmp_path: Path) -> None:
    bundle.pack(ZOO / "digits" / "onnx", tmp_path / "m.zip")
    store = Store(tmp_path / "state" / "models")
    digest = store.install(tmp_path / "m.zip")
    store.activate("door", Trial(digest, length_s=60, first_result_s=5))
    folders = Folders(tmp_path / "vedette.toml", tmp_path / "state", tmp_path / "run")
    (found,) = look_at_models(config.parse(FILE, "vedette.toml"), folders)
    assert (found.level, found.mend) == ("bad", None)
    assert "TensorRT is missing" in found.says
