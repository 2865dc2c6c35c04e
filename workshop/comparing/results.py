"""What a comparison comes to, as its JSON has it."""

from __future__ import annotations

from msgspec import Struct

from models.made import Made
from runtime.panel import Spread
from runtime.suite import Machine
from workshop.comparing.accuracy import Accuracy
from workshop.samples import Truth

FORM = 1  # of the JSON


class SampleSet(Struct, frozen=True):
    """What was looked at. digest: sha256 of all of it, truth included. left_out: what could not be
    used, a line each."""

    name: str
    count: int
    truth: Truth
    digest: str
    left_out: tuple[str, ...] = ()


class Changed(Struct, frozen=True):
    """Beside the reference, sample by sample: what a classifier lost (the reference is right, it is
    not) and gained. chance: how likely a difference as large is where both are equally right: the
    exact McNemar test, two-sided (McNemar 1947, Psychometrika 12). names: the first of the lost."""

    lost: int
    gained: int
    chance: float
    names: tuple[str, ...] = ()


class Latency(Struct, frozen=True):
    """Microseconds for a frame in hand, in turns with the other models. runs: frames measured."""

    runs: int
    end_to_end_us: Spread
    preprocess_us: Spread
    inference_us: Spread
    postprocess_us: Spread


class Memory(Struct, frozen=True):
    """The most that was resident in a process of the model's own, in MiB; before_mib: of it, before
    the model was opened."""

    peak_mib: float
    before_mib: float


class OnDevice(Struct, frozen=True):
    """A bench of the live loop of a pipeline on an enrolled device. trouble: why there is none.
    of: the name of the model that runs there, None where it is none of those compared."""

    device: str
    pipeline: str | None
    of: str | None = None
    model: str = ""
    engine: str = ""
    frames: int = 0
    fps: float | None = None
    inference_us: Spread | None = None
    end_to_end_us: Spread | None = None
    trouble: str | None = None


class Layer(Struct, frozen=True):
    """One tensor inside both networks. sqnr_db: 10 log10 of the reference's power over that of the
    difference; None where they are equal. cosine: of the angle between them, 1 where they agree."""

    name: str
    op: str
    shape: tuple[int, ...]
    sqnr_db: float | None
    cosine: float


class Layers(Struct, frozen=True):
    """Layer by layer beside another model, in the order in which they run. beside: its name.
    matched: how the layers of both were found to be the same. samples: that were run. unmatched:
    layers of the other without a partner. why_not: why there is nothing."""

    layers: tuple[Layer, ...] = ()
    beside: str = ""
    matched: str = ""
    samples: int = 0
    unmatched: int = 0
    why_not: str | None = None


class Compared(Struct, frozen=True):
    """One model. trouble: why it has no figures. agreement: by name of each model, how often both
    say the same, 0 to 1. low, high: 95 % confidence of top1, by Wilson's interval.

    guesses: what was inferred of a file without a manifest.
    """

    name: str
    path: str
    trouble: str | None = None
    model: str = ""
    version: str = ""
    task: str = ""
    format: str = ""
    engine: str = ""
    digest: str = ""
    size_bytes: int = 0
    made: Made | None = None
    guesses: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    low: float | None = None
    high: float | None = None
    agreement: dict[str, float] = {}
    changed: Changed | None = None
    latency: Latency | None = None
    memory: Memory | None = None
    layers: Layers | None = None
    on_front: bool = False


class Gate(Struct, frozen=True):
    """One --fail-if. figures: what was put in, in words."""

    condition: str
    fails: bool
    figures: str


class Comparison(Struct, frozen=True):
    """The whole of it. reference: the name of the model that the others are held against. gates:
    what was asked by --fail-if."""

    form: int
    machine: Machine
    threads: int
    samples: SampleSet
    reference: str
    models: tuple[Compared, ...]
    devices: tuple[OnDevice, ...] = ()
    gates: tuple[Gate, ...] = ()
