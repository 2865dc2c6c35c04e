"""A manifest says what is wrong with file, line, key and a hint; what is written reads back."""

from __future__ import annotations

import contextlib
import string
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from models import manifest
from models.toml_layout import compact
from tests.model_folder import MANIFEST
from wire.toml_lines import lines_of
from wire.troubles import Refused
from wire.typed_toml import tables_of


def refused(text: str) -> str:
    with pytest.raises(Refused) as caught:
        manifest.parse(text, "m.toml")
    message = str(caught.value)
    assert message.isprintable(), "one line, and nothing that a terminal would act on"
    return message


def changed(old: str, new: str) -> str:
    assert old in MANIFEST
    return MANIFEST.replace(old, new, 1)


TROUBLES = {
    "a typo": ("width = 28", "widht = 28", "m.toml:14: input.widht: .*did you mean width\\?"),
    "a typo at the top": ("labels =", "lables =", "m.toml:7: lables: .*did you mean labels\\?"),
    "a typo in an inline table": (
        'answer = "b',
        'anwser = "b',
        "m.toml:10: golden\\[1\\].anwser: .*did you mean answer\\?",
    ),
    "a key that is missing": ("width = 28\n", "", "m.toml:13: input.width: missing"),
    "a table that is missing": ("[input]", "[limits]", "m.toml.*(input: missing|width)"),
    "a wrong type": ("width = 28", 'width = "28"', "m.toml:14: input.width: expected whole number"),
    "a truth for a number": ("width = 28", "width = true", "m.toml:14: input.width"),
    "a number too small": ("width = 28", "width = 0", "m.toml:14: input.width: .*>= 1"),
    "a number too large": ("width = 28", "width = 99999", "m.toml:14: input.width: .*<= 8192"),
    "an impossible value": ('"rgb"', '"rbg"', "m.toml:16: input.colour: 'rbg'.*did you mean rgb"),
    "a newer schema": ("schema = 1", "schema = 2", "m.toml:1: schema: 2 is not possible"),
    "not TOML": ("[input]", "[input", "m.toml:13: not valid TOML"),
    "a path for a file": ("m.tflite", "../m.tflite", "m.toml:6: file: .*plain name"),
    "a hidden file": ("m.tflite", ".m.tflite", "m.toml:6: file: .*plain name"),
    "a line break in a name": ('"digits"', '"digits\\n"', "m.toml:2: name: expected 1 to 64"),
    "a head of another task": ('"logits"', '"ssd"', "m.toml:22: decoding.head: .*logits"),
    "no head": ('[decoding]\nhead = "logits"', "", "decoding.head: .*probabilities or logits"),
    "two means for three colours": ("[0, 1, 2]", "[0, 1]", "m.toml:19: input.mean: .*1 or 3"),
    "not a number": ("[0, 1, 2]", "[0, 1, nan]", "m.toml:19: input.mean\\[2\\]: nan"),
    "an infinite scale": (
        "mean =",
        "zero_point = 1\nscale = inf\nmean =",
        "m.toml:20: input.scale",
    ),
    "a deviation of zero": ("mean =", "std = 0.0\nmean =", "m.toml:19: input.std"),
    "a zero point alone": ("mean =", "zero_point = 1\nmean =", "input.zero_point: needs scale"),
    "a scale alone": ("mean =", "scale = 0.5\nmean =", "m.toml:19: input.scale: needs zero_point"),
    "a zero point beyond int8": (
        "mean =",
        "scale = 0.5\nzero_point = 128\nmean =",
        "m.toml:20: input.zero_point: .*-128 to 127",
    ),
    "a resize of no crop": (
        "mean =",
        "resize = 32\nmean =",
        'm.toml:19: input.resize: is of fit = "crop", and fit is "letterbox"',
    ),
    "a resize to less": (
        "mean =",
        'fit = "crop"\nresize = 27\nmean =',
        "m.toml:20: input.resize: must be from 28 to 56, of which 28 are taken",
    ),
    "a resize to far more": (
        "mean =",
        'fit = "crop"\nresize = 57\nmean =',
        "m.toml:20: input.resize: must be from 28 to 56",
    ),
    "quantised floats": (
        'dtype = "int8"',
        'dtype = "float32"\nscale = 0.5\nzero_point = 1',
        "m.toml:19: input.scale: .*not quantised",
    ),
    "the wrong ending": ("m.tflite", "m.onnx", "m.toml:6: file: 'm.onnx' should end with .tflite"),
    "golden samples that meet": ("b.png", "a.png", "m.toml:10: golden\\[1\\].picture: .*twice"),
    "names that differ by case": ("b.png", "A.PNG", "m.toml:10: golden\\[1\\].picture: .*twice"),
    "four outputs are read, one is there": (
        'head = "logits"',
        'head = "logits"\n[[outputs]]\nname = "a"\nshape = [1]\ndtype = "int8"\n'
        '[[outputs]]\nname = "b"\nshape = [1]\ndtype = "int8"',
        "m.toml:23: outputs: 2 outputs, but head 'logits' reads 1",
    ),
    "an output's zero point": (
        'head = "logits"',
        'head = "logits"\n[[outputs]]\nname = "a"\nshape = [1]\ndtype = "uint8"\nscale = 1\n'
        "zero_point = -1",
        "m.toml:28: outputs\\[0\\].zero_point: .*0 to 255",
    ),
    "an escape in a key": ("mean =", '"\\u001b[2J" = 1\nmean =', "m.toml:19: input"),
    "an escape in a value": (
        '"rgb"',
        '"\\u001b[2J"',
        "m.toml:16: input.colour: .* is not possible",
    ),
    "a line break in a value": ('"rgb"', '"rgb\\n"', "m.toml:16: input.colour: .*did you mean rgb"),
    "a message in a key": ("mean =", '"x` - at `$.name`" = 1\nmean =', "m.toml:.*no such key"),
    "a nest of arrays": ("mean =", "mean = " + "[" * 900 + "\nx =", "m.toml.*not a sensible|not v"),
    "a number of 900 digits": ("width = 28", "width = " + "1" * 900, "m.toml:14: input.width"),
    "a key of 900 parts": ("mean =", "a." * 600 + "b = 1\nmean =", "m.toml:19: longer than 1000"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_said_with_its_line_its_key_and_a_hint(name: str) -> None:
    old, new, pattern = TROUBLES[name]
    with pytest.raises(Refused, match=pattern):
        manifest.parse(changed(old, new), "m.toml")
    refused(changed(old, new))


def test_the_example_is_a_manifest() -> None:
    parsed = manifest.parse(MANIFEST, "m.toml")
    assert parsed.input.mean == (0.0, 1.0, 2.0)
    assert parsed.files == (
        "manifest.toml", "a.json", "a.png", "b.json", "b.png", "labels.txt", "m.tflite",
    )  # fmt: skip


def test_what_is_written_is_readable_and_reads_back(tmp_path: Path) -> None:
    parsed = manifest.parse(MANIFEST, "m.toml")
    manifest.write(tmp_path, parsed)
    assert manifest.load(tmp_path) == parsed
    text = (tmp_path / "manifest.toml").read_text()
    assert text.startswith('schema = 1\nname = "digits"\nversion = "7"\n')
    assert "mean = [0.0, 1.0, 2.0]\n" in text
    assert "padding" not in text, "defaults are left out"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.toml"]


def test_what_was_guessed_stands_above_as_comments(tmp_path: Path) -> None:
    parsed = manifest.parse(MANIFEST, "m.toml")
    manifest.write(tmp_path, parsed, ["guessed:", "- a line\nschema = 9 \x00"])
    text = (tmp_path / "manifest.toml").read_text()
    assert text.startswith("# guessed:\n# - a line\\nschema = 9 \\x00\nschema = 1\n")
    assert manifest.load(tmp_path) == parsed


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ([], 1),
        ([[0, 1]], 1),
        ([[k, k + 1] for k in range(19)], 5),  # a skeleton: 78 lines, one number a line
        ([f"point {k}" for k in range(17)], 5),
        (["],", "[", "{", " = [", '"'], 1),
        ([["a" * 90, "b"]], 6),
        ([{"x": [1, 2]}], None),
        ([[], [[1, 2], [3]]], None),
    ],
)
def test_arrays_take_few_lines_and_stay_what_they_are(value: list[Any], lines: int | None) -> None:
    text = compact(tomli_w.dumps({"key": value, "then": 1}))
    assert tables_of(text, "m.toml") == {"key": value, "then": 1}
    assert lines is None or len(text.splitlines()) == lines + 1


