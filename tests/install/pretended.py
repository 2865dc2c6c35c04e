"""A small Vedette for tests of the installer: a real wheel for a real pip, up within no time.

It answers `--version`, `enroll` and `check-config --json` as the real one does, with one camera
that it refuses, and brings the real units.
"""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import shutil
import zipfile
from pathlib import Path

from tests.laws.sources import ROOT

CODE = """
import json, os, sys
VERSION, REFUSES = {version!r}, {refuses!r}

def enroll(file, etc, camera):
    device = json.load(open(file))["device"]
    os.makedirs(f"{{etc}}/enrolled-1", exist_ok=True)
    open(f"{{etc}}/enrolled-1/device.pem", "w").write("a key")
    with open(f"{{etc}}/vedette.toml", "w") as config:
        config.write(f'device = "{{device}}"\\nkey_file = "{{etc}}/enrolled-1/device.pem"\\n')
        config.write(f'camera = "{{camera}}"\\n' if camera else "")
    return 0

def main():
    words = sys.argv[1:]
    if words == ["--version"]:
        print("vedette", VERSION)
        return 0
    if words[0] == "enroll":
        camera = words[words.index("--camera") + 1] if "--camera" in words else None
        return enroll(words[1], words[words.index("--etc") + 1], camera)
    path = words[2]
    values = [(line.split(" =")[0], line.split('"')[1]) for line in open(path) if '= "' in line]
    cameras = [value for key, value in values if key == "camera"]
    config = {{
        "device": "door", "broker": {{"url": "mqtt://localhost"}},
        "pipeline": {{f"lane{{n}}": {{"camera": uri}} for n, uri in enumerate(cameras)}},
    }}
    warnings = [f"broker.{{key}}: {{file}}: there is no such file" for key, file in values
                if key == "key_file" and not os.path.exists(file)]
    small = next((uri for uri in cameras if uri.startswith("synthetic://1x1")), None)
    why = REFUSES or (small and f"pipeline.lane0.camera: {{small}}: too small")
    refused, config = (f"{{path}}:1: {{why}}", None) if why else (None, config)
    said = {{"file": path, "refused": refused, "warnings": warnings, "config": config}}
    print(json.dumps(said))
    return 2 if why else 0
"""
UNITS = "share/vedette/systemd"


def wheelhouse(folder: Path, version: str, refuses: str = "") -> Path:
    """A folder as scripts/wheelhouse makes it, of this version. refuses: what it says of every
    configuration."""
    folder.mkdir(parents=True)
    files = {"vedette.py": CODE.format(version=version, refuses=refuses).encode()}
    units = ROOT / "systemd"
    for path in sorted(path for path in units.rglob("*") if path.is_file()):
        place = f"vedette-{version}.data/data/{UNITS}/{path.relative_to(units)}"
        files[place] = path.read_bytes()
    _wheel(folder / f"vedette-{version}-py3-none-any.whl", version, files)
    (pip,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    shutil.copy(pip, folder)
    return folder


def _wheel(path: Path, version: str, files: dict[str, bytes]) -> None:
    about = f"vedette-{version}.dist-info"
    said = f"Metadata-Version: 2.1\nName: vedette\nVersion: {version}\n"
    said += "Provides-Extra: litert\nProvides-Extra: onnx\n"
    files = files | {
        f"{about}/METADATA": said.encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": b"[console_scripts]\nvedette = vedette:main\n",
    }
    lines = [f"{name},{_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
