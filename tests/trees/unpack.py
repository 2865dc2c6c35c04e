"""Machines as text: the files of /proc, /sys and others that boards read, unpacked into a folder.

A `.tree` file starts with lines of `#`: which machine, and where its content is from. Then one
`--- PATH` for each file, followed by its content, or one `--- PATH -> TARGET` for a link. `\\0`
is a zero byte. `--- like NAME` starts with another tree, of which files may then be replaced.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent
MARK = "--- "
LIKE = "like "
ARROW = " -> "

TREES = tuple(sorted(path.stem for path in FOLDER.glob("*.tree")))


def unpack(name: str, root: Path) -> Path:
    """Write the files of a tree below root, and return root."""
    head, *entries = ("\n" + (FOLDER / f"{name}.tree").read_text(encoding="utf-8")).split(
        f"\n{MARK}"
    )
    assert all(line.startswith("#") for line in head.split("\n") if line), f"{name}: no header"
    for entry in entries:
        title, _, content = entry.partition("\n")
        if title.startswith(LIKE):
            unpack(title.removeprefix(LIKE), root)
        elif ARROW in title:
            _link(root, *title.split(ARROW))
        else:
            _write(root / title, content)
    return root


def files(root: Path) -> list[Path]:
    """The files of a tree, without what is a link."""
    found = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return sorted(path for path in found if not path.is_symlink())


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content.replace("\\0", "\0")
    # what the kernel writes ends with a line's end, but for the device tree
    ended = text.rstrip("\n") if text.rstrip("\n").endswith("\0") else text.rstrip("\n") + "\n"
    path.write_text(ended if ended.strip() else "", encoding="utf-8")


def _link(root: Path, path: str, target: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(target)
