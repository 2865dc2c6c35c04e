"""Looks for newer metadata, and says what follows from it for this device."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from agent.fetch.sources import Sources
from agent.fetch.words import Asked, Desired, FromFetch, NotRefreshed, Refreshed
from wire.deployments import Who, rule_for
from wire.steps import reached
from wire.troubles import Refused, Trouble, Unavailable

if TYPE_CHECKING:
    from wire.trust.trust import Trust

LARGEST_ROOT = 512 * 1024  # bytes

log = logging.getLogger("vedette.agent")


class Refreshing:
    """For the fetch thread."""

    def __init__(
        self, trust: Trust, sources: Sources, who: Who, pipelines: Collection[str]
    ) -> None:
        self._trust = trust
        self._sources = sources
        self._who = who
        self._pipelines = sorted(pipelines)

    def known(self) -> list[FromFetch]:
        """What was believed before we started. It may have expired: then nothing is desired."""
        trusted = self._trust.trusted
        if trusted is None:
            return []
        try:
            keys = self._trust.command_keys()
        except Trouble:
            keys = ()
        return [Refreshed(trusted, self._trust.issued_s, self._trust.expiries, keys, ())]

    def refresh(self, bell: bytes | None) -> list[FromFetch]:
        """bell: the newest timestamp, by the word of whoever rang; without it the depot is asked.

        A bell that lies is no reason not to ask.
        """
        if bell is not None:
            said = self._refresh(bell)
            if not isinstance(said[-1], NotRefreshed):
                return said
            log.debug("the bell: %s", said[-1].why)
        return self._refresh(None)

    def _refresh(self, bell: bytes | None) -> list[FromFetch]:
        self._sources.bell = bell
        try:
            trusted = self._trust.refresh()
            reached("refresh.trusted")
            keys = self._trust.command_keys()
            desired, wrong = self._desired()
        except Refused as trouble:
            return [NotRefreshed(str(trouble), "refused")]
        except Unavailable as trouble:
            return [NotRefreshed(str(trouble), "unavailable")]
        finally:
            self._sources.bell = None
        said: list[FromFetch] = [Asked()]
        issued_s, expiries = self._trust.issued_s, self._trust.expiries
        said.append(Refreshed(trusted, issued_s, expiries, keys, tuple(desired)))
        return [*said, NotRefreshed(wrong, "refused")] if wrong is not None else said

    def _desired(self) -> tuple[list[Desired], str | None]:
        """What each pipeline is to run, and what is wrong with a deployment of one of them."""
        desired, wrong = [], None
        for pipeline in self._pipelines:
            try:
                deployment = self._trust.deployment(pipeline)
            except Refused as trouble:
                wrong = str(trouble)
                continue
            rule = None if deployment is None else rule_for(deployment, self._who)
            bundles = () if rule is None else self._trust.bundles(rule.model, rule.version)
            desired.append(Desired(pipeline, rule, bundles))
        return desired, wrong


def first_root(path: Path) -> bytes:
    """The root that a person put on this device. Raises Refused."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_ROOT + 1)
    except OSError as error:
        raise Refused(
            f"[updates] root: {path}: {error.strerror}: copy root.json of your fleet there"
        ) from None
    if len(content) > LARGEST_ROOT:
        raise Refused(f"[updates] root: {path}: too large to be root metadata")
    return content
