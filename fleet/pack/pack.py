"""Makes a bundle of a user's model: completed, tried, with golden samples. Theirs is left alone."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from fleet.pack import runtime as pack_runtime
from fleet.pack.folder import LABELS, copy, copy_bare, copy_described, described_folder, spoken_of
from fleet.pack.runtime import Description, Made, Report
from models import bundle, manifest
from models.manifest import Manifest
from wire.complaints import PATTERNS_IN_WORDS
from wire.names import NAME_PATTERN, VERSION_PATTERN
from wire.troubles import Refused, Unavailable, one_line

MOST_GOLDEN = 64  # as in a manifest

Note = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to pack, and how. None: as the manifest says, or as is usual.

    pictures: a folder to make `golden_count` golden samples of. replacing: a bundle that lies at
    `output` already.
    """

    path: Path
    output: Path | None = None
    name: str | None = None
    version: str | None = None
    labels: Path | None = None
    pictures: Path | None = None
    golden_count: int = 6
    replacing: bool = False


class Packed(Struct, frozen=True):
    """A bundle that was written. size: bytes. unchanged: it lay there already, the same bytes.

    guessed: what nobody has said, a line each; filled: what the manifest lacked; doubts: what the
    operator should know.
    """

    output: str
    digest: str
    size: int
    name: str
    version: str
    format: str
    task: str
    unchanged: bool
    guessed: tuple[str, ...]
    filled: tuple[str, ...]
    doubts: tuple[str, ...]
    made: Made | None
    check: Report


def pack(wanted: Wanted, note: Note) -> Packed:
    """Write the bundle, or nothing. note: told in a line what goes on.

    Raises Refused if the model is bad or contradicts its manifest, Unavailable if an engine or room
    is missing.
    """
    _check_words(wanted)
    if wanted.output is not None:
        _check_place(wanted.output)
    folder = described_folder(wanted.path)
    try:
        with tempfile.TemporaryDirectory(prefix="vedette-pack-") as own:
            scratch = Path(own) / "model"
            scratch.mkdir()
            with spoken_of(scratch, wanted.path if folder is None else folder):
                return _pack(wanted, folder, scratch, note)
    except OSError as error:  # a full disk, mostly; what was begun is gone by now
        place = error.filename or "the temporary folder"
        raise Unavailable(f"{place}: {error.strerror}: make room, or set TMPDIR") from error


def _pack(wanted: Wanted, folder: Path | None, scratch: Path, note: Note) -> Packed:
    if folder is None:
        told = _described_bare(wanted, scratch, note)
    else:
        told = _described(wanted, folder, scratch, note)
    _check_plans(told.manifest, scratch)
    target = _target(wanted, told.manifest)
    made = None
    if wanted.pictures is not None:
        note(f"looks for golden samples in {wanted.pictures}")
        made = pack_runtime.make_goldens(scratch, wanted.pictures, wanted.golden_count, note)
    note("checks the model")
    report = pack_runtime.check(scratch)
    digest = bundle.folder_digest(scratch)
    unchanged = _is_there(target, digest, wanted.replacing)
    if not unchanged:
        bundle.pack(scratch, target)
    final = manifest.load(scratch)
    return Packed(
        one_line(str(target)),
        digest,
        target.stat().st_size,
        final.name,
        final.version,
        final.format,
        final.task,
        unchanged,
        told.guesses,
        told.filled,
        _doubts(final, told, made),
        made,
        report,
    )


def _described(wanted: Wanted, folder: Path, scratch: Path, note: Note) -> Description:
    """Copy a model folder and complete its manifest; one that lacks nothing stays as it is."""
    before = manifest.load(folder)
    changed = replace(
        before,
        name=wanted.name or before.name,
        version=wanted.version or before.version,
        labels=before.labels if wanted.labels is None else LABELS,
        golden=before.golden if wanted.pictures is None else (),
    )
    theirs = set(changed.files)
    if wanted.labels is not None:
        copy(wanted.labels, scratch / LABELS, "given as --labels")
        theirs.remove(LABELS)
    copy_described(folder, scratch, sorted(theirs))
    if changed != before:
        manifest.write(scratch, changed)
    note("reads the model")
    told = pack_runtime.describe(scratch)
    if told.manifest != changed:
        manifest.write(scratch, told.manifest)
    return told


