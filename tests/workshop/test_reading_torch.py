"""Networks of PyTorch, in every form in which they are kept, as .tflite and .onnx."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.laws.sources import ROOT
from tests.workshop.proven import NEAR, largest_difference
from tests.workshop.torch_networks import SIDE, Joined, MobileNet, Yolo, seeded
from workshop.reading import READERS, Format, Kind, Read, Request
from workshop.reading.kinds import kind_of

SHAPE = (1, 3, SIDE, SIDE)
NETWORKS: dict[str, type[nn.Module]] = {"mobilenet": MobileNet, "yolo": Yolo, "joined": Joined}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mobilenet.pt2, mobilenet.ts, mobilenet.pt (weights), ..."""
    folder = tmp_path_factory.mktemp("sources")
    open_batch = {0: torch.export.Dim("batch", min=1, max=64)}
    for name, kind in NETWORKS.items():
        network, given = seeded(kind), torch.rand(2, *SHAPE[1:])
        program = torch.export.export(network, (given,), dynamic_shapes=(open_batch,))
        torch.export.save(program, folder / f"{name}.pt2")
        made = torch.jit.trace(network, (given,)) if kind is Joined else torch.jit.script(network)
        made.save(str(folder / f"{name}.ts"))
        torch.save(network.state_dict(), folder / f"{name}.pt")
    return folder


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Importing a user's module changes folder and path."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield


def read(kind: Kind, path: str, to: Format, into: Path, **more: object) -> Read:
    """By the step itself, in this process: PyTorch takes long to be loaded."""
    request = Request(kind, path, to, str(into), folder=str(ROOT), **more)  # type: ignore[arg-type]
    answer: Read = importlib.import_module(READERS[kind]).step(request)
    return answer


@pytest.mark.parametrize("to", ["tflite", "onnx"])
@pytest.mark.parametrize(
    "source", ["mobilenet.pt2", "yolo.pt2", "mobilenet.ts", "joined.ts", "mobilenet.pt", "yolo.pt"]
)
def test_it_answers_as_pytorch_does(sources: Path, tmp_path: Path, source: str, to: Format) -> None:
    name, _, form = source.partition(".")
    path = str(sources / source)
    if form == "pt":
        path = f"tests.workshop.torch_networks:{NETWORKS[name].__name__}?weights={path}"
    made = read(kind_of(path), path, to, tmp_path, input_shape=None if form == "pt2" else SHAPE)
    assert largest_difference(made) <= NEAR
    assert made.takes[0].shape == SHAPE
    assert Path(made.file).name == f"model.{to}"
    assert set(made.tools) > {"torch"}
    assert all(made.steps)
