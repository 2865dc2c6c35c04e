"""The rules that mosquitto goes by: who may write and read what. docs/wire.md shows them."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.enrolment.book import Entry
from wire.enrolment import ROLES, Role

EVERYBODY = """\
# every device: its user name is its device name
pattern write vedette/{fleet}/device/%u/#
pattern read vedette/{fleet}/device/%u/presence
pattern read vedette/{fleet}/to/%u/#
pattern read vedette/{fleet}/release/timestamp
pattern read vedette/{fleet}/block/#
"""
BLOCKS: dict[Role, str] = {
    "operator": """\
# those who watch and ask
user {name}
topic read vedette/{fleet}/device/#
topic write vedette/{fleet}/to/+/command
# those who also push models
topic read vedette/{fleet}/release/timestamp
topic readwrite vedette/{fleet}/block/#
topic readwrite vedette/{fleet}/offer/#
""",
    "depot": """\
# vedette fleet depot
user {name}
topic read vedette/{fleet}/device/+/request/#
topic readwrite vedette/{fleet}/release/timestamp
topic readwrite vedette/{fleet}/block/#
topic readwrite vedette/{fleet}/offer/#
""",
    "registry": """\
# the program that stores records: vedette fleet ingest, or one of yours
user {name}
topic read vedette/{fleet}/device/+/presence
topic read vedette/{fleet}/device/+/state
topic read vedette/{fleet}/device/+/telemetry
topic read vedette/{fleet}/device/+/event
topic write vedette/{fleet}/to/+/ack
""",
    "server": """\
# vedette fleet serve: depot and registry in one, and what its pages look at and ask for
user {name}
topic read vedette/{fleet}/device/#
topic write vedette/{fleet}/to/#
topic readwrite vedette/{fleet}/release/timestamp
topic readwrite vedette/{fleet}/block/#
topic readwrite vedette/{fleet}/offer/#
""",
    "simulator": """\
# vedette fleet simulate, for trying out: warning: it may speak as ANY device;
# vedette fleet revoke {name} ends that
user {name}
topic readwrite vedette/{fleet}/device/#
topic read vedette/{fleet}/to/#
topic read vedette/{fleet}/release/timestamp
topic read vedette/{fleet}/block/#
""",
}
ORDER: tuple[Role, ...] = ("operator", "depot", "registry", "server", "simulator")
# a user's own rules are looked at before those for everybody
REVOKED = """\
# revoked
user {name}
topic deny #
"""
# the server may remove what the broker keeps of those who are no more
LEFT = """\
topic write vedette/{fleet}/device/{name}/presence
topic write vedette/{fleet}/device/{name}/state
"""


def rules(fleet: str, entries: Iterable[Entry]) -> str:
    """The text of an acl_file."""
    known = sorted(entries, key=lambda entry: entry.name)
    left = [entry.name for entry in known if entry.revoked_s is not None]
    gone = [entry.name for entry in known if entry.is_forgotten]
    blocks = [EVERYBODY.format(fleet=fleet)]
    for role in ORDER:
        for entry in known:
            if entry.role == role and entry.belongs:
                block = BLOCKS[role].format(fleet=fleet, name=entry.name)
                if role == "server":
                    block += "".join(LEFT.format(fleet=fleet, name=name) for name in gone)
                blocks.append(block)
    blocks += [REVOKED.format(name=name) for name in left]
    return "\n".join(blocks)


assert set(ORDER) | {"device"} == set(ROLES)
