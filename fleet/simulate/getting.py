"""The fetch of a simulated device: metadata, deployment and blocks, by the code of real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.simulate.believing import Asker, Believing
from fleet.simulate.weighing import Weighed
from wire.deployments import Deployment, Who, nearness, rule_for
from wire.messages import Trusted
from wire.troubles import Unavailable
from wire.trust.trust import Bundle, Trust
from wire.turns import Turns


@dataclass(frozen=True)
class Said:
    """What the newest metadata says. deployment: None if nothing is said about the pipeline.
    bundles: all that there are. keys: whose commands are obeyed."""

    trusted: Trusted
    deployment: Deployment | None
    bundles: tuple[Bundle, ...]
    keys: tuple[str, ...]


class Getter:
    """For a device's fetch. A bundle is checked and dropped."""

    def __init__(self, believing: Believing, asker: Asker, who: Who, pipeline: str) -> None:
        self._believing = believing
        self._asker = asker
        self._who = who
        self._pipeline = pipeline
        self._bell = b""

    def saying(self, bell: bytes) -> Turns[Said]:
        """By the newest metadata. Raises Refused, Unavailable."""
        self._bell = bell

        def act(trust: Trust) -> Said:
            trusted = trust.refresh()
            keys = trust.command_keys()
            return Said(trusted, trust.deployment(self._pipeline), trust.models(), keys)

        return (yield from self._believing.asking(bell, bell, self._asker, act))

    def wanted(self, said: Said) -> Bundle | None:
        """What this device is to run; None: nothing is said about it. Raises Unavailable."""
        rule = None if said.deployment is None else rule_for(said.deployment, self._who)
        if rule is None:
            return None
        found = [
            (near, bundle.path, bundle)
            for bundle in said.bundles
            if (bundle.variant.model, bundle.variant.version) == (rule.model, rule.version)
            and (near := nearness(bundle.variant.boards, self._who.board)) is not None
        ]
        if not found:
            raise Unavailable(f"{rule.model} {rule.version}: no variant is for this board")
        return min(found, key=lambda one: one[:2])[2]

    def getting(
        self, bundle: Bundle, progress: Callable[[int], None], is_over: Callable[[], bool]
    ) -> Turns[None]:
        """Until every block came and was right. Raises Refused, Unavailable."""
        what = self._bell + bundle.digest.encode()
        digests = yield from self._believing.asking(
            what, self._bell, self._asker, lambda trust: trust.block_digests(bundle)
        )
        weighed = Weighed(Path(bundle.path), bundle.size, digests)
        yield from self._asker.client.fetching(bundle.digest, weighed, progress, is_over)
