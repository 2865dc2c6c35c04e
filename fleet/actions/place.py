"""What the server has of a fleet's folder, and the key by which it may act."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from fleet.folder import FleetFolder
from fleet.passphrase import Passphrases
from wire.release import METADATA
from wire.signing import SigningKey
from wire.troubles import Unavailable, one_line

UPLOADS = "uploads"

log = logging.getLogger("vedette.serve")


@dataclass(frozen=True)
class ServedFolder(FleetFolder):
    """Paths of a fleet on the server's machine, which may have the depot's part only."""

    @property
    def root(self) -> Path:
        """The first root: the operator's, else the depot's, where it is the first as well."""
        own = self.path / "root.json"
        return own if own.exists() else self.depot / METADATA / "1.root.json"

    @property
    def uploads(self) -> Path:
        """Bundles on their way from a browser to the depot."""
        return self.path / UPLOADS


def served(folder: FleetFolder) -> ServedFolder:
    return ServedFolder(folder.path, folder.name, folder.broker, folder.alerts, folder.alerting)


def load_command_key(path: Path, passphrase_file: Path | None) -> SigningKey:
    """The command key that a server may act with. Raises Refused, Unavailable."""
    key = Passphrases(passphrase_file).load(path)
    try:
        if path.stat().st_mode & 0o077:
            log.warning("others may read or change %s: chmod 600 %s", *[one_line(str(path))] * 2)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    return key
