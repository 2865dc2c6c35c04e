"""Metrics for Prometheus: the text as its own client reads it, the protobuf as its schema says."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from msgspec.structs import replace

from fleet.live.view import LiveView
from fleet.registry.words import Known
from fleet.serve.crew import PartState
from fleet.serve.metrics import protobuf, text
from fleet.serve.metrics.families import Family
from fleet.serve.metrics.gathering import each_device, whole
from fleet.serve.metrics.grown import Grown
from fleet.serve.metrics.meter import BEYOND, MOST_RELEASES, Meter
from tests.laws.sources import ROOT
from tests.telling import NOW_S, counts, presence, record, state, window
from wire.histogram import Counts

HOSTILE = 'x" \\ \n}{evil="1'
# as prometheus has it: message, field, number, type, whether it is repeated
FIELDS = descriptor_pb2.FieldDescriptorProto
SCHEMA = {
    "MetricFamily": [
        ("name", 1, FIELDS.TYPE_STRING, False), ("help", 2, FIELDS.TYPE_STRING, False),
        ("type", 3, FIELDS.TYPE_INT32, False), ("metric", 4, "Metric", True),
    ],
    "Metric": [
        ("label", 1, "LabelPair", True), ("gauge", 2, "Value", False),
        ("counter", 3, "Value", False), ("histogram", 7, "Histogram", False),
    ],
    "LabelPair": [("name", 1, FIELDS.TYPE_STRING, False), ("value", 2, FIELDS.TYPE_STRING, False)],
    "Value": [("value", 1, FIELDS.TYPE_DOUBLE, False)],
    "Histogram": [
        ("sample_count", 1, FIELDS.TYPE_UINT64, False),
        ("sample_sum", 2, FIELDS.TYPE_DOUBLE, False),
        ("schema", 5, FIELDS.TYPE_SINT32, False),
        ("zero_threshold", 6, FIELDS.TYPE_DOUBLE, False),
        ("zero_count", 7, FIELDS.TYPE_UINT64, False),
        ("positive_span", 12, "BucketSpan", True),
        ("positive_delta", 13, FIELDS.TYPE_SINT64, True),
    ],
    "BucketSpan": [
        ("offset", 1, FIELDS.TYPE_SINT32, False), ("length", 2, FIELDS.TYPE_UINT32, False),
    ],
}  # fmt: skip


def family_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", package="m", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, is_many in fields:
            added = message.field.add(name=field, number=number)
            added.label = FIELDS.LABEL_REPEATED if is_many else FIELDS.LABEL_OPTIONAL
            if isinstance(kind, str):
                added.type, added.type_name = FIELDS.TYPE_MESSAGE, f".m.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("m.MetricFamily"))


def families_in(content: bytes) -> Iterator[Message]:
    """Delimited: each after its length."""
    kind, place = family_class(), 0
    while place < len(content):
        size = shift = 0
        while True:
            byte = content[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        family = kind()
        family.ParseFromString(content[place : place + size])
        place += size
        yield family


def grown(*durations_us: float) -> Grown:
    found = Grown()
    found.add(counts(*durations_us))
    return found


def known(name: str, seq: int = 1, model: str = "digits", frames: int = 1800) -> Known:
    one = replace(window(frames), model=model)
    return Known(
        name, NOW_S, NOW_S, NOW_S, presence(True), state(), record(seq, {"door": one}), NOW_S
    )


def sight_of(*devices: Known) -> LiveView:
    view = LiveView()
    view.take(devices, NOW_S)
    return view


def exposed(view: LiveView, meter: Meter) -> list[Family]:
    states = (PartState("depot", "working", "", 1.0), PartState("ingest", "broken", "", 1.0))
    return whole(view.sight, states, meter) + each_device(view.sight)


def samples(text_: bytes) -> dict[str, float]:
    """By name and labels, as they stand there."""
    lines = text_.decode().splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }


def test_the_client_of_prometheus_reads_the_text() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    meter = Meter()
    meter.take({})
    meter.take({"a": known("a", model=HOSTILE)})
    content = text.exposed(exposed(sight_of(known("a"), known("b")), meter)).decode()
    found = {family.name: family for family in parser.text_string_to_metric_families(content)}
    frames = found["vedette_frames"].samples[0]
    assert frames.labels["model"] == HOSTILE
    assert frames.value == 1800
    assert {s.labels["device"] for s in found["vedette_device_up"].samples} == {"a", "b"}
    assert found["vedette_stage_duration_seconds"].type == "histogram"


def test_what_the_text_says() -> None:
    meter = Meter()
    told = samples(text.exposed(exposed(sight_of(known("a"), known("b")), meter)))
    assert told['vedette_devices{state="online"}'] == 2
    assert told['vedette_devices{state="offline"}'] == 0
    assert told['vedette_pipelines{model="digits",version="1"}'] == 2
    assert told['vedette_server_part_up{part="depot"}'] == 1
    assert told['vedette_server_part_up{part="ingest"}'] == 0
    assert told['vedette_device_frames_per_second{device="a"}'] == 30
    assert told['vedette_device_latency_seconds{device="a",percentile="50"}'] == pytest.approx(
        0.0064, rel=0.03
    )
    assert told['vedette_device_throttled{device="a"}'] == 0
    assert 0 < told['vedette_device_memory_ratio{device="a"}'] < 1


def test_classic_buckets_are_exact_and_cumulative() -> None:
    family = Family("h", "histogram", "x", histograms=(((), grown(100, 900, 5000, 6e7)),))
    told = samples(text.exposed([family]))
    bounds = [
        (float(found[1]), value)
        for name, value in told.items()
        if (found := re.fullmatch(r'h_bucket\{le="(.*)"\}', name)) is not None
    ]
    assert bounds == sorted(bounds)
    assert [value for _, value in bounds] == sorted(value for _, value in bounds)
    for bound, value in bounds:
        exact = sum(us / 1e6 <= bound for us in (100, 900, 5000, 6e7))
        assert value == exact, bound
    assert told["h_count"] == told['h_bucket{le="+Inf"}'] == 4
    assert told["h_sum"] == pytest.approx(60.006)


def test_native_histograms_are_ours() -> None:
    """Every value lies in the bucket that says so, and percentiles of them are ours."""
    chance = random.Random(7)
    durations_us = [chance.lognormvariate(8, 1.5) for _ in range(2000)] + [1.0, 2.0, 7e8]
    family = Family(
        "h", "histogram", "x", histograms=(((("stage", "queue"),), grown(*durations_us)),)
    )
    (told,) = families_in(protobuf.exposed([family]))
    histogram = told.metric[0].histogram
    assert told.metric[0].label[0].value == "queue"
    assert (histogram.sample_count, histogram.schema) == (2003, 4)
    assert histogram.sample_sum == pytest.approx(sum(durations_us) / 1e6, rel=1e-3)
    assert histogram.zero_count == 0
    buckets: dict[int, int] = {}
    index, count, deltas = 0, 0, iter(histogram.positive_delta)
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            buckets[index] = count
            index += 1
    assert next(deltas, None) is None
    assert sum(buckets.values()) == 2003
    assert all(value > 0 for value in buckets.values())
    seen, rank = 0, 0.95 * 2003
    for place, value in sorted(buckets.items()):
        seen += value
        if seen >= rank:
            upper_s = 2.0 ** (place / 16)
            break
    true_s = sorted(durations_us)[int(rank)] / 1e6
    assert upper_s / 1.05 <= true_s <= upper_s * 1.005


def test_an_empty_native_histogram_is_still_one() -> None:
    family = Family("h", "histogram", "x", histograms=(((), Grown()),))
    (told,) = families_in(protobuf.exposed([family]))
    (span,) = told.metric[0].histogram.positive_span
    assert (span.offset, span.length) == (0, 0)


def test_both_formats_say_the_same() -> None:
    meter = Meter()
    meter.take({})
    meter.take({"a": known("a")})
    view = sight_of(known("a"))
    plain = samples(text.exposed(exposed(view, meter)))
    told = list(families_in(protobuf.exposed(exposed(view, meter))))
    assert [each.name for each in told] == [each.name for each in exposed(view, meter)]
    for family in told:
        for metric in family.metric:
            labels = ",".join(f'{each.name}="{each.value}"' for each in metric.label)
            name = f"{family.name}{{{labels}}}" if labels else family.name
            if family.type == 4:
                stood = plain[f"{family.name}_count{{{labels}}}"]
                assert metric.histogram.sample_count == stood
            else:
                value = metric.counter.value if family.type == 0 else metric.gauge.value
                assert value == pytest.approx(plain[name])


def test_counters_only_grow_by_what_is_new() -> None:
    meter = Meter()
    first = {"a": known("a", 1), "b": known("b", 5)}
    meter.take(first)  # what was there before somebody asked
    assert meter.records == 0
    meter.take(first)
    meter.take(dict(first))
    assert meter.records == 0
    second = first | {"a": known("a", 2, frames=10), "c": known("c", 1, frames=3)}
    meter.take(second)
    release = meter.releases["digits", "1"]
    assert (meter.records, release.frames) == (2, 13)
    assert release.losses["skipped"] == 24
    assert release.stages["queue"].count == 6
    meter.take(second | {"a": replace(second["a"], heard_s=NOW_S + 1)})  # only presence changed
    assert meter.records == 2


def test_strangers_do_not_fill_our_memory_with_names_of_models() -> None:
    meter = Meter()
    meter.take({})
    meter.take({f"d{n}": known(f"d{n}", model=f"m{n}") for n in range(MOST_RELEASES + 50)})
    assert len(meter.releases) == MOST_RELEASES + 1
    assert meter.releases[BEYOND].frames == 50 * 1800


def test_what_is_told_is_of_one_moment() -> None:
    meter = Meter()
    meter.take({})
    meter.take({"a": known("a", 1, frames=4)})
    records, counted = meter.counted()
    meter.take({"a": known("a", 2, frames=4), "b": known("b", 1)})
    assert records == 1 and list(counted) == [("digits", "1")]
    release = counted["digits", "1"]
    assert (release.frames, release.losses["skipped"]) == (4, 12)
    assert release.stages["queue"].count == sum(release.stages["queue"].buckets) == 3


def test_a_device_that_contradicts_itself_spoils_no_histogram() -> None:
    found = Grown()
    found.add(Counts(7, 1.0, 3, (1, 2), 1.0, 2.0))
    found.add(Counts(0, 1.0, 3, (2**63 - 1,) * 3))
    assert found.count == sum(found.buckets) < 2**63


def test_counts_at_the_edges() -> None:
    found = Grown()
    found.add(Counts(2, 3e9, 479, (1, 1), 1.0, 2e9))  # one beyond what we have
    assert found.buckets[480] == 1
    assert found.below(30) == 1


def test_the_dashboard_for_grafana_asks_for_what_there_is() -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    meter = Meter()
    meter.take({})
    meter.take({"a": known("a")})
    told = samples(text.exposed(exposed(sight_of(known("a")), meter)))
    names = {name.partition("{")[0] for name in told} | {"vedette_stage_duration_seconds"}
    names |= {"vedette_devices_in_trouble", "vedette_device_trouble"}  # there is none now
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            asked |= set(re.findall(r"\bvedette_\w+", target["expr"]))
    assert len(asked) > 15
    assert asked <= names
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
