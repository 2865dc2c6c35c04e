"""Does the float32 file say what the source says? On the same inputs, output by output."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.engines import BY_FORMAT, Engine, EngineOptions, open_engine
from wire.troubles import Refused
from workshop.reading import Read


def difference(read: Read, tolerance: float) -> float:
    """The largest difference, in shares of the larger of 1 and the output's largest value.

    Raises Refused where it is larger than `tolerance`, or the tensors are not the same.
    """
    file = Path(read.file)
    engine = open_engine(BY_FORMAT[file.suffix[1:]], file, EngineOptions(threads=1))
    try:
        found = _differences(read, engine)
    finally:
        engine.close()
    for port, each in zip(read.gives, found, strict=True):
        if not each <= tolerance:  # also where it is no number
            raise Refused(
                f"output {port.name!r} of the converted model differs from the source's by "
                f"{each:.2g} (of its largest value, or of 1), allowed are {tolerance:g}: an "
                "operator was converted to another one: try the other format (--to), or allow more "
                "(--tolerance)"
            )
    return max(found)


def _differences(read: Read, engine: Engine) -> list[float]:
    with np.load(read.reference) as arrays:
        known = {name: arrays[name] for name in arrays.files}
    if len(read.takes) != 1:
        raise Refused(
            f"the model has {len(read.takes)} inputs ({', '.join(p.name for p in read.takes)}), "
            "a pipeline gives one: fix the others when you export it"
        )
    if len(engine.gives) != len(read.gives):
        raise Refused(
            f"the converted model has {len(engine.gives)} outputs, the source {len(read.gives)}"
        )
    for place, port in enumerate(read.gives):
        if not np.isfinite(known[f"out{place}"]).all():
            raise Refused(
                f"the source itself answers with what is no number, at its output {port.name!r}: "
                "its weights are broken, or it takes inputs of another range than 0 to 1"
            )
    worst = [0.0] * len(read.gives)
    for number, given in enumerate(known["in0"]):
        engine.input()[...] = given.reshape(engine.input().shape)
        for place, output in enumerate(engine.run()):
            wanted = known[f"out{place}"][number]
            if output.size != wanted.size:
                raise Refused(
                    f"output {read.gives[place].name!r} of the converted model has shape "
                    f"{output.shape}, the source's {wanted.shape}: it depends on the picture"
                )
            error = np.abs(output.reshape(wanted.shape).astype(np.float64) - wanted)
            scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
            worst[place] = max(worst[place], float(error.max(initial=0.0)) / scale)
            if not np.isfinite(error).all():
                worst[place] = float("inf")
    return worst
