"""TensorRT plans that travel with a model: named, packed, and taken from signed bundles only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fleet.pack.pack import Wanted, pack
from models import bundle, manifest
from models.plans import Key, Plan, plan_for
from models.store import Store
from runtime.building import build_now
from runtime.check_report import Report
from runtime.commands import model
from runtime.engines import EngineOptions, tensorrt, tensorrt_plan
from runtime.locating import locate
from runtime.sources import Source, Sources
from tests.graphs import onnx
from tests.twin_tensorrt import device
from wire.troubles import Refused, Unavailable, exit_code

KEY = Key("a" * 64, (1, 3, 6, 8), "tensorrt 10.3.0", "sm_87", "36.4.3")
MANIFEST = """\
schema = 1
name = "m"
version = "1"
task = "raw"
format = "onnx"
file = "m.onnx"   # a comment of the user

[input]
width = 8
height = 6
colour = "rgb"
layout = "NCHW"
dtype = "float32"
"""
TABLE = """
[[plans]]
file = "a.plan"
model = "{digest}"
shape = [1, 3, 6, 8]
tensorrt = "tensorrt 10.3.0"
architecture = "sm_87"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model folder on a machine with a twin of TensorRT."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "twin").mkdir()
    device(tmp_path / "twin", monkeypatch)
    folder = tmp_path / "m"
    folder.mkdir()
    onnx.echo(folder / "m.onnx")
    (folder / "manifest.toml").write_text(MANIFEST)
    yield folder


def plan(**other: Any) -> Plan:
    whole = {
        "file": "a.plan", "model": KEY.model, "shape": KEY.shape, "tensorrt": KEY.tensorrt,
        "architecture": KEY.architecture, "l4t": KEY.l4t,
    }  # fmt: skip
    return Plan(**(whole | other))


def kept(folder: Path) -> bytes | None:
    """The plan of the model in a folder that this device would run."""
    return tensorrt_plan.kept(tensorrt.key_here(folder / "m.onnx", (1, 3, 6, 8)))


def mark(folder: Path) -> bytes:
    """Have a plan built for the folder, and make it one that can be told from those built here."""
    assert exit_code(model.main, ["plan", str(folder)]) == 0
    (file,) = folder.glob("*.plan")
    marked = msgspec.json.encode(msgspec.json.decode(file.read_bytes()) | {"mark": "brought"})
    file.write_bytes(marked)
    tensorrt_plan.forget(tensorrt.key_here(folder / "m.onnx", (1, 3, 6, 8)))
    return marked


def sources(tmp_path: Path, configured: Path | None = None) -> Sources:
    store = Store(tmp_path / "models")
    options = EngineOptions(threads=1)
    return Sources(store, "door", configured, "tensorrt", options, lambda line: None)


def checked(found: Sources, source: Source) -> Report:
    """Asked again while it is being built, as the agent does: on a busy machine that takes long."""
    end_s = time.monotonic() + 300
    while True:
        try:
            return found.check(source)
        except Unavailable as trouble:
            assert "is being built for this device" in str(trouble) and time.monotonic() < end_s
            time.sleep(0.2)


def deployed(folder: Path, tmp_path: Path) -> Sources:
    """The folder is packed, and the store has it, which takes what is signed only."""
    bundle.pack(folder, tmp_path / "m.zip")
    digest = Store(tmp_path / "models").install(tmp_path / "m.zip")
    found = sources(tmp_path)
    report = checked(found, found.deployed(digest))
    assert (report.ok, report.engine) == (True, "tensorrt")
    assert report.device_mb > 0
    needed = found.needed_bytes(found.deployed(digest))
    assert needed == int((report.peak_rss_mb - report.base_rss_mb + report.device_mb) * 1e6)
    return found


def test_a_plan_is_for_exactly_its_key() -> None:
    plans = (plan(file="b.plan", architecture="sm_72"), plan())
    assert plan_for(plans, KEY) is plans[1]
    others: dict[str, Any] = {
        "model": "b" * 64, "shape": (1, 3, 6, 16), "tensorrt": "tensorrt 10.3.1",
        "architecture": "sm_86", "l4t": "",
    }  # fmt: skip
    for field, value in others.items():
        assert plan_for(plans, replace(KEY, **{field: value})) is None, field


