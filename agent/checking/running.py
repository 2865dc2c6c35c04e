"""Does an agent run on this state folder, and is it connected? Read from /proc, disturbing nobody.

A second connection could be taken for the first one: some brokers take a device's user name for its
client id, and end the older of two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
ESTABLISHED = "01"
TABLES = ("net/tcp", "net/tcp6")


class Connection(Struct, frozen=True):
    """Of a running agent. port: its own end's; another connection has another."""

    pid: int
    port: int


def connection_of_agent(state: Path, broker_port: int) -> Connection | None:
    """None: no agent runs, it is not connected, or that cannot be seen from here."""
    for pid in _holding(state):
        sockets = set(_sockets(pid))
        for inode, port in _established(broker_port):
            if inode in sockets:
                return Connection(pid, port)
    return None


def _holding(folder: Path) -> Iterator[int]:
    """Who holds the lock on the folder, as every agent does."""
    try:
        inode, lines = str(folder.stat().st_ino), (PROC / "locks").read_text("ascii").splitlines()
    except (OSError, UnicodeError):
        return
    for line in lines:
        words = line.split()
        is_ours = len(words) > 5 and words[1] == "FLOCK" and words[5].split(":")[-1] == inode
        if is_ours and words[4].isdigit():
            yield int(words[4])


def _sockets(pid: int) -> Iterator[str]:
    """The inodes of its sockets."""
    try:
        names = os.listdir(PROC / str(pid) / "fd")
    except OSError:
        return
    for name in names:
        try:
            link = os.readlink(PROC / str(pid) / "fd" / name)
        except OSError:
            continue
        if link.startswith("socket:["):
            yield link.removeprefix("socket:[").rstrip("]")


def _established(remote_port: int) -> Iterator[tuple[str, int]]:
    """Inode and own port of every connection to such a port."""
    for table in TABLES:
        try:
            lines = (PROC / table).read_text("ascii").splitlines()[1:]
        except (OSError, UnicodeError):
            continue
        for line in lines:
            words = line.split()
            if words[3] == ESTABLISHED and int(words[2].rpartition(":")[2], 16) == remote_port:
                yield words[9], int(words[1].rpartition(":")[2], 16)
