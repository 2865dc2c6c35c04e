"""A wheelhouse that was made with fewer engines is installed with those, and not refused by pip."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.install.pretended import wheelhouse
from tests.install.systems import bare, install

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
        reason="needs root, and systemd's tools",
    ),
    pytest.mark.slow,
]


@pytest.mark.parametrize(
    ("made", "asked", "has"),
    [
        ("litert", [], ["litert"]),
        ("litert,onnx", ["--engines", "onnx"], ["onnx"]),
        (None, [], ["litert", "onnx"]),
    ],
)
def test_the_engines_of_the_wheelhouse(
    tmp_path: Path, made: str | None, asked: list[str], has: list[str]
) -> None:
    house = wheelhouse(tmp_path / "house", "1.0.0")
    if made is not None:
        (house / "engines").write_text(f"{made}\n")
    root = bare(tmp_path / "root")
    done = install(root, "--offline", house, *asked)
    assert done.returncode == 0, done.stderr
    card = json.loads((root / "opt/vedette/current/release.json").read_bytes())
    assert card["engines"] == has