def test_a_manifest_that_contradicts_itself_is_not_written(tmp_path: Path) -> None:
    parsed = manifest.parse(MANIFEST, "m.toml")
    wrong = msgspec.structs.replace(parsed, task="detect")
    with pytest.raises(Refused, match=r"decoding\.head"):
        manifest.write(tmp_path, wrong)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"needs a manifest\.toml"):
        manifest.load(tmp_path)
    (tmp_path / "manifest.toml").write_bytes(b"schema = 1\nname = '\xff'")
    with pytest.raises(Refused, match=r"manifest\.toml:2: not UTF-8"):
        manifest.load(tmp_path)
    (tmp_path / "manifest.toml").write_bytes(b"# \n" * 30_000)
    with pytest.raises(Refused, match="larger than 64 KiB"):
        manifest.load(tmp_path)


def test_the_slowest_text_that_is_not_too_long_is_read_about_as_fast_as_a_plain_one() -> None:
    """Without a bound on lines, one key of 32,000 parts takes tomllib seconds."""
    plain = "".join(f"key{number} = 1\n" for number in range(5000))
    slow = "".join(f"k{number}." + "a." * 490 + "b = 1\n" for number in range(60))
    best = {}
    for name, text in (("plain", plain), ("slow", slow)):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            refused(text)
            times.append(time.perf_counter() - start)
        best[name] = min(times)
    assert best["slow"] < 50 * best["plain"]


