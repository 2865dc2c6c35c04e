"""`package.module:attribute?weights=FILE&key=value`: a torch module as the user's code makes it.

Only the step's own process imports it, and with it whatever it does when it is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from wire.likely import did_you_mean
from wire.troubles import Refused, Unavailable
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.torch_program import import_torch

OURS = ("wire", "workshop")  # rooms that are loaded already: a package of that name is not found
HELD_IN = ("state_dict", "model_state_dict", "model", "ema")  # where checkpoints keep weights
AROUND = ("module.", "_orig_mod.", "model.")  # what wrappers put before each name
NAMED = 3  # weights that a message names


@dataclass(frozen=True)
class Place:
    """What is asked for. options: for the class or function; weights: a file, or nothing."""

    words: str
    module: str
    attribute: str
    weights: str | None
    options: dict[str, Any]


def place_of(words: str) -> Place:
    """Raises Refused for what is no `module:attribute`."""
    path, _, query = words.partition("?")
    module, colon, attribute = path.rpartition(":")
    if not colon or not module or not attribute:
        raise Refused(f"{words}: a torch module is written package.module:attribute")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    weights = pairs.pop("weights", None)
    options = {key: _value(text) for key, text in pairs.items()}
    return Place(words, module, attribute, weights, options)


def open_module(place: Place, folder: Path, seed: int) -> Any:
    """The torch.nn.Module, in evaluation mode, with its weights. folder: from where it is looked
    for. Raises Refused for what is not there, raises itself, or is no module."""
    torch = import_torch()
    torch.manual_seed(seed)
    found = _attribute(place, _imported(place, folder))
    made = found if isinstance(found, torch.nn.Module) else _called(place, found)
    if isinstance(found, torch.nn.Module) and place.options:
        raise Refused(f"{place.words}: is a module already, which takes no options")
    if not isinstance(made, torch.nn.Module):
        kind = type(made).__name__
        raise Refused(f"{place.words}: gives a {kind}, not a torch.nn.Module: name what makes one")
    if place.weights is not None:
        _load(torch, made, folder / place.weights)
    return made.cpu().eval().float()


def _imported(place: Place, folder: Path) -> Any:
    top = place.module.partition(".")[0]
    if top in OURS:
        raise Refused(f"{place.words}: Vedette has a package called {top}: rename yours")
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        if not place.module.endswith(".py"):
            return importlib.import_module(place.module)
        file = folder / place.module
        sys.path.insert(0, str(file.parent))
        described = importlib.util.spec_from_file_location(file.stem, file)
        assert described is not None and described.loader is not None
        module = importlib.util.module_from_spec(described)
        sys.modules[file.stem] = module
        described.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and place.module.startswith(error.name):
            raise Refused(
                f"{place.words}: there is no module {place.module} in {folder} or among the "
                "installed packages: go to the folder where it can be imported"
            ) from None
        raise Unavailable(f"{place.words}: needs the package {error.name}: install it") from None
    except FileNotFoundError:
        raise Refused(f"{place.words}: there is no file {place.module} in {folder}") from None
    except Exception as error:
        raise Refused(f"{place.words}: cannot be imported: {_said(error)}") from None
    return module


def _attribute(place: Place, module: Any) -> Any:
    found = module
    for name in place.attribute.split("."):
        if not hasattr(found, name):
            near = did_you_mean(name, [each for each in dir(found) if not each.startswith("_")])
            raise Refused(f"{place.words}: {place.module} has no {place.attribute}{near}")
        found = getattr(found, name)
    return found


def _called(place: Place, found: Any) -> Any:
    if not callable(found):
        raise Refused(f"{place.words}: is a {type(found).__name__}, not a torch.nn.Module")
    try:
        return found(**place.options)
    except Exception as error:
        raise Refused(
            f"{place.words}: cannot be made: {_said(error)}: give its options as "
            f"{place.attribute}?name=value&other=value"
        ) from None


def _load(torch: Any, module: Any, file: Path) -> None:
    """Weights by name, of a file that holds nothing else. Raises Refused if they are not of it."""
    held = _weights(torch, file)
    wanted = set(module.state_dict())
    for around in ("", *AROUND):
        named = {name.removeprefix(around): one for name, one in held.items()}
        if set(named) == wanted:
            break
    else:
        named = held
    missing, foreign = sorted(wanted - set(named)), sorted(set(named) - wanted)
    if missing or foreign:
        raise Refused(
            f"{file}: holds weights of another network: {_some('without', missing)}"
            f"{' and ' if missing and foreign else ''}{_some('with', foreign)}"
        )
    try:
        module.load_state_dict(named)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise Refused(f"{file}: does not fit: {lines[-1].strip()}") from None


def _weights(torch: Any, file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise Refused(f"{file}: there is no such file of weights")
    try:
        if file.suffix == ".safetensors":
            return dict(import_quietly("safetensors.torch").load_file(str(file)))
        held = torch.load(file, map_location="cpu", weights_only=True)
    except Unavailable:
        raise
    except Exception:
        raise Refused(
            f"{file}: holds more than weights, or is damaged: save them alone, "
            "with torch.save(model.state_dict(), FILE)"
        ) from None
    for name in HELD_IN:
        if isinstance(held, dict) and isinstance(held.get(name), dict):
            held = held[name]
    if not isinstance(held, dict) or not all(isinstance(x, torch.Tensor) for x in held.values()):
        raise Refused(f"{file}: holds no weights by name: save model.state_dict()")
    return dict(held)


def _some(word: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{word} {', '.join(names[:NAMED])}{more}"


def _value(text: str) -> Any:
    """A number, true, false or none; else the text itself."""
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
