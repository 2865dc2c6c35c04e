"""Rows of numbers: how tables and messages are read, what becomes of them, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.row import Row
from runtime.cameras import Ended, make_camera, open_camera
from runtime.cameras.rows import Rows
from runtime.frames import ROW, Aim, Frame, Layout, packed, row_layout
from runtime.prepare_row import aim_of_row, make_row_prepare
from runtime.rows import names_and_rows, number, picker, read_message
from wire.troubles import Refused

ABC = Aim(3, 1, cover=False, columns=("a", "b", "c"))
ANY_THREE = Aim(3, 1, cover=False, columns=())


def table(folder: Path, text: str) -> str:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return f"rows://{folder}/t.csv"


def numbers(uri: str, aim: Aim | None, count: int) -> list[list[float]]:
    """So many rows of a camera."""
    rows = []
    with open_camera(uri, aim) as camera:
        for _ in range(count):
            frame = camera.read(1.0)
            assert frame is not None
            with frame:
                rows.append(frame.pixels.view(np.float32)[0].tolist())
    return rows


def refused(uri: str, aim: Aim | None = None) -> str:
    with pytest.raises(Refused) as caught:
        numbers(uri, aim, 1)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- cells and messages ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "meant"),
    [("1.5", 1.5), (" -2e3 ", -2000), (7, 7), (True, 1), (0.25, 0.25), ("1e-40", 1e-40)],
)
def test_a_cell_is_a_number(cell: Any, meant: float) -> None:
    assert number(cell) == meant


@pytest.mark.parametrize("cell", [None, "", "  ", "NaN", "na", "null", math.nan])
def test_a_cell_may_be_missing(cell: Any) -> None:
    assert math.isnan(number(cell))


@pytest.mark.parametrize(
    "cell", ["x", "1,5", "inf", "-inf", "1e39", "1_000", 10**400, [1], {"a": 1}, "0x10"]
)
def test_what_is_no_number_is_said(cell: Any) -> None:
    with pytest.raises(ValueError, match="no number"):
        number(cell)


@pytest.mark.parametrize(("cell", "hint"), [("5,1", "write 5.1"), (" -3,25 ", "write -3.25")])
def test_a_decimal_comma_is_told_how_to_write_it(cell: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"no number that float32 can hold: {hint}$"):
        number(cell)
    with pytest.raises(ValueError, match=r"can hold$"):
        number("1,2,3")


@pytest.mark.parametrize(
    ("payload", "row"),
    [
        (b'{"b": 2, "a": 1.5, "who": "press 3"}', {"b": 2, "a": 1.5, "who": "press 3"}),
        (b" [1, null, true]", [1, None, True]),
        (b"1;2,5;3;", ["1", "2,5", "3", ""]),
        (b"1,2.5,-3\n", ["1", "2.5", "-3"]),
    ],
)
def test_a_message_is_an_object_an_array_or_a_line(payload: bytes, row: Any) -> None:
    assert read_message(payload) == row


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b"{", b'{"a": 1} x', b"[" * 100_000, b"\xff\xfe", b'"x\n', b"1,2\n3,4", b"\0"],
)
def test_a_message_that_is_no_row_is_refused(payload: bytes) -> None:
    try:
        cells = read_message(payload)
        picker((), (), 2, list(cells)).into(list(cells), np.empty(2, np.float32))
    except Refused as trouble:
        assert "\n" not in str(trouble)
    else:
        pytest.fail("it was taken")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.binary(max_size=80) | JSON.map(json.dumps).map(str.encode))
def test_whatever_a_stranger_sends_is_a_row_or_refused(payload: bytes) -> None:
    out = np.zeros(2, np.float32)
    try:
        row = read_message(payload)
        names = tuple(row) if isinstance(row, dict) else ()
        cells = list(row.values()) if isinstance(row, dict) else list(row)
        picker(names, ("a", "b"), 2, cells).into(cells, out)
    except Refused as trouble:
        assert "\n" not in str(trouble)
    else:
        assert (np.isfinite(out) | np.isnan(out)).all()


def test_names_of_strangers_command_no_terminal() -> None:
    with pytest.raises(Refused) as caught:
        picker(("\x1b[2J\n", "x" * 500), ("a",), 1, ("1", "2"))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 100


# --- which numbers -----------------------------------------------------------------------------


def test_columns_are_found_by_their_names() -> None:
    out = np.zeros(2, np.float32)
    found = picker(("x", "b", "a"), ("a", "b"), 2, ())
    found.into(["text", "2", "1"], out)
    assert out.tolist() == [1, 2]
    assert found.columns == ("a", "b")


def test_rows_without_names_are_taken_as_they_come() -> None:
    out = np.zeros(2, np.float32)
    found = picker((), ("a", "b"), 2, ["1", "2"])
    found.into(["3", "4"], out)
    assert out.tolist() == [3, 4]
    assert found.columns == ("a", "b")


def test_without_a_model_all_that_are_numbers_are_taken() -> None:
    assert picker(("a", "kind", "b"), (), None, ["1", "x", "2"]).columns == ("a", "b")


@pytest.mark.parametrize(
    ("names", "wanted", "count", "row", "why"),
    [
        (("a", "b"), ("a", "c"), 2, ["1", "2"], "c is missing: there are a, b"),
        (("a", "b"), (), 3, ["1", "2"], "2 values in a row, and 3 numbers are taken"),
        ((), (), 3, ["1", "2"], "2 values in a row, and 3 numbers are taken"),
        ((), ("a", "b"), 2, ["1", "2", "3"], "3 values in a row, and 2 numbers are taken"),
        (("a",), (), None, ["x"], "0 numbers in a row"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    names: tuple[str, ...], wanted: tuple[str, ...], count: int | None, row: list[str], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        picker(names, wanted, count, row)


# --- tables ------------------------------------------------------------------------------------


def test_a_table_with_names_gives_the_models_columns(tmp_path: Path) -> None:
    uri = table(tmp_path, "c,kind,a,b\n3,x,1,2\n\n6,y,4,5\n")
    assert numbers(uri, ABC, 2) == [[1, 2, 3], [4, 5, 6]]
    with open_camera(uri, ABC) as camera:
        assert camera.layout == row_layout(3, ("a", "b", "c"))
        for _ in range(2):
            frame = camera.read(1.0)
            assert frame is not None
            frame.release()
        with pytest.raises(Ended):
            camera.read(1.0)


@pytest.mark.parametrize("text", ["1;2;3\n4;5;6\n", "1\t2\t3\n4\t5\t6", "\ufeff1,2,3\r\n4,5,6\r\n"])
def test_a_table_without_names_is_taken_as_it_comes(tmp_path: Path, text: str) -> None:
    uri = table(tmp_path, text)
    assert numbers(uri, ABC, 2) == numbers(uri, ANY_THREE, 2) == [[1, 2, 3], [4, 5, 6]]
    assert numbers(f"{uri}?columns=c,a,b", ABC, 1) == [[2, 3, 1]]


def test_the_uri_says_which_columns_a_model_without_names_takes(tmp_path: Path) -> None:
    uri = table(tmp_path, "id,a,b,c\n9,1,2,3\n")
    assert numbers(f"{uri}?columns=a,b,c", ANY_THREE, 1) == [[1, 2, 3]]
    assert "say which" in refused(uri, ANY_THREE)


def test_a_table_may_go_round(tmp_path: Path) -> None:
    uri = table(tmp_path, "a,b,c\n1,2,3\n4,5,6\n")
    assert [row[0] for row in numbers(f"{uri}?loop=yes", ABC, 5)] == [1, 4, 1, 4, 1]


def test_a_broken_row_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = table(tmp_path, "a,b,c\n1,2,3\n4,oops,6\n7,8\n10,11,12\n")
    with open_camera(uri, ABC) as camera:
        found = []
        for _ in range(2):
            frame = camera.read(1.0)
            assert frame is not None
            with frame:
                found.append((frame.seq, frame.pixels.view(np.float32)[0, 0]))
        assert found == [(0, 1), (3, 10)]
        assert camera.losses.decode == 2
    assert caplog.text.count("row 2 is left out: column b: 'oops' is no number") == 1
    assert "row 3" not in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b,c\n7,8\n", "2 values, where 3 are expected"),
        ("a,b,c\n7,1e400,9\n", "column b: '1e400' is no number"),
        ("1,2\n", "t.csv: 2 values in a row, and 3 numbers are taken"),
    ],
)
def test_a_broken_first_row_is_left_out_and_counted_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    uri = table(tmp_path, text + "x,x,x\n1,2,3\n4,5,6\n")
    found = []
    with open_camera(uri, ABC) as camera:
        for _ in range(2):
            frame = camera.read(1.0)
            assert frame is not None
            with frame:
                found.append((frame.seq, *frame.pixels.view(np.float32)[0].tolist()))
        assert camera.losses.decode == 2
        with pytest.raises(Ended):
            camera.read(1.0)
    assert found == [(2, 1, 2, 3), (3, 4, 5, 6)]
    assert caplog.text.count("left out") == 1 and "t.csv: row 1 is left out: " in caplog.text
    assert why in refused(table(tmp_path, text), ABC), "not one can be read"


def test_a_table_of_which_no_row_can_be_read_says_what_is_wrong_with_the_first(
    tmp_path: Path,
) -> None:
    uri = table(tmp_path, "a,b,c\n1,2\n" + "x,y,z\n" * 5)
    assert refused(uri, ABC) == f"{uri}: row 1: 2 values, where 3 are expected"


def test_names_that_the_model_does_not_have_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They may stand in another order than the numbers that it learnt."""
    uri = table(tmp_path, "c,b,a\n1,2,3\n4,5,6\n")
    assert numbers(f"{uri}?loop=yes", ANY_THREE, 5)[0] == [1, 2, 3]
    assert caplog.text.count("names its columns, and the model does not") == 1
    caplog.clear()
    numbers(f"{uri}?columns=a,b,c", ANY_THREE, 1)
    numbers(uri, ABC, 1)
    numbers(uri, None, 1)
    assert not caplog.text


