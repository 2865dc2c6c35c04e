"""`vedette fleet COMMAND`: the operator's side; names a command and imports only that."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from wire.likely import did_you_mean

COMMANDS = {
    "init": ("fleet.commands.init", "make a fleet: its keys and its first signed metadata"),
    "broker": ("fleet.commands.broker", "write a ready mosquitto configuration, with TLS"),
    "enroll": ("fleet.commands.enroll", "make NAME.vedette: all that a device needs to join"),
    "revoke": ("fleet.commands.revoke", "let a device, or a person, come to the broker no more"),
    "forget": ("fleet.commands.forget", "let all forget devices that are no more"),
    "acl": ("fleet.commands.acl", "write who may do what at the broker"),
    "keys": ("fleet.commands.keys", "list, rotate and add keys; change thresholds"),
    "pack": ("fleet.commands.pack", "make a bundle of a model, checked"),
    "push": ("fleet.commands.push", "sign bundles, hand them to the depot and deploy them"),
    "deploy": ("fleet.commands.deploy", "say which devices run which version in a pipeline"),
    "status": ("fleet.commands.status", "who runs what, who is fetching, who rolled back and why"),
    "rollback": ("fleet.commands.rollback", "deploy what a pipeline ran before"),
    "retire": ("fleet.commands.retire", "let no device take a version of a model any more"),
    "sign": ("fleet.commands.sign", "sign a candidate that waits in the depot"),
    "depot": ("fleet.commands.depot", "service: serve signed models to the devices over MQTT"),
    "serve": ("fleet.commands.serve", "service: the dashboard, with depot and registry in it"),
    "users": ("fleet.commands.users", "who may sign in to the dashboard, and as what"),
    "alerts": ("fleet.commands.alerts", "what is wrong, whom it is told, and whether that works"),
    "ingest": ("fleet.commands.ingest", "service: store what devices say in the registry"),
    "simulate": ("fleet.commands.simulate", "be many devices, to try a broker and a depot with"),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    first = "usage: vedette fleet COMMAND [options]   (vedette fleet COMMAND --help says more)"
    return "\n".join([first, "", *lines])


def main(argv: Sequence[str]) -> int:
    words = list(argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS)
        print(f"vedette fleet: there is no command {words[0]!r}{hint}\n{usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    code: int = module.main(words[1:])
    return code
