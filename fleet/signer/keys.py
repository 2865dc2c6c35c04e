"""The depot's own keys: which of the files in depot/keys is the one that metadata names.

There may be several of a role, `timestamp.pem` and `timestamp-2.pem`: one that will take over, and
one that did before. So a key can be put there first, and named by a new root afterwards.
"""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from fleet.roles import roles
from fleet.roles.roles import RoleName
from wire.signing import SigningKey, load_key
from wire.troubles import Refused, Trouble

log = logging.getLogger("vedette.signer")


class OnlineKeys:
    """folder: of the key files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[RoleName, SigningKey] = {}

    def of(self, role: RoleName, delegator: bytes) -> SigningKey:
        """The key that signs a role. delegator: the root; for deployments the release metadata.

        Raises Refused if it is not here.
        """
        wanted = roles.role_of(delegator, role)
        key = self._loaded.get(role)
        if key is None or key.public not in wanted.keys:
            key = self._load(role, wanted.keys)
        if wanted.threshold != 1:
            raise Refused(f"{role} would need {wanted.threshold} signatures: the depot gives one")
        self._loaded[role] = key
        return key

    def _load(self, role: RoleName, wanted: tuple[str, ...]) -> SigningKey:
        files = sorted((*self._folder.glob(f"{role}.pem"), *self._folder.glob(f"{role}-*.pem")))
        unread = ""
        for file in files:
            try:
                key = load_key(file)
            except Trouble as trouble:  # another one may be the right one
                unread = f" ({trouble})"
                continue
            if key.public in wanted:
                _check_is_private(file)
                return key
        named = ", ".join(f"{public[:16]}..." for public in wanted)
        raise Refused(
            f"{self._folder}: none of its {role}*.pem is the key {named} that signs {role}{unread}:"
            f" put that key there, or replace it: vedette fleet keys rotate {role}"
        )


def _check_is_private(file: Path) -> None:
    """A key that was copied by hand is easily one that everybody may read."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        log.warning("%s: others may read this key (%o): chmod 600 %s", file, mode, file)
