"""Which commands a simulated device believes: signed, for it, in time, and each one once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from wire import orders
from wire.messages import Reply
from wire.orders import Claim, Command
from wire.troubles import Refused, one_line

MOST_KEPT = 32  # commands; a real device remembers more, over restarts too
SKEW_S = 300.0  # by which the clocks of device and operator may differ
LONGEST = 1000  # characters of a reply


@dataclass
class _Seen:
    """digest: of what was signed. reply: None while it is carried out."""

    digest: bytes
    reply: Reply | None = None


class Door:
    """Of one device. keys: of whom it takes commands, in hex. allows_snapshots: as a real one is
    configured. answered: replies that were kept."""

    def __init__(self, fleet: str, device: str, allows_snapshots: bool) -> None:
        self.keys: tuple[str, ...] = ()
        self.answered = 0
        self._fleet = fleet
        self._device = device
        self._allows_snapshots = allows_snapshots
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def judge(self, payload: bytes, wall_s: float) -> Command | Reply | None:
        """What to do with a payload: carry it out and then `finish`, answer it, or nothing. wall_s:
        Unix time."""
        try:
            envelope = orders.opened(payload)
            claim = orders.claim_of(envelope)
        except Refused:
            return None
        if orders.signer_of(envelope, self.keys) is None:
            return None if claim.id in self._seen else _no(claim, self._why_not_believed())
        digest = hashlib.sha256(envelope.body.encode()).digest()
        if (seen := self._seen.get(claim.id)) is not None:
            is_same = seen.digest == digest
            return seen.reply if is_same else _no(claim, "another command had this id")
        try:
            self._check(claim, wall_s)
            command = orders.command_of(claim)
            if isinstance(command.order, orders.Snapshot) and not self._allows_snapshots:
                raise Refused("snapshots are not allowed here: start it with --snapshots")
        except Refused as refused:
            return _no(claim, str(refused))
        self._seen[claim.id] = _Seen(digest)
        if len(self._seen) > MOST_KEPT:
            self._seen.popitem(last=False)
        return command

    def finish(self, reply: Reply) -> Reply:
        """Keep the answer, so that asking again gives the same. Returns what to publish."""
        if (seen := self._seen.get(reply.id)) is not None:
            seen.reply = reply
        self.answered += 1
        return reply

    def _why_not_believed(self) -> str:
        if not self.keys:
            return "this simulated device knows no command keys: start it with --fetch"
        return "nobody whom this fleet believes has signed this command"

    def _check(self, claim: Claim, wall_s: float) -> None:
        if (claim.fleet, claim.device) != (self._fleet, self._device):
            raise Refused(f"this command is for {claim.device} of fleet {claim.fleet}")
        if not 0 < claim.expires - claim.issued <= orders.LONGEST_LIFETIME_S:
            raise Refused("a command may be valid for 1 s to 1 h: issue it anew")
        if claim.expires <= wall_s:
            raise Refused("this command expired: issue it anew, and look at both clocks")
        if claim.issued > wall_s + SKEW_S:
            raise Refused("this command is from the future: look at both clocks")


def _no(claim: Claim, text: str) -> Reply:
    return Reply(claim.id, False, one_line(text)[:LONGEST])
