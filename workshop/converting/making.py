"""The whole way from a trained model to a model folder; in a scratch folder until all holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from msgspec.structs import replace

from models import bundle, manifest
from runtime.child import run_check
from runtime.engines import BY_FORMAT
from wire.troubles import Refused, Unavailable
from workshop.comparing.accuracy import accuracy_of
from workshop.converting import Converted, Judged, Wanted
from workshop.converting.checking import check
from workshop.converting.describing import like_of
from workshop.converting.finishing import made_of, put, with_accuracy
from workshop.converting.floating import Floated, floated
from workshop.converting.goldens import add_goldens
from workshop.converting.lowering import Judge, Lowered, lowered, lowering_of
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.step import Progress, Tell

FEW = 20  # samples that show little of what a camera may see
METRICS = {"classify": "top1", "detect": "map50", "segment": "map50", "pose": "map50"}


def convert(wanted: Wanted, tell: Tell) -> Converted:
    """Write the model folder, or nothing. tell: hears how far it is.

    Raises Refused for what is bad, with a way out, and Unavailable for what is missing here.
    """
    check(wanted)
    own = ""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="vedette-convert-") as own,
            like_of(wanted.like) as like,
        ):
            scratch = Path(own)
            (scratch / "float32").mkdir()
            start = floated(wanted, like, scratch / "float32", tell)
            return _lowered_and_put(wanted, start, scratch, tell)
    except (Refused, Unavailable) as trouble:
        raise type(trouble)(_in_their_words(str(trouble), own, wanted)) from None
    except OSError as error:  # a full disk, mostly; what was begun is gone by now
        place = error.filename or "the temporary folder"
        raise Unavailable(f"{place}: {error.strerror}: make room, or set TMPDIR") from error


def _in_their_words(told: str, scratch: str, wanted: Wanted) -> str:
    """A trouble without places that the user never saw."""
    if not scratch:
        return told
    for folder in ("float32", "lowered"):
        told = told.replace(f"{scratch}/{folder}/", "")
    if wanted.labels is not None:
        told = told.replace("labels.txt", wanted.labels)
    return told.replace(scratch, "the temporary folder")


def _lowered_and_put(wanted: Wanted, start: Floated, scratch: Path, tell: Tell) -> Converted:
    # ranges are learnt of pictures, whatever is in them
    calibration = _samples(wanted, wanted.calibrate, (), wanted.calibrate_count)
    data = _samples(wanted, wanted.data, start.labels, wanted.data_count)
    used = [each for each in (calibration, data) if each is not None]
    agreement = start.training.check(start.manifest, used[0] if used else None, tell)
    if wanted.keep_within is not None and (data is None or data.truth == "none"):
        raise Refused(
            f"{wanted.data}: tells no truth to keep within: give a folder per class, COCO or YOLO "
            "labels, a table with a column of classes, or a synthetic:// camera"
        )
    judge = _judge(data, tell)
    float_value = None if judge is None else judge(start.folder, "float32")
    job = lowering_of(wanted, start, calibration, scratch, tell)
    low = Lowered(start.folder) if job is None else lowered(job, judge, float_value, data)
    whole = replace(manifest.load(low.folder), made=made_of(wanted, start, low, used))
    judged = None
    if judge is not None and data is not None and float_value is not None:
        value = float_value
        if job is not None:
            value = low.mixed.score if low.mixed else judge(low.folder, wanted.precision)
        judged = Judged(METRICS[whole.task], len(data), float_value, value)
        whole = with_accuracy(whole, judged, data)
    manifest.write(low.folder, whole)
    why_none = add_goldens(low.folder, used[0] if used else None, wanted.golden, tell)
    tell(Progress("tries the model"))
    report = run_check(low.folder, BY_FORMAT[wanted.to])
    digest = bundle.folder_digest(low.folder)
    put(low.folder, Path(wanted.out), wanted.replacing)
    return Converted(
        wanted.out, digest, whole.file, wanted.precision, start.difference,
        (low.folder / whole.file).stat().st_size, start.file.stat().st_size, report.inference_us,
        report.golden, low.layers, low.mixed, judged, agreement, start.guesses,
        (*low.notes, *_few(calibration), *(note for each in used for note in each.left_out),
         *([] if why_none is None else [why_none])),
    )  # fmt: skip


def _few(calibration: Samples | None) -> tuple[str, ...]:
    if calibration is None or len(calibration) >= FEW:
        return ()
    return (
        f"calibrated on {len(calibration)} samples: their ranges are a guess, give 100 or more",
    )


def _samples(
    wanted: Wanted, words: str | None, labels: tuple[str, ...], count: int | None
) -> Samples | None:
    return None if words is None else open_samples(words, labels, count, wanted.seed)


def _judge(data: Samples | None, tell: Tell) -> Judge | None:
    if data is None or data.truth == "none":
        return None
    total = len(data)

    def judge(folder: Path, name: str) -> float:
        return accuracy_of(folder, data, heard=lambda n: tell(Progress(f"judges {name}", n, total)))

    return judge
