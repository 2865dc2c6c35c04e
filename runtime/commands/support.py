"""`vedette support`: collects what a bug report needs into one file, without secrets."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.support.bundle import Packed, Part, pack, write
from runtime.support.known import known
from runtime.support.masking import Mask
from runtime.support.sources import sources
from wire.accepted import in_force
from wire.command_line import Parser
from wire.folders import Folders, add_folder_options, folders_of, named_path
from wire.troubles import Trouble, one_line


class Made(Struct, frozen=True):
    """What --json prints. size: in bytes."""

    file: str
    size: int
    secrets: int
    parts: tuple[Part, ...]


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folders, at_s = folders_of(words), time.time()
    secrets = known(folders)
    packed = pack(sources(folders), Mask(secrets, _users(folders)), at_s)
    path = _place(words.out, at_s)
    write(packed, path)
    made = Made(str(path), len(packed.content), len(secrets), packed.parts)
    print(msgspec.json.encode(made).decode() if words.json else "\n".join(_lines(made, packed)))
    return 0


def _users(folders: Folders) -> tuple[str, ...]:
    """Under which names the device proves itself."""
    try:
        config = in_force(folders).config
    except Trouble:
        return ()
    return tuple(filter(None, (config.device, config.broker.username)))


def _place(out: Path | None, at_s: float) -> Path:
    name = time.strftime("vedette-support-%Y%m%d-%H%M%S.tar.gz", time.gmtime(at_s))
    if out is None:
        return Path.cwd() / name
    return out / name if out.is_dir() else out


def _lines(made: Made, packed: Packed) -> Iterator[str]:
    yield one_line(f"{made.file}: {made.size >> 10} KiB")
    for part in packed.parts:
        left = f"  ({part.cut} bytes left out)" if part.cut else ""
        yield f"  {part.size:>8}  {part.name}{left}"
    yield f"{made.secrets} texts that are secret here were looked for, and whatever looks like one"
    yield one_line(f"look at it before you send it: tar -xzOf {made.file} | less")


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette support",
        description="Collect what a bug report needs into one file: what the doctor finds, the "
        "configuration, the journal of the services, versions, listings, and what the kernel says. "
        "Passwords and keys are taken out; look at it all the same before you send it. Best with "
        "sudo: others may not read the journal.",
    )
    add_folder_options(parser)
    parser.add_argument(
        "--out", type=named_path, metavar="FILE",
        help="a file, or a folder to put it in (default: the current folder)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser
