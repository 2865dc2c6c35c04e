"""`vedette model plan FOLDER`: a TensorRT plan for this kind of device, to travel with a model.

It is built here, laid beside the model and named in its manifest; who packs and signs the folder
vouches for it, and devices that are exactly like this one need not build their own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from models import manifest
from models.plans import Key, Plan
from runtime.building import build_now
from runtime.engines import tensorrt, tensorrt_plan
from runtime.locating import locate, resolve
from wire.command_line import Parser
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable, one_line


def main(words: argparse.Namespace) -> int:
    path = resolve(words.path)
    if not path.is_dir():
        raise Refused(f"{path}: give a model folder, which the plan is laid into")
    with locate(path, "tensorrt") as located:
        if located.manifest is None:
            raise Refused(f"{path}: has no {manifest.FILE_NAME}, which must name the plan")
        build_now(located, say)
        key = tensorrt.key_here(located.file, located.manifest.takes.shape)
        content = tensorrt_plan.kept(key)
        if content is None:
            raise Unavailable(f"{path}: what was built is gone: try again")
        plan = add(located.folder, key, content)
    if words.json:
        print(msgspec.json.encode(plan).decode())
    else:
        print(one_line(f"{plan.file}: for {plan.tensorrt} on {plan.architecture}"
                       f"{f', Jetson Linux {plan.l4t}' if plan.l4t else ''}: pack and push it with "
                       "the folder"))  # fmt: skip
    return 0


def add(folder: Path, key: Key, content: bytes) -> Plan:
    """Lay a plan into a model folder and name it in the manifest, which is else left as it is.

    Raises Refused if it names that plan, or one for the same device, already.
    """
    words = [key.architecture, *key.tensorrt.split(), *([key.l4t] if key.l4t else [])]
    plan = Plan(
        f"{'-'.join(words)}.plan", key.model, key.shape, key.tensorrt, key.architecture, key.l4t
    )
    path = folder / manifest.FILE_NAME
    before = path.read_text(encoding="utf-8")
    if plan.file in {each.file for each in manifest.load(folder).plans}:
        raise Refused(f"{path}: names {plan.file} already: remove its [[plans]] and the file first")
    after = f"{before.rstrip()}\n\n{_table(plan)}"
    manifest.parse(after, str(path))
    write_durably(folder / plan.file, content)
    write_durably(path, after.encode("utf-8"))
    return plan


def _table(plan: Plan) -> str:
    lines = [f"{name} = {msgspec.json.encode(value).decode()}"
             for name, value in msgspec.to_builtins(plan).items()]  # fmt: skip
    return "\n".join(["[[plans]]", *lines, ""])


def say(line: str) -> None:
    """How far it is, as it is not the answer."""
    print(f"vedette: {one_line(line)}", file=sys.stderr, flush=True)


def add_parser(verbs: argparse._SubParsersAction[Parser]) -> None:
    """The verb `plan`."""
    plan = verbs.add_parser(
        "plan", help="build a TensorRT plan for devices like this one, to travel with the model",
        description="Build a TensorRT plan on this device, lay it into the model folder and name "
        "it in the manifest. Devices with the same TensorRT, graphics processor and system take it "
        "from the signed bundle; all others build their own.",
    )  # fmt: skip
    plan.add_argument("path", metavar="FOLDER", help="model folder with a manifest.toml")
    plan.add_argument("--json", action="store_true", help="print the plan's table as JSON")
    plan.set_defaults(do=main)