def _described_bare(wanted: Wanted, scratch: Path, note: Note) -> Description:
    if wanted.version is None:
        raise Refused(f"{wanted.path}: has no manifest that gives its version: give --version")
    file, name = copy_bare(wanted.path, scratch, wanted.name)
    if wanted.labels is not None:
        copy(wanted.labels, scratch / LABELS, "given as --labels")
    note("reads the model")
    told = pack_runtime.describe(file)
    whole = replace(told.manifest, name=name, version=wanted.version)
    manifest.write(scratch, whole)
    named = () if wanted.name else (f"name is {name}, as the file",)
    return replace(told, manifest=whole, guesses=(*named, *told.guesses))


def _check_plans(described: Manifest, scratch: Path) -> None:
    """No device takes a plan of another model file, or for another size of the input."""
    if not described.plans:
        return
    digest = hashlib.sha256((scratch / described.file).read_bytes()).hexdigest()
    for plan in described.plans:
        if (plan.model, plan.shape) != (digest, described.takes.shape):
            raise Refused(
                f"{plan.file}: was built of another {described.file}, or for another size: remove "
                "its [[plans]] and have it built again by vedette model plan"
            )


def _doubts(final: Manifest, told: Description, made: Made | None) -> tuple[str, ...]:
    doubts = []
    if not final.golden:
        doubts.append("no golden samples: a device cannot see that it answers wrongly; give "
                      "--golden FOLDER of pictures")  # fmt: skip
    if made is not None and made.passed_over:
        doubts.append(
            f"not sure of {made.passed_over} of {made.looked_at} pictures: these were left out"
        )
    if final.task not in ("raw", "regress") and not told.labels:
        doubts.append("no labels: classes are shown by their numbers; give --labels FILE")
    return tuple(doubts)


def _check_words(wanted: Wanted) -> None:
    for option, value, pattern in (
        ("--name", wanted.name, NAME_PATTERN),
        ("--version", wanted.version, VERSION_PATTERN),
    ):
        if value is not None and not re.match(pattern, value):
            raise Refused(f"{option} {value!r}: expected {PATTERNS_IN_WORDS[pattern]}")
    if not 1 <= wanted.golden_count <= MOST_GOLDEN:
        raise Refused(f"--golden-count {wanted.golden_count}: 1 to {MOST_GOLDEN} are possible")
    given = wanted.pictures
    is_table = given is not None and given.suffix.lower() == ".csv" and given.is_file()
    if given is not None and not given.is_dir() and not is_table:
        raise Refused(f"--golden {given}: there is no such folder of pictures, or table of rows")


def _target(wanted: Wanted, described: Manifest) -> Path:
    usual = f"{described.name}-{described.version}-{described.format}.zip"
    if wanted.output is None:
        target = Path(usual)
        _check_place(target)
        return target
    return wanted.output / usual if wanted.output.is_dir() else wanted.output


def _check_place(target: Path) -> None:
    """Before any long work: could a bundle be written here?"""
    folder = target if target.is_dir() else target.parent
    if not target.is_dir() and target.suffix.lower() != ".zip":
        raise Refused(f"{target}: a bundle's name ends with .zip")
    if not folder.is_dir():
        raise Refused(f"{folder}: there is no such folder to write the bundle into")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(f"{folder}: may not be written to: give --output FILE")


def _is_there(target: Path, digest: str, replacing: bool) -> bool:
    """Whether these very bytes are there already. Raises Refused if others are."""
    if not os.path.lexists(target) or replacing:
        return False
    try:
        if bundle.inspect(target).digest == digest:
            return True
    except Refused:
        pass
    raise Refused(f"{target}: is there already, with other content: give another --output or "
                  "--version, or --force")  # fmt: skip
