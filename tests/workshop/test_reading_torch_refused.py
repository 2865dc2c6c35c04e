"""What of PyTorch cannot be read, or only with a word of the user: told with layer and way out."""

from __future__ import annotations

import contextlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.laws.sources import ROOT
from tests.workshop.proven import NEAR, largest_difference
from wire.troubles import Refused
from workshop.reading import Read, Request
from workshop.reading.exported_program import ONLY_TENSORS
from workshop.reading.exported_program import step as read_program
from workshop.reading.torch_module import step as read_module
from workshop.reading.torchscript import step as read_script
from workshop.step import run_step

SHAPE = (1, 3, 8, 8)
NETS = '''
"""A user's own package, called as one of Vedette's is."""
import torch
from torch import nn

class Normalize(nn.Module):
    mean, std = (0.5, 0.25, 0.125), (2.0, 2.0, 2.0)
    def forward(self, x):
        return (x - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]

class Net(nn.Module):
    def __init__(self, labels=4, wide=False):
        super().__init__()
        self.first, self.last = Normalize(), nn.Linear(192, labels)
        self.wide = wide
    def forward(self, x):
        return {"scores": self.last(self.first(x).flatten(1)), "wide": self.wide}

class Doubting(Net):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x

class Odd(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x)[1]

class Ranked(nn.Module):
    def forward(self, x):
        return x.flatten(1).sort(-1)[0]

class Outer(Net):
    def __init__(self, ranks=False):
        super().__init__()
        self.middle = nn.Sequential(nn.ReLU(), Ranked() if ranks else Odd())
    def forward(self, x):
        return self.middle(x)

class Two(nn.Module):
    def forward(self, x, y):
        return x + y

class Sized(Net):
    default_cfg = {"input_size": (3, 8, 8)}

made = Net()
number = 3
def broken():
    raise ValueError("no such size")
def text():
    return "net"
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user, with a package `models`: that is what a room of Vedette is called."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "models").mkdir()
    (folder / "models" / "__init__.py").write_text("")
    (folder / "models" / "nets.py").write_text(NETS)
    (folder / "nets.py").write_text(NETS)
    return folder


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Importing a user's module changes folder and path."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("nets", None)


def module(words: str, folder: Path, into: Path, **more: Any) -> Read:
    asked: dict[str, Any] = {"input_shape": SHAPE, "folder": str(folder)} | more
    request = Request("torch_module", words, asked.pop("to", "onnx"), str(into), **asked)
    if request.to == "onnx":
        return read_module(request)
    # a conversion that fails leaves litert-torch unfit for the next one in the same process
    return run_step("workshop.reading.torch_module", request, Read)


def test_a_users_package_may_be_called_as_one_of_ours(folder: Path, tmp_path: Path) -> None:
    """In a process of its own, from another folder, with options and weights of its own."""
    torch.manual_seed(3)
    torch.save({"state_dict": {"module.last.weight": torch.rand(2, 192),
                               "module.last.bias": torch.rand(2)}}, folder / "own.pt")  # fmt: skip
    words = "models.nets:Net?labels=2&wide=true&weights=own.pt"
    request = Request(
        "torch_module", words, "onnx", str(tmp_path), input_shape=SHAPE, folder=str(folder)
    )
    said: list[str] = []
    made = run_step(
        "workshop.reading.torch_module", request, Read, lambda one: said.append(one.what)
    )
    assert largest_difference(made) <= NEAR
    assert made.gives[0].shape == (1, 2)
    assert made.in_graph == ("layer first: (x - (0.5, 0.25, 0.125)) / (2, 2, 2)",)
    assert "weights of own.pt" in made.steps[0]
    assert said[-1] == "read"


@pytest.mark.parametrize("words", ["nets.py:Net", "nets:made", "nets:Sized"])
def test_files_instances_and_modules_that_say_their_size(
    folder: Path, tmp_path: Path, words: str
) -> None:
    size = None if words == "nets:Sized" else SHAPE
    made = module(words, folder, tmp_path, input_shape=size)
    assert largest_difference(made) <= NEAR
    assert made.takes[0].shape == SHAPE


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nowhere:Net", r"there is no module nowhere in .*go to the folder"),
        ("nowhere.py:Net", r"there is no file nowhere.py"),
        ("nets:Nett", r"has no Nett; did you mean Net\?"),
        ("nets:number", r"is a int, not a torch.nn.Module"),
        ("nets:text", r"gives a str, not a torch.nn.Module"),
        ("nets:broken", r"cannot be made: ValueError: no such size: give its options"),
        ("nets:Net?labbels=2", r"unexpected keyword argument 'labbels'"),
        ("nets:made?labels=2", r"is a module already, which takes no options"),
        ("nets:Net?weights=none.pt", r"none.pt: there is no such file of weights"),
        ("nets:Two", r"its forward needs x, y; the runtime gives one tensor"),
        ("nets:Doubting", r"decides by values of its input \(.*nets.py, line 21\).*torch.where"),
        ("wire.nets:Net", r"Vedette has a package called wire: rename yours"),
    ],
)
def test_modules_that_cannot_be_read(folder: Path, tmp_path: Path, words: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as told:
        module(words, folder, tmp_path)
    assert "\n" not in str(told.value)


def test_an_input_that_does_not_fit_or_is_not_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot run on an input of \(1, 3, 9, 9\): mat1 .*--input"):
        module("nets:Net", folder, tmp_path, input_shape=(1, 3, 9, 9))
    with pytest.raises(Refused, match=r"say it with --input-shape 1,3,224,224"):
        module("nets:Net", folder, tmp_path, input_shape=None)


@pytest.mark.parametrize(("to", "other"), [("tflite", "onnx"), ("onnx", "tflite")])
def test_an_operator_that_a_format_has_not_is_named_with_its_layer(
    folder: Path, tmp_path: Path, to: str, other: str
) -> None:
    says = rf"has no operator aten._linalg_svd.default \(layer middle.1 \(Odd\)\): .* --to {other}$"
    with pytest.raises(Refused, match=says):
        module("nets:Outer", folder, tmp_path, to=to)


def test_an_operator_that_litert_cannot_run_is_named_with_its_layer(
    folder: Path, tmp_path: Path
) -> None:
    """litert-torch writes it all the same: it would be found out on the device."""
    says = r"LiteRT has no operator STABLEHLO_SORT \(layer middle.1 \(Ranked\)\): .* --to onnx$"
    with pytest.raises(Refused, match=says):
        module("nets:Outer?ranks=true", folder, tmp_path, to="tflite")


def test_weights_of_another_network_and_more_than_weights(folder: Path, tmp_path: Path) -> None:
    torch.save({"last.weight": torch.rand(2, 192), "odd": torch.rand(2)}, folder / "other.pt")
    with pytest.raises(Refused, match=r"without last.bias and with odd"):
        module("nets:Net?weights=other.pt", folder, tmp_path)
    torch.save(torch.nn.Linear(2, 2), folder / "whole.pt")
    with pytest.raises(Refused, match=r"more than weights.*state_dict"):
        module("nets:Net?weights=whole.pt", folder, tmp_path)


def test_torchscript_that_decides_by_its_input_or_needs_a_shape(
    folder: Path, tmp_path: Path
) -> None:
    class Doubting(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.sum() > 0:
                return x * 2
            return x

    path = str(tmp_path / "own.ts")
    torch.jit.script(Doubting()).save(path)
    with pytest.raises(Refused, match=r"own.ts: decides by values of its input"):
        read_script(Request("torchscript", path, "onnx", str(tmp_path), input_shape=SHAPE))
    with pytest.raises(Refused, match=r"say it with --input-shape 1,3,224,224"):
        read_script(Request("torchscript", path, "onnx", str(tmp_path)))


class Hostile:
    def __reduce__(self) -> Any:
        return (print, ("it ran",))


def test_a_program_that_holds_code_runs_none(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.export.load unpickles its sample inputs, whatever they are."""
    program = torch.export.export(torch.nn.ReLU(), (torch.rand(SHAPE),))
    torch.export.save(program, tmp_path / "own.pt2")
    hostile = io.BytesIO()
    torch.save(Hostile(), hostile)
    path = tmp_path / "hostile.pt2"
    with zipfile.ZipFile(tmp_path / "own.pt2") as own, zipfile.ZipFile(path, "w") as other:
        for name in own.namelist():
            swapped = name.endswith("sample_inputs/model.pt")
            other.writestr(name, hostile.getvalue() if swapped else own.read(name))
    monkeypatch.delenv(ONLY_TENSORS, raising=False)
    request = Request("exported_program", str(path), "onnx", str(tmp_path))
    with pytest.raises(Refused, match=r"hostile.pt2: cannot be read by PyTorch"):
        read_program(request)
    assert "it ran" not in capsys.readouterr().out
    monkeypatch.delenv(ONLY_TENSORS)
    with contextlib.suppress(Refused):
        read_program(msgspec.structs.replace(request, trusted=True))
    assert "it ran" in capsys.readouterr().out