def test_it_is_built_named_and_packed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(model.main, ["plan", str(folder), "--json"]) == 0
    said = msgspec.json.decode(capsys.readouterr().out.splitlines()[-1], type=Plan)
    assert said.file == "sm_87-tensorrt-10.3.0.plan"
    assert (folder / "manifest.toml").read_text().startswith(MANIFEST.rstrip())
    assert manifest.load(folder).plans == (said,)
    packed = pack(Wanted(folder, output=tmp_path / "m.zip"), lambda line: None)
    inside = bundle.inspect(Path(packed.output))
    assert inside.manifest.plans == (said,)
    assert said.file in [entry.name for entry in inside.entries]
    assert exit_code(model.main, ["show", str(folder)]) == 0
    assert "plan    sm_87-tensorrt-10.3.0.plan: tensorrt 10.3.0" in capsys.readouterr().out
    assert exit_code(model.main, ["plan", str(folder)]) == 2
    assert "already: remove its [[plans]]" in capsys.readouterr().err


def test_a_device_takes_the_plan_of_a_signed_bundle(folder: Path, tmp_path: Path) -> None:
    marked = mark(folder)
    deployed(folder, tmp_path)
    assert kept(folder) == marked


@pytest.mark.parametrize(
    ("said", "other"),
    [("10.3.0", "10.3.1"), ("sm_87", "sm_86"), ("[1,3,6,8]", "[1,3,6,16]"),
     ("architecture", 'l4t = "36.4.3"\narchitecture')],
)  # fmt: skip
def test_a_plan_for_others_is_left_alone(
    folder: Path, tmp_path: Path, said: str, other: str
) -> None:
    marked = mark(folder)
    path = folder / "manifest.toml"
    above, table = path.read_text().split("[[plans]]")
    name, rest = table.split("model =", 1)
    assert said in rest
    path.write_text(f"{above}[[plans]]{name}model ={rest.replace(said, other)}")
    deployed(folder, tmp_path)
    built = kept(folder)
    assert built is not None and built != marked


def test_a_plan_that_tensorrt_does_not_take_is_built(folder: Path, tmp_path: Path) -> None:
    mark(folder)
    (file,) = folder.glob("*.plan")
    file.write_bytes(b"of another kind")
    deployed(folder, tmp_path)
    assert kept(folder) is not None


def test_what_nobody_signed_is_not_run(folder: Path, tmp_path: Path) -> None:
    """A folder of the user, or one that the configuration names: whoever can write there is not
    whoever has the release keys."""
    marked = mark(folder)
    with locate(folder, "tensorrt") as located:
        build_now(located, lambda line: None)
    assert kept(folder) not in (None, marked)
    tensorrt_plan.forget(tensorrt.key_here(folder / "m.onnx", (1, 3, 6, 8)))
    own = sources(tmp_path, folder)
    source = own.own()
    assert source is not None
    assert checked(own, source).ok
    assert kept(folder) not in (None, marked)


@pytest.mark.parametrize("ending", ["plan", "engine", "trt"])
def test_a_loose_plan_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    path.write_bytes(b"native code")
    with pytest.raises(Refused, match="comes in a signed bundle only"), locate(path):
        pass


@pytest.mark.parametrize(
    ("said", "other", "why"),
    [
        ('"a.plan"', '"a.engine"', r"plans\[0\].file: 'a.engine' should end with .plan"),
        ('"a.plan"', '"../a.plan"', r"plans\[0\].file: expected the plain name"),
        ("a" * 64, "a" * 63, r"plans\[0\].model: "),
        ("shape =", "colour =", r"plans\[0\]"),
        ('format = "onnx"\nfile = "m.onnx"', 'format = "tflite"\nfile = "m.tflite"',
         "plans: TensorRT plans are built of ONNX models"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_manifest_is_said(said: str, other: str, why: str) -> None:
    text = MANIFEST + TABLE.format(digest="a" * 64)
    assert manifest.parse(text, "m.toml").files == ("manifest.toml", "a.plan", "m.onnx")
    with pytest.raises(Refused, match=why):
        manifest.parse(text.replace(said, other), "m.toml")


def test_two_plans_for_one_device() -> None:
    table = TABLE.format(digest="a" * 64)
    text = MANIFEST + table + table.replace("a.plan", "b.plan")
    with pytest.raises(Refused, match=r"plans\[1\]: is for the same device as plans\[0\]"):
        manifest.parse(text, "m.toml")


def test_a_plan_of_another_model_is_not_packed(folder: Path, tmp_path: Path) -> None:
    mark(folder)
    with open(folder / "m.onnx", "ab") as file:
        file.write(b"\x12\x00")  # its producer has no name: the same model in other bytes
    with pytest.raises(Refused, match=r"\.plan: was built of another m\.onnx"):
        pack(Wanted(folder, output=tmp_path / "m.zip"), lambda line: None)
