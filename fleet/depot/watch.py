"""Warns before what the depot cannot sign itself expires: the release and the root."""

from __future__ import annotations

from fleet.roles import roles
from fleet.roles.roles import RoleName
from fleet.signer.signer import Signer
from wire.release import WARN_S

AGAIN_S = 24 * 3600.0
CURE = "vedette fleet keys renew signs it anew"
ROLES: tuple[RoleName, ...] = ("targets", "root")


class ExpiryWatch:
    """Says each warning once a day."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._said_s: dict[str, float] = {}

    def news(self, now_s: float) -> tuple[str, ...]:
        """What to say now. now_s: Unix time."""
        found = []
        for role in ROLES:
            left_s = self._signer.expires_s(role) - now_s
            said_s = self._said_s.get(role)
            if left_s > WARN_S or (said_s is not None and abs(now_s - said_s) < AGAIN_S):
                continue
            self._said_s[role] = now_s
            day = roles.moment(self._signer.expires_s(role)).date()
            what = "root" if role == "root" else "release"
            verb = "expires" if left_s > 0 else "expired"
            found.append(f"the {what} metadata {verb} on {day}, and updates stop then: {CURE}")
        return tuple(found)
