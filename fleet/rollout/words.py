"""Rules of a deployment in words: who takes what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.wording import model_words, plural
from wire.deployments import Rule

MOST_NAMES = 8  # in one sentence


def named(names: Iterable[str]) -> str:
    """`door-1, door-2 and 7 more`, sorted."""
    listed = sorted(names)
    more = len(listed) - MOST_NAMES
    return ", ".join(listed[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def audience(rule: Rule) -> str:
    """Whom a rule takes, if nothing stands above it: `10 % of group doors, and door-1`."""
    those = []
    if rule.groups:
        those.append(f"{_kind('group', rule.groups)} {named(rule.groups)}")
    if rule.boards:
        those.append(f"{_kind('board', rule.boards)} {named(rule.boards)}")
    if rule.devices:
        those.append(named(rule.devices))
    whole = " on ".join(those) or "all"
    if rule.wave >= 1:
        return whole
    part = f"{100 * rule.wave:g} % of {whole}" if rule.wave > 0 else ""
    chosen = named(rule.canaries)
    return ", and ".join(filter(None, (part, chosen))) or "nobody"


def rules_words(rules: Sequence[Rule]) -> str:
    """`digits 8 to 10 % of all, and door-1; then digits 7 to all`."""
    return "; then ".join(
        f"{model_words(rule.model, rule.version)} to {audience(rule)}" for rule in rules
    )


def _kind(word: str, names: Sequence[str]) -> str:
    return plural(len(names), word).partition(" ")[2]
