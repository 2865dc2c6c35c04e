"""Who may import whom: rooms, vendors, and what the loop may know."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.laws.sources import ROOMS, ROOT, name_of, room_files, tree_of

MAY_IMPORT = {
    "wire": {"wire"},
    "models": {"models", "wire"},
    "runtime": {"runtime", "models", "wire"},
    "agent": {"agent", "models", "wire"},
    "fleet": {"fleet", "models", "wire"},
    "workshop": {"workshop", "runtime", "models", "wire"},
    "vedette": {"wire"},  # it names its rooms as strings and imports one of them when asked
}
# What else a room may use. cv2 is the runtime's alone.
PACKAGES = {
    "wire": {"msgspec", "tomli"},
    "models": {"msgspec", "tomli_w"},
    "runtime": {"msgspec", "tomli", "tomli_w", "cv2"},
    "agent": {"msgspec"},
    "fleet": {"msgspec", "tomli_w"},
    "workshop": {"msgspec", "tomli_w", "cv2"},
    "vedette": set[str](),
}
STANDARD = {*sys.stdlib_module_names, "tomllib"}  # 3.10 has it not, and is not asked for it
# A vendor is imported in its one home, and only when something is opened: inside a function.
VENDOR_HOMES = {
    "ai_edge_litert": ("runtime/engines/litert.py", "workshop/*.py"),
    "tflite_runtime": ("runtime/engines/litert.py",),
    "onnxruntime": ("runtime/engines/onnxruntime.py", "workshop/*.py"),
    "tensorrt": ("runtime/engines/tensorrt.py",),
    "picamera2": ("runtime/cameras/picamera.py",),
    "libcamera": ("runtime/cameras/picamera.py",),
    "av": ("runtime/cameras/video_decoder.py",),
    "jtop": ("agent/boards/jetson.py",),
    "paho": ("wire/mqtt/mqtt.py",),
    "cryptography": (
        "wire/signing.py",
        "fleet/enrolment/authority.py",
        "fleet/enrolment/certificates.py",
    ),
    "tomlkit": ("wire/toml_changes.py",),
    "psutil": ("agent/boards/generic.py",),
    "urllib3": ("wire/https.py",),
    "uvicorn": ("fleet/serve/*.py",),
    "argon2": ("fleet/accounts/*.py",),
    "apprise": ("fleet/alerts/*.py",),
    # the frameworks of the workshop, each in a step of its own
    **dict.fromkeys(
        (
            "PIL",
            "ai_edge_quantizer",
            "joblib",
            "keras",
            "litert_torch",
            "onnx",
            "onnx2torch",
            "onnxscript",
            "onnxslim",
            "pandas",
            "safetensors",
            "skl2onnx",
            "sklearn",
            "skops",
            "tensorflow",
            "tf2onnx",
            "torch",
        ),
        ("workshop/*.py",),
    ),
}
# Always installed, so imported at the top; but known to these files alone.
PACKAGE_HOMES = {
    "simplejpeg": ("runtime/jpeg.py",),
    "tuf": ("wire/trust/*.py", "fleet/roles/*.py"),
    "securesystemslib": ("fleet/roles/*.py",),
    "rich": (
        "runtime/table*.py",
        "runtime/commands/*.py",
        "fleet/table*.py",
        "workshop/commands/*.py",
    ),
    # of the extra `fleet`: only commands of the operator's server import what imports these
    "numpy": (
        "runtime/*.py",
        "fleet/registry/*.py",
        "workshop/*.py",
    ),  # never the agent: it stays small
    "litestar": ("fleet/serve/*.py",),
    "jinja2": ("fleet/serve/*.py",),
    "sqlalchemy": ("fleet/registry/*.py", "fleet/accounts/*.py", "fleet/alerts/*.py"),
}
# Who is left out of which part of the runtime: these know the seam, never what is behind it.
BLIND = {
    "runtime/loop.py": ("runtime.cameras.", "runtime.engines.", "runtime.tasks."),
    "runtime/cameras/*.py": ("runtime.engines.", "runtime.tasks.", "runtime.commands."),
    "runtime/engines/*.py": ("runtime.cameras.", "runtime.tasks.", "runtime.commands."),
    "runtime/tasks/*.py": ("runtime.engines.", "runtime.cameras.", "runtime.commands."),
}


@dataclass(frozen=True)
class Import:
    """One imported name. late: inside a function, or only for the type checker."""

    name: str
    line: int
    late: bool


def imports(tree: ast.AST, late: bool = False) -> Iterator[Import]:
    """Every import of a file, those that `importlib.import_module("...")` makes included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from (Import(f"{start}.{a.name}", node.lineno, late) for a in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            yield from (Import(str(name), node.lineno, late) for name in names)
        is_late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        yield from imports(node, late or is_late)


def complaints(name: str, tree: ast.Module) -> list[str]:
    """What one file imports against the law. name: its path inside the project."""
    return [
        f"{name}:{one.line}: imports {one.name}: {why}"
        for one in imports(tree)
        if (why := why_not(name, one))
    ]


def why_not(name: str, one: Import) -> str | None:
    room = name.split("/")[0].removesuffix(".py")
    top = one.name.split(".")[0]
    if top == "":
        return "write the whole name, relative imports hide the room"
    if top in STANDARD:
        return None
    homes = {**VENDOR_HOMES, **PACKAGE_HOMES}.get(top, ())
    if homes and not any(fnmatch(name, home) for home in homes):
        return f"its home is {' or '.join(homes)}"
    if homes:
        late = one.late or top in PACKAGE_HOMES
        return None if late else "a vendor is imported when it is opened, in a function"
    if top in ROOMS:
        if top not in MAY_IMPORT[room]:
            return f"{room} may import {', '.join(sorted(MAY_IMPORT[room]))}"
        blind = [stems for home, stems in BLIND.items() if fnmatch(name, home)]
        return blind_to(one.name, name, blind[0]) if blind else None
    return None if top in PACKAGES[room] else f"{room} has no such package: see PACKAGES here"


def blind_to(imported: str, name: str, stems: tuple[str, ...]) -> str | None:
    """A module behind the seam is forbidden; a name of the seam itself is not."""
    for stem in stems:
        rest = imported.removeprefix(stem)
        if rest != imported and is_module(stem + rest.split(".")[0]):
            return f"{name} knows the seam {stem.rstrip('.')}, not what is behind it"
    return None


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


@pytest.mark.parametrize("path", room_files(), ids=name_of)
def test_imports_what_it_may(path: Path) -> None:
    assert complaints(name_of(path), tree_of(path)) == []


def test_a_vendor_has_one_home() -> None:
    homes: dict[str, set[str]] = {}
    for path in room_files():
        if name_of(path).startswith("workshop/"):
            continue  # each of its steps knows the framework that it is about
        for one in imports(tree_of(path)):
            homes.setdefault(one.name.split(".")[0], set()).add(name_of(path))
    allowed = {vendor: len(named) for vendor, named in VENDOR_HOMES.items()}
    crowded = {v: h for v, h in homes.items() if len(h) > allowed.get(v, len(h))}
    assert crowded == {}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("wire/x.py", "import models"),
        ("wire/x.py", "from models.manifest import Manifest"),
        ("models/x.py", "from runtime import frames"),
        ("runtime/x.py", "import agent.link"),
        ("agent/x.py", "import runtime"),
        ("agent/x.py", "def f():\n    import numpy as np"),
        ("fleet/x.py", "from agent import trust"),
        ("models/x.py", "import cv2"),
        ("vedette.py", "import runtime.commands.run"),
        ("runtime/x.py", "import sklearn"),
        ("runtime/x.py", "from .frames import Frame"),
        ("runtime/loop.py", "from runtime.cameras import v4l2"),
        ("runtime/loop.py", "from runtime.cameras.v4l2 import Device"),
        ("runtime/loop.py", "import runtime.engines.litert"),
        ("runtime/loop.py", "from ai_edge_litert.interpreter import Interpreter"),
        ("runtime/engines/litert.py", "from ai_edge_litert.interpreter import Interpreter"),
        ("runtime/engines/litert.py", "def f():\n    import onnxruntime"),
        ("runtime/x.py", "import importlib\nimportlib.import_module('simplejpeg')"),
        ("runtime/cameras/synthetic.py", "from runtime.engines.null import Null"),
        ("runtime/x.py", "class A:\n    import runtime, fleet"),
    ],
)
def test_the_law_can_fail(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.is_module", lambda dotted: not dotted[-1].isupper())
    assert complaints(name, ast.parse(code))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("runtime/loop.py", "from runtime.cameras import Camera\nfrom runtime.tasks import Box"),
        ("runtime/engines/litert.py", "def f():\n    from ai_edge_litert import interpreter"),
        ("runtime/x.py", "import numpy as np, os, cv2\nfrom models.manifest import Manifest"),
        ("runtime/jpeg.py", "import simplejpeg"),
        ("runtime/engines/litert.py", "if TYPE_CHECKING:\n    import ai_edge_litert"),
    ],
)
def test_the_law_lets_good_code_pass(name: str, code: str) -> None:
    assert complaints(name, ast.parse(code)) == []
