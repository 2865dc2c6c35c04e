"""What a simulated device runs: a model that it fetched, or one that is made up and says so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fleet.simulate.character import Character
from wire.trust.trust import Bundle

ENGINES = {"tflite": "litert", "onnx": "onnxruntime"}  # by the format of a bundle


@dataclass(frozen=True)
class Running:
    """digest: of the bundle. engine: what it runs on."""

    model: str
    version: str
    digest: str
    engine: str


def fetched(bundle: Bundle) -> Running:
    """As a real device would run it."""
    variant = bundle.variant
    engine = ENGINES.get(variant.format, variant.format)
    return Running(variant.model, variant.version, bundle.digest, engine)


def made_up(character: Character) -> Running:
    """Of a device that takes no models. Its name is no real model's: nobody released it."""
    version = "2" if character.runs_newest else "1"
    digest = hashlib.sha256(f"simulated {version}".encode()).hexdigest()
    return Running("simulated", version, digest, character.kind.engine)
