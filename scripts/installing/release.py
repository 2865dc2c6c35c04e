"""A release on the disk: one folder with an environment, made once and never changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from installing import durable
from installing.heritage import take_over, uncompiled
from installing.machine import Machine
from installing.places import Places
from installing.progress import Progress, run
from installing.source import HERE, Source
from installing.troubles import Trouble

CARD = "release.json"
UNITS = "share/vedette/systemd"
PIP_S = 3600.0
# never imported by what runs here, and half of what there is to compile
NOT_COMPILED = re.compile(
    r"/site-packages/(.*/)?(tests?|sympy|mpmath|pip|cffi|pycparser|tqdm|google|pygments|"
    r"ai_edge_litert/(schema_py_generated\.py|aot|tools)|markdown_it|"
    r"onnxruntime/(transformers|quantization|tools)|numpy/(distutils|f2py|ma|polynomial|testing))"
    r"(/|$)"
)
MOST_COMPILERS = 4  # each takes some 50 MiB
KEEP_BYTES = 200 << 20  # what must stay free beside a release: records wait there
ONLINE_BYTES = 1200 << 20
GROWTH = 4  # wheels are zipped, and code is compiled


@dataclass(frozen=True)
class Card:
    """What a release is. It is written last: a folder without one was never finished."""

    name: str
    version: str
    print: str
    engines: tuple[str, ...]
    python: str
    vendors: tuple[str, ...]

    def differs(self, other: Card) -> str | None:
        """In words that follow "the release that runs", None if they are the same but in name."""
        if self.version != other.version:
            return f"is {self.version}, this one {other.version}"
        if self.python != other.python:
            return f"was made for Python {self.python}, and this machine has {other.python}"
        if self.engines != other.engines:
            return f"has the engines {', '.join(self.engines)}"
        if self.vendors != other.vendors:
            return "was made when other packages of the vendor were there"
        return "is another build of the same version" if self.print != other.print else None


def planned(source: Source, machine: Machine, engines: Sequence[str], places: Places) -> Card:
    """What would be made. Its name is that of no release that is there."""
    taken = set(places.release_names())
    number = next(n for n in range(1, 10_000) if f"{source.version}-{n}" not in taken)
    name = f"{source.version}-{number}"
    return Card(name, source.version, source.print, tuple(engines), machine.python, machine.vendors)


def card(places: Places, name: str | None) -> Card | None:
    """Of a release that was finished; None otherwise."""
    if name is None:
        return None
    try:
        fields = json.loads((places.releases / name / CARD).read_bytes())
        return Card(
            name, fields["version"], fields["print"], tuple(fields["engines"]), fields["python"],
            tuple(fields["vendors"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make(places: Places, wanted: Card, source: Source, progress: Progress) -> None:
    """Make the folder. If it fails, nothing of it stays: a disk that it filled has room again. One
    that was cut off is removed by whoever comes next."""
    _need_room(places, source)
    durable.make_folder(places.releases)
    try:
        _make(places, wanted, source, progress)
    except BaseException:
        shutil.rmtree(places.releases / wanted.name, ignore_errors=True)
        raise


def _make(places: Places, wanted: Card, source: Source, progress: Progress) -> None:
    folder = places.releases / wanted.name
    _make_environment(folder, source)
    if _inherit(places, wanted):
        progress.say("packages that stay the same are taken over from the release that runs")
    progress.say(f"pip installs vedette {wanted.version} with {', '.join(wanted.engines)}")
    _fill(folder, wanted, source)
    if wanted.vendors:
        _open_to_the_system(folder)
    progress.say("compiling, so that nothing need be written later")
    _compile(places, folder, wanted)
    shutil.copytree(HERE / "installing", folder / "installer" / "installing",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    shutil.copy2(HERE / "install", folder / "installer" / "install")
    if not places.is_here:
        _move(folder, places.root)
    said = run([folder / "bin" / "python", "-I", folder / "bin" / "vedette", "--version"])
    if said.strip() != f"vedette {wanted.version}":
        raise Trouble(f"the new release says that it is {said.strip()!r}: it cannot be used")
    durable.sync_all()  # the card must not be there before all else is
    durable.write(folder / CARD, json.dumps(asdict(wanted), indent=1).encode() + b"\n")


def sweep(places: Places, keep: Sequence[str | None]) -> list[str]:
    """Remove releases that nobody needs, and those that were never finished."""
    gone = [name for name in places.release_names() if name not in keep]
    for name in gone:
        durable.remove(places.releases / name / CARD)  # from here on it is an unfinished one
        shutil.rmtree(places.releases / name)
    return gone


def _need_room(places: Places, source: Source) -> None:
    if source.wheel is not None:
        need = GROWTH * sum(path.stat().st_size for path in source.folder.glob("*.whl"))
    else:
        need = ONLINE_BYTES
    there = next(p for p in (places.releases, *places.releases.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < need + KEEP_BYTES:
        raise Trouble(
            f"{there} has {free >> 20} MiB free and a release needs {(need + KEEP_BYTES) >> 20}: "
            "make room (old logs: journalctl --vacuum-size=50M; packages: apt-get clean)"
        )


def _make_environment(folder: Path, source: Source) -> None:
    # the wheelhouse brings its pip: Debian's own would need one more package, and minutes
    options = ["--without-pip"] if source.pip is not None else []
    # not a link that means another Python after the next upgrade of the system
    python = os.path.realpath(sys.executable)
    run([python, "-I", "-m", "venv", "--symlinks", *options, folder], 600)


def _open_to_the_system(folder: Path) -> None:
    """Let the environment see the system's packages, behind its own. Not before it is filled: pip
    would leave out what the system has, and the next upgrade of the system could change that."""
    path = folder / "pyvenv.cfg"
    line = "include-system-site-packages = {}"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(line.format("false"), line.format("true")), encoding="utf-8")


def _inherit(places: Places, wanted: Card) -> bool:
    """Take over what the release that runs has, if it was made for the same Python."""
    old = card(places, places.linked(places.current))
    if old is None or (old.python, old.vendors) != (wanted.python, wanted.vendors):
        return False
    return take_over(
        _library(places.releases / old.name, wanted),
        _library(places.releases / wanted.name, wanted),
    )


def _library(folder: Path, wanted: Card) -> Path:
    return folder / "lib" / f"python{wanted.python}" / "site-packages"


def _fill(folder: Path, wanted: Card, source: Source) -> None:
    python = str(folder / "bin" / "python")
    pip = ["-m", "pip"] if source.pip is None else [str(source.pip / "pip")]
    words = [python, "-I", *pip, "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    words += ["--no-compile", "--no-cache-dir", "--no-warn-script-location"]
    (folder / "pins").write_text(source.pins, encoding="utf-8")
    box = folder / "tmp"  # /tmp may be memory, small, or a place where nothing can be run
    box.mkdir()
    # by the environment, so that what builds a wheel is fetched at its tested version too; relative
    # because pip takes a space for the end of a path
    env = {"PIP_CONSTRAINT": "pins", "PIP_BUILD_CONSTRAINT": "pins", "TMPDIR": str(box)}
    env["PIP_USER"] = "0"  # which somebody's configuration may say, and an environment has not
    if source.pip is not None:
        env["PIP_CONFIG_FILE"] = os.devnull  # of this machine's: it is for other things
    try:
        run([*words, *source.options, *source.wanted(wanted.engines)], PIP_S, folder, env)
    except Trouble as trouble:
        mend = (
            f"make the wheelhouse with --python {wanted.python} and this machine's processor"
            if source.pip is not None
            else "is the network there? Without one: scripts/wheelhouse, and --offline"
        )
        raise Trouble(f"{trouble}: {mend}") from None
    (folder / "pins").unlink()
    shutil.rmtree(box)


def _compile(places: Places, folder: Path, wanted: Card) -> None:
    """Bytecode that is never compared with its source: images change the times of files."""
    tag = f"cpython-{wanted.python.replace('.', '')}"
    library = _library(folder, wanted)
    sources = [str(path) for path in uncompiled(library, tag)]
    sources = [path for path in sources if not NOT_COMPILED.search(path)]
    words = [str(folder / "bin" / "python"), "-I", "-m", "compileall", "-q"]
    words += ["--invalidation-mode", "unchecked-hash"]
    if not places.is_here:
        words += ["-s", str(places.root), "-p", "/"]
    # compileall's own -j is for folders, and does nothing for a list
    count = max(1, min(len(os.sched_getaffinity(0)), MOST_COMPILERS, len(sources)))

    def compile_share(number: int) -> str:
        names = folder / f"uncompiled{number}"
        names.write_text("".join(f"{path}\n" for path in sources[number::count]), encoding="utf-8")
        try:
            run([*words, "-i", names], PIP_S)
        except Trouble as trouble:  # some packages bring files for Pythons that are none
            return str(trouble)
        finally:
            names.unlink()
        return ""

    if not sources:
        return  # for compileall, an empty list means everything that the system has
    with ThreadPoolExecutor(count) as pool:
        said = list(pool.map(compile_share, range(count)))
    left = (path for path in uncompiled(library, tag) if path.parent == library)
    if any(said) and (first := next(left, None)) is not None:
        raise Trouble(f"{first} cannot be compiled: {'; '.join(filter(None, said))}")


def _move(folder: Path, root: Path) -> None:
    """Make programs find their Python once the image is a system of its own."""
    for path in [*(folder / "bin").iterdir(), folder / "pyvenv.cfg"]:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        path.write_bytes(content.replace(str(root).encode() + b"/", b"/"))
