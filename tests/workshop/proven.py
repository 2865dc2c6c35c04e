"""What a reader made, against what the source framework said of the same inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.engines import BY_FORMAT, EngineOptions, open_engine
from workshop.reading import Read

NEAR = 1e-4


def largest_difference(read: Read) -> float:
    """Over all inputs and outputs, by the runtime's own engine. Fails where shapes differ."""
    engine = open_engine(BY_FORMAT[read.file.rpartition(".")[2]], Path(read.file), EngineOptions(1))
    found = 0.0
    try:
        with np.load(read.reference, allow_pickle=False) as reference:
            assert len(reference["in0"]) > 1
            for place, one in enumerate(reference["in0"]):
                engine.input()[...] = one
                answers = engine.run()
                assert len(answers) == len(read.gives)
                for index, (answer, port) in enumerate(zip(answers, read.gives, strict=True)):
                    expected = reference[f"out{index}"][place]
                    assert answer.shape == expected.shape == port.shape
                    found = max(found, float(np.abs(answer - expected).max()))
    finally:
        engine.close()
    return found
