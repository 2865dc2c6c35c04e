"""The figures of each model by name: what --fail-if speaks of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runtime.panel import Spread
from workshop.comparing.accuracy import OfClass
from workshop.comparing.fail_if import Figure, Figures
from workshop.comparing.results import Compared, Comparison, OnDevice

NAMES = {
    "accuracy": "top1 of a classifier, map50 of a detector, 0 to 1",
    "top1": "share of samples whose best class is right",
    "top5": "share of samples whose class is among the best five",
    "map50": "mean average precision at IoU 0.5",
    "map50_95": "the same, mean over IoU 0.5 to 0.95",
    "recall": 'of a class, as recall["cat"]: share of its truths that was found',
    "precision": "of a class: share of what was found that is right",
    "ap50": "of a class: average precision at IoU 0.5",
    "agreement": "with the reference: how often both say the same, 0 to 1",
    "lost": "samples that the reference has right and this one wrong",
    "gained": "the other way round",
    "chance": "how likely so large a difference is if both are equally right",
    "p50_ms": "median time for a frame in hand",
    "p95_ms": "what 95 % of frames stay under",
    "p99_ms": "what 99 % of frames stay under",
    "preprocess_p50_ms": "of it: preparing the picture",
    "inference_p50_ms": "of it: the engine",
    "inference_p95_ms": "of it: the engine, 95 %",
    "postprocess_p50_ms": "of it: decoding",
    "memory_mib": "most resident memory of a process that runs it",
    "size_bytes": "of the model file",
    "size_mb": "of the model file",
    "worst_layer_db": "signal to noise of its worst layer beside the reference",
    "device_p50_ms": 'on a device, as device_p50_ms["door"]: sensor to result',
    "device_p95_ms": "on a device, 95 %",
    "device_inference_p50_ms": "on a device: the engine",
    "device_fps": "on a device: results per second",
}
OF_CLASS = ("recall", "precision", "ap50")
OF_DEVICE = tuple(name for name in NAMES if name.startswith("device_"))


def figures_of(comparison: Comparison) -> dict[str, Figures]:
    """By name of each model, all of NAMES; None where there is no such figure."""
    return {
        row.name: _accuracy(row)
        | _beside(row, comparison.reference)
        | _costs(row)
        | _on_devices([each for each in comparison.devices if each.of == row.name])
        for row in comparison.models
    }


def _accuracy(row: Compared) -> dict[str, Figure]:
    judged = row.accuracy
    if judged is None:
        return {}

    def by_class(pick: Callable[[OfClass], float | None]) -> Mapping[str, float | None]:
        return {each.label: pick(each) for each in judged.classes}

    return {
        "accuracy": judged.value,
        "top1": judged.top1,
        "top5": judged.top5,
        "map50": judged.map50,
        "map50_95": judged.map50_95,
        "recall": by_class(lambda each: each.recall),
        "precision": by_class(lambda each: each.precision),
        "ap50": by_class(lambda each: each.ap50),
    }


def _beside(row: Compared, reference: str) -> dict[str, Figure]:
    changed = row.changed
    layers = () if row.layers is None else row.layers.layers
    noises = [each.sqnr_db for each in layers if each.sqnr_db is not None]
    return {
        "agreement": row.agreement.get(reference),
        "lost": None if changed is None else changed.lost,
        "gained": None if changed is None else changed.gained,
        "chance": None if changed is None else changed.chance,
        "worst_layer_db": min(noises, default=None),
    }


def _costs(row: Compared) -> dict[str, Figure]:
    size = row.size_bytes or None
    found: dict[str, Figure] = {
        "size_bytes": size,
        "size_mb": None if size is None else size / 1e6,
        "memory_mib": None if row.memory is None else row.memory.peak_mib,
    }
    if row.latency is not None:
        whole, engine = row.latency.end_to_end_us, row.latency.inference_us
        found |= {
            "p50_ms": whole.p50 / 1e3,
            "p95_ms": whole.p95 / 1e3,
            "p99_ms": whole.p99 / 1e3,
            "preprocess_p50_ms": row.latency.preprocess_us.p50 / 1e3,
            "inference_p50_ms": engine.p50 / 1e3,
            "inference_p95_ms": engine.p95 / 1e3,
            "postprocess_p50_ms": row.latency.postprocess_us.p50 / 1e3,
        }
    return found


def _on_devices(benches: list[OnDevice]) -> dict[str, Figure]:
    def by_device(pick: Callable[[OnDevice], float | None]) -> Mapping[str, float | None]:
        return {_name(each): pick(each) for each in benches}

    return {
        "device_p50_ms": by_device(lambda each: _ms(each.end_to_end_us, "p50")),
        "device_p95_ms": by_device(lambda each: _ms(each.end_to_end_us, "p95")),
        "device_inference_p50_ms": by_device(lambda each: _ms(each.inference_us, "p50")),
        "device_fps": by_device(lambda each: each.fps),
    }


def _name(bench: OnDevice) -> str:
    return bench.device if bench.pipeline is None else f"{bench.device}/{bench.pipeline}"


def _ms(spread: Spread | None, which: str) -> float | None:
    if spread is None:
        return None
    microseconds: float = getattr(spread, which)
    return microseconds / 1e3
