"""Decides about commands: who signed it, is it for us, is it new, may it be done here.

Every readable command gets an answer, also when it is refused; bytes that are no command are only
counted. A command is carried out once: its id is on disk before it is accepted.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from agent.seen import SKEW_S, Seen, SeenCommands
from wire import orders
from wire.config import Config
from wire.messages import Reply
from wire.orders import Claim, Command, Envelope
from wire.troubles import Refused, Unavailable, one_line

STATE_FILE = "commands.json"
LONGEST_TEXT = 1000  # characters of a reply: more is refused by its reader
DIGEST_DIGITS = 32
LAST_SECOND = 253402300799.0  # of the year 9999


@dataclass(frozen=True)
class Accepted:
    """To be carried out now, and ended by `finish`. key: the public key that signed it."""

    command: Command
    key: str


class Pace:
    """Lets through so many at once, and then one a second."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._left = float(burst)
        self._last_s = 0.0

    def allows(self, now_s: float) -> bool:
        """now_s: a clock that may jump. A jump costs or gives a moment, nothing lasting."""
        self._left = min(self._left + abs(now_s - self._last_s), self._burst)
        self._last_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Commander:
    """The door for commands.

    garbage: payloads that were no command. forged: commands that nobody we know has signed.
    damage: why commands of before are unknown, or None. interrupted: answers to commands that an
    earlier agent was cut off in; publish them.
    """

    def __init__(self, state_folder: Path, config: Config, now_s: float) -> None:
        self._config = config
        self._fleet_keys: tuple[str, ...] = ()
        self._seen = SeenCommands(state_folder / STATE_FILE, now_s)
        self.garbage = 0
        self.forged = 0
        self.damage = self._seen.damage
        self.interrupted = self._seen.interrupted
        self._strangers = Pace(burst=1)
        self._repeats = Pace(burst=10)

    def obey(self, fleet_keys: tuple[str, ...]) -> None:
        """The fleet's signed metadata names these keys; those of vedette.toml are obeyed too."""
        self._fleet_keys = fleet_keys

    @property
    def _keys(self) -> tuple[str, ...]:
        return (*self._config.commands.keys, *self._fleet_keys)

    def take(self, payload: bytes, now_s: float) -> Accepted | Reply | None:
        """What to do with a payload: carry it out, answer it, or nothing.

        now_s: Unix time by the system clock. Nothing: it is garbage, or it is being carried out,
        or its sender was answered enough.
        """
        try:
            envelope = orders.opened(payload)
            claim = orders.claim_of(envelope)  # read unverified only to say no to the right id
        except Refused:
            self.garbage += 1
            return None
        key = orders.signer_of(envelope, self._keys)
        if key is None:
            self.forged += 1
            # whoever can write to the topic could otherwise make us flood the broker
            answer = Reply(claim.id, False, self._why_not_believed(envelope.key))
            # the id of a true command, copied: its operator must not take our no for the answer
            is_copy = self._seen.get(claim.id) is not None
            return answer if not is_copy and self._strangers.allows(now_s) else None
        judged = self._judged(envelope, claim, key, now_s)
        if isinstance(judged, Reply):  # a thief of old commands can send them for ever
            return judged if self._repeats.allows(now_s) else None
        return judged

    def finish(self, identity: str, reply: Reply) -> Reply:
        """Keep the answer to an accepted command, so that asking again gives the same. Returns
        what to publish."""
        text = one_line(reply.text)
        return self._seen.finish(identity, replace(reply, text=text[:LONGEST_TEXT]))

    def _why_not_believed(self, hint: str) -> str:
        known = [key for key in self._keys if key[: orders.HINT_DIGITS] == hint]
        if not self._keys:
            return "this device takes no commands: its vedette.toml has no [commands] keys"
        if not hint:
            return "this command is not signed: vedette ask --key FILE signs it"
        if not known:
            return "this device does not know the key: add it to [commands] keys in vedette.toml"
        return "the signature is wrong: this command was changed on its way, or is forged"

    def _judged(
        self, envelope: Envelope, claim: Claim, key: str, now_s: float
    ) -> Accepted | Reply | None:
        """A command whose signature is right."""
        if (claim.fleet, claim.device) != (self._config.fleet, self._config.device):
            return _no(claim, f"this command is for {claim.device} of fleet {claim.fleet}")
        digest = hashlib.sha256(envelope.body.encode()).hexdigest()[:DIGEST_DIGITS]
        if seen := self._seen.get(claim.id):
            if seen.digest != digest:
                return _no(claim, "another command had this id: issue this one anew")
            gone = _no(claim, "this was done before, and the answer is no longer kept")
            return (seen.reply or gone) if seen.done else None
        # a clock that falls back must not make old commands valid again
        time_s = max(now_s, self._seen.latest_s)
        try:
            self._check_time(claim, time_s, now_s)
            command = orders.command_of(claim)
            self._check_allowed(command)
            seen = Seen(command.id, command.issued, command.expires, digest)
            self._begin(command, seen, time_s, now_s)
        except (Refused, Unavailable) as trouble:
            return _no(claim, str(trouble))
        return Accepted(command, key)

    def _check_time(self, claim: Claim, time_s: float, now_s: float) -> None:
        here = f"by this device's clock it is {_in_words(now_s)}"
        if time_s > now_s:
            here += f", but the newest command that it believed is of {_in_words(time_s)}"
        if not 0 < claim.expires - claim.issued <= orders.LONGEST_LIFETIME_S:
            raise Refused("a command may be valid for 1 s to 1 h: issue it anew")
        if claim.expires <= time_s:
            raise Refused(f"this command expired at {_in_words(claim.expires)}: {here}")
        if claim.issued > time_s + SKEW_S:
            raise Refused(f"this command is from the future, {_in_words(claim.issued)}: {here}")
        if claim.issued <= self._seen.forgotten_s:
            raise Refused(
                "this device cannot know whether it did this before: it remembers only commands "
                f"issued after {_in_words(self._seen.forgotten_s)}: ask again later; {here}"
            )

    def _check_allowed(self, command: Command) -> None:
        if isinstance(command.order, orders.Snapshot) and not self._config.commands.snapshot:
            raise Refused(
                "snapshots are not allowed here: set snapshot = true under [commands] in "
                "vedette.toml"
            )

    def _begin(self, command: Command, seen: Seen, time_s: float, now_s: float) -> None:
        # an operator whose clock is ahead must not make the commands of others too old
        fell_back = time_s > now_s
        believed_s = float(seen.issued) if fell_back else min(float(seen.issued), now_s)
        try:
            self._seen.begin(seen, believed_s, time_s)
        except Unavailable as trouble:
            if not isinstance(command.order, orders.Status):
                raise Unavailable(f"nothing was done, it could not be noted: {trouble}") from None
            # with a full disk too the device must be able to say how it is
            self._seen.begin_unwritten(seen)


def _no(claim: Claim, text: str) -> Reply:
    return Reply(claim.id, False, one_line(text)[:LONGEST_TEXT])


def _in_words(time_s: float) -> str:
    moment = datetime.datetime.fromtimestamp(
        min(max(time_s, 0.0), LAST_SECOND), tz=datetime.timezone.utc
    )
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