def test_a_table_of_broken_rows_does_not_hold_the_loop(tmp_path: Path) -> None:
    uri = table(tmp_path, "a,b,c\n1,2,3\n" + "x,x,x\n" * 20 + "y\n" * 20)
    with open_camera(f"{uri}?loop=yes", ABC) as camera:
        camera.read(0.0)
        (tmp_path / "t.csv").write_text("a,b,c\nx,y,z\n")
        assert camera.read(0.05) is None


def test_a_new_model_takes_its_own_columns(tmp_path: Path) -> None:
    uri = table(tmp_path, "a,b,c\n1,2,3\n4,5,6\n")
    with open_camera(uri, ABC) as camera:
        frame = camera.read(1.0)
        assert frame is not None
        camera.aim = Aim(1, 1, cover=False, columns=("c",))
        later = camera.read(1.0)
        assert later is not None
        assert later.pixels.view(np.float32).tolist() == [[6]]
        assert frame.pixels.view(np.float32).tolist() == [[1, 2, 3]]
        for each in (frame, later):
            each.release()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("a,b,c\n", "no rows below"),
        ("a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("a,b,x\n1,2,3\n", "c is missing: there are a, b, x"),
        ("a,b,c\n1,?,3\n", "column b: '\\?' is no number"),
        ("a,b,c\n" + '"' + "x" * 200_000, "no table that can be read"),
    ],
)
def test_a_table_that_fits_no_model_is_refused(tmp_path: Path, text: str, why: str) -> None:
    uri = table(tmp_path, text)
    with pytest.raises(Refused, match=why):
        numbers(uri, ABC, 1)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "UTF-8" in refused(f"rows://{tmp_path}/x", ABC)
    assert "No such file" in refused(f"rows://{tmp_path}/none.csv")
    assert "names no file" in refused("rows://")


