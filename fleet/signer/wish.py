"""Wishes for deployments: who signed them, whether they are new, whether they can come true."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from fleet.roles.targets import Target
from wire import deployments, envelope, offers
from wire.offers import LARGEST, LONGEST_WISH_S, Wish
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

CLOCKS_S = 600.0  # how far an operator's clock may be ahead of ours


@dataclass(frozen=True)
class Terms:
    """What a wish is judged by. identity: of the topic that it came on. deployed: version of the
    deployments in force. files: of the release. now_s: Unix time."""

    fleet: str
    identity: str
    deployed: int
    files: Iterable[Target]
    now_s: float


def signed_wish(payload: bytes, keys: Collection[str]) -> Wish:
    """The wish in a payload, signed by one of the keys. Raises Refused."""
    sealed = envelope.opened(payload, LARGEST, "wish")
    if envelope.signer_of(offers.DOMAIN, sealed, keys) is None:
        known = any(key.startswith(sealed.key) for key in keys) if sealed.key else False
        raise Refused(
            "the signature is wrong: the wish was changed on its way, or is forged"
            if known
            else "the wish is not signed by a command key that the release names: "
            "name the right key, or push a release that names this one"
        )
    try:
        return msgspec.json.decode(sealed.body, type=Wish)
    except UNREADABLE as error:
        raise Refused(f"not a wish: {why(error)}") from None


def check_wish(wish: Wish, terms: Terms) -> None:
    """Whether a signed wish can come true now. Raises Refused with what to do."""
    if wish.fleet != terms.fleet:
        raise Refused(f"the wish is for fleet {wish.fleet}, this is the depot of {terms.fleet}")
    if wish.id != terms.identity:
        raise Refused("the wish was made for another conversation: it is a copy")
    if wish.expires <= terms.now_s:
        raise Refused(
            f"the wish expired {terms.now_s - wish.expires:.0f} s ago: are both clocks right?"
        )
    if wish.issued > terms.now_s + CLOCKS_S:
        raise Refused(
            f"the wish is from {wish.issued - terms.now_s:.0f} s ahead: are both clocks right?"
        )
    if wish.expires - wish.issued > LONGEST_WISH_S:
        raise Refused("the wish is valid for too long: a day is the most")
    if wish.after != terms.deployed:
        raise Refused(
            f"the wish follows deployments {wish.after}, and {terms.deployed} are in force: "
            "somebody else deployed meanwhile: look, and run the command again"
        )
    _check_rules(wish, terms)


def deployment_file(wish: Wish) -> bytes:
    """The content of the signed file that devices read. Raises Refused if it is too large."""
    content = msgspec.json.encode(wish.deployment)
    if len(content) > deployments.LARGEST:
        raise Refused(
            f"{len(content)} bytes are too many for a deployment: name groups, not devices"
        )
    return content


def _check_rules(wish: Wish, terms: Terms) -> None:
    known = {(one.variant.model, one.variant.version) for one in terms.files if one.variant}
    for rule in wish.deployment.rules:
        if (rule.model, rule.version) in known:
            continue
        versions = sorted(version for model, version in known if model == rule.model)
        there = f"there are {', '.join(versions[-10:])}" if versions else "there is none of it"
        raise Refused(
            f"{rule.model} {rule.version} is not among the fleet's releases: {there}: "
            "push it first, with vedette fleet push"
        )