@given(st.text(max_size=300))
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    refused(text)


@given(st.data())
def test_a_damaged_manifest_is_read_or_refused_and_nothing_else(choices: st.DataObject) -> None:
    text = MANIFEST
    for _ in range(choices.draw(st.integers(1, 4))):
        at = choices.draw(st.integers(0, len(text)))
        cut = choices.draw(st.integers(0, 12))
        text = text[:at] + choices.draw(st.text(alphabet=PIECES, max_size=6)) + text[at + cut :]
    try:
        manifest.parse(text, "m.toml")
    except Refused as refusal:
        assert str(refusal).isprintable()


PIECES = string.ascii_lowercase[:4] + string.digits + "\"'[]{}=.,#-_\n\r\t \\\x00\x1bé"
KEYS = st.text(alphabet=string.ascii_letters + " .\"'\\é\n#=[", max_size=5)
VALUES = st.recursive(
    st.integers(-9, 9) | st.text(alphabet="ab\"'\n\\#[]{}=, ", max_size=6) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.lists(st.dictionaries(KEYS, inner, min_size=1, max_size=2), max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_every_key_has_a_line(tables: dict[str, object], multiline: bool) -> None:
    text = tomli_w.dumps(tables, multiline_strings=multiline)
    lines = lines_of(text)
    assert set(lines) == set(paths_of(tables))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def test_lines_are_those_that_a_reader_would_count() -> None:
    text = (
        'a.b = 1 # x = 2\r\n"c.d" = """\ne = 5\n[f]\n"""\n\n'
        "[g . h]\ni = [ # one\n  1,\n  { j = 2 },\n]\n"
        "[[k]]\nl = 1\n[[k]]\nm = 2\n[k.n]\no = ['[p]', 1.5]"
    )
    lines = lines_of(text)
    assert lines == {
        ("a",): 1, ("a", "b"): 1, ("c.d",): 2, ("g",): 7, ("g", "h"): 7, ("g", "h", "i"): 8,
        ("g", "h", "i", 0): 9, ("g", "h", "i", 1): 10, ("g", "h", "i", 1, "j"): 10,
        ("k",): 12, ("k", 0): 12, ("k", 0, "l"): 13, ("k", 1): 14, ("k", 1, "m"): 15,
        ("k", 1, "n"): 16, ("k", 1, "n", "o"): 17, ("k", 1, "n", "o", 0): 17,
        ("k", 1, "n", "o", 1): 17,
    }  # fmt: skip


@given(st.text(alphabet=PIECES, max_size=200))
def test_lines_of_garbage_come_to_an_end(text: str) -> None:
    with contextlib.suppress(ValueError):  # a key that no parser would have accepted
        lines_of(text)


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    paths = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            paths += paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            paths += paths_of(inner, (*path, index))
    return paths