@pytest.mark.parametrize(
    "uri",
    [
        "rows://t.csv?rate=0", "rows://t.csv?rate=x", "rows://t.csv?loop=maybe",
        "rows://t.csv?columns=a,,b", "rows://t.csv?columns=a,a", "rows://t.csv?pace=3",
        "rows+synthetic://0", "rows+synthetic://5000", "rows+synthetic://4@0",
        "rows+synthetic://x",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_meant_is_refused(uri: str) -> None:
    with pytest.raises(Refused):
        make_camera(uri)


def test_made_up_rows_are_the_same_for_the_same_seed() -> None:
    one, same, other = (numbers(f"rows+synthetic://3?seed={n}", None, 20) for n in (1, 1, 2))
    assert one == same != other
    assert -1 < float(np.mean(one)) < 1


def test_a_first_line_that_is_all_numbers_names_nothing(tmp_path: Path) -> None:
    table(tmp_path, "1,2\n3,4\n")
    names, rows = names_and_rows(tmp_path / "t.csv")
    assert (names, list(rows)) == ((), [["1", "2"], ["3", "4"]])
    assert isinstance(make_camera("rows://x"), Rows)


# --- into the tensor ---------------------------------------------------------------------------


def prepared(row: Row, values: list[float], layout: Layout | None = None) -> Any:
    out = np.zeros(row.shape, row.dtype)
    memory: Any = np.array(values, np.float32).view(np.uint8)
    with Frame(0, 0, layout or row_layout(len(values)), memory, lambda: None) as frame:
        view = make_row_prepare(row)(frame, out)
    assert (view.source_width, view.source_height) == (row.count, 1)
    return out


def test_numbers_are_scaled_by_column() -> None:
    row = Row((1, 3), "float32", mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0))
    assert prepared(row, [2, 6, 3]).tolist() == [[1, 2, 0]]
    assert prepared(Row((1, 3), "float32", mean=(1.0,)), [2, 6, 3]).tolist() == [[1, 5, 2]]
    assert prepared(Row((1, 1, 3), "float32"), [2, 6, math.nan])[0, 0, :2].tolist() == [2, 6]


def test_a_missing_number_stays_missing_where_there_is_room_for_it() -> None:
    assert math.isnan(prepared(Row((1, 2), "float32"), [1, math.nan])[0, 1])
    codes = Row((1, 2), "int8", mean=(5.0,), scale=0.5, zero_point=-3)
    assert prepared(codes, [6, math.nan]).tolist() == [[-1, -3]]


def test_quantised_numbers_are_rounded_and_stay_in_range() -> None:
    row = Row((1, 4), "int8", mean=(1.0,), std=(2.0,), scale=0.1, zero_point=10)
    values = [1.0, 1.37, 1000.0, -1000.0]
    wanted = np.clip(np.rint((np.array(values) - 1) / 2 / 0.1) + 10, -128, 127)
    assert prepared(row, values)[0].tolist() == wanted.tolist()


def test_columns_lie_anywhere_in_a_row() -> None:
    row = Row((1, 2), "float32", columns=("a", "b"), std=(1.0, 2.0))
    layout = row_layout(4, ("b", "x", "a", "y"))
    assert prepared(row, [8, 0, 3, 0], layout).tolist() == [[3, 4]]
    assert prepared(row, [3, 8], row_layout(2, ("a", "b"))).tolist() == [[3, 4]]


def test_what_is_no_such_row_is_refused() -> None:
    row = Row((1, 3), "float32", columns=("a", "b", "c"))
    for layout, values, why in (
        (packed("GREY", 12, 1), [0.0] * 3, "camera gives pictures"),
        (row_layout(2), [0.0] * 2, "this camera gives 2"),
        (row_layout(4, ("c", "b", "x", "y")), [0.0] * 4, "a: the rows have none: c, b, x, y"),
    ):
        with pytest.raises(Refused, match=why):
            prepared(row, values, layout)
    assert aim_of_row(row) == ABC
    assert row_layout(3).format == ROW
