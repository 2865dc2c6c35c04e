"""What a release is made of: a wheelhouse, or this checkout and what pip fetches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from installing.troubles import Wrong

HERE = Path(__file__).resolve().parent.parent  # where the installer lies
SHIPPED = ("agent", "fleet", "models", "runtime", "wire", "systemd")
FILES = ("vedette.py", "pyproject.toml", "constraints.txt")
WHEEL = re.compile(r"vedette-([0-9][^-]*)-py3-none-any\.whl")


@dataclass(frozen=True)
class Source:
    """version: of Vedette. print: of all that makes a release what it is. folder: a wheelhouse, or
    a checkout. pip: the wheel of pip that is used, None: the one of the new environment. engines:
    those that a wheelhouse was made with, empty where that is not known."""

    version: str
    print: str
    folder: Path
    wheel: Path | None
    pip: Path | None
    engines: tuple[str, ...] = ()

    def wanted(self, engines: Sequence[str]) -> list[str]:
        """What pip is asked for."""
        place = self.wheel or self.folder
        return [f"{place}[{','.join(engines)}]"]

    @property
    def options(self) -> list[str]:
        return ["--no-index", "--find-links", str(self.folder)] if self.wheel is not None else []

    @property
    def pins(self) -> str:
        """One version of every package, as lines for pip: what was taken over from the release of
        before must be of it, too."""
        if self.wheel is None:
            return (self.folder / "constraints.txt").read_text(encoding="utf-8")
        names = (path.name.split("-") for path in sorted(self.folder.glob("*.whl")))
        return "".join(f"{name}=={version}\n" for name, version, *_ in names)


def find(wheelhouse: Path | None) -> Source | None:
    """The source of a release: the wheelhouse that was named or that the installer lies in, or the
    checkout. None: there is none, as for the installer that a release brings. Raises Wrong."""
    if wheelhouse is None and any(HERE.glob("vedette-*.whl")):
        wheelhouse = HERE
    if wheelhouse is not None:
        return _wheelhouse(wheelhouse.resolve())
    checkout = HERE.parent
    return _checkout(checkout) if (checkout / "pyproject.toml").is_file() else None


def _wheelhouse(folder: Path) -> Source:
    if not folder.is_dir():
        raise Wrong(f"{folder} is no folder: --offline needs one that scripts/wheelhouse made")
    found = [path for path in sorted(folder.iterdir()) if WHEEL.fullmatch(path.name)]
    if len(found) != 1:
        what = "no wheel" if not found else f"{len(found)} wheels"
        raise Wrong(f"{folder} has {what} of vedette: make it anew with scripts/wheelhouse")
    (wheel,) = found
    version = WHEEL.fullmatch(wheel.name)
    pip = next(iter(sorted(folder.glob("pip-*.whl"))), None)
    if version is None or pip is None:
        raise Wrong(f"{folder} has no wheel of pip: make it anew with scripts/wheelhouse")
    names = "\n".join(path.name for path in sorted(folder.glob("*.whl")))
    mark = _print([names.encode(), wheel.read_bytes()])
    return Source(version[1], mark, folder, wheel, pip, _engines(folder))


def _engines(folder: Path) -> tuple[str, ...]:
    try:
        names = (folder / "engines").read_text(encoding="utf-8").strip().split(",")
    except OSError:
        return ()
    return tuple(name.strip() for name in names if name.strip())


def _checkout(folder: Path) -> Source:
    text = (folder / "wire" / "version.py").read_text(encoding="utf-8")
    version = re.search(r'^VERSION = "([^"]+)"', text, re.MULTILINE)
    if version is None:
        raise Wrong(f"{folder} is no whole checkout: wire/version.py names no version")
    return Source(version[1], _print(_contents(folder)), folder, None, None)


def _contents(folder: Path) -> Iterator[bytes]:
    places = [folder / name for name in FILES]
    for room in SHIPPED:
        found = (folder / room).rglob("*")
        places += sorted(p for p in found if p.is_file() and "__pycache__" not in p.parts)
    for place in places:
        yield str(place.relative_to(folder)).encode()
        yield place.read_bytes()


def _print(contents: Sequence[bytes] | Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(b"%d " % len(content))
        digest.update(content)
    return digest.hexdigest()[:16]
