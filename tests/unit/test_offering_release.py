"""What bundles become in a release: variants, contradictions, and the files of an offer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fleet.offering.desk import in_order
from fleet.offering.files import Offered, OfferFile, in_memory
from fleet.offering.release import block_digests, candidate_files, new_parcels, read_parcels
from models import bundle
from tests.yard import digits, digits_folder, rewrite
from wire.block.blocks import BLOCK
from wire.offers import offered_key
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Bundle


def for_boards(folder: Path, *boards: str, name: str = "boards") -> Path:
    """A bundle for these boards only."""
    made = digits_folder(folder / name, "1")
    listed = ", ".join(f'"{board}"' for board in boards)
    rewrite(made, "schema = 1\n", f"schema = 1\nboards = [{listed}]\n")
    packed = folder / f"{name}.zip"
    bundle.pack(made, packed)
    return packed


def released(file: Path) -> Bundle:
    """The same bundle as the signed metadata names it."""
    (parcel,) = read_parcels([file]).parcels
    return Bundle(parcel.path, parcel.digest, parcel.size, parcel.variant)


def test_variants_of_a_version_have_places_of_their_own(tmp_path: Path) -> None:
    files = [
        digits(tmp_path, "1"),
        digits(tmp_path, "1", "onnx"),
        for_boards(tmp_path, "raspberry", "jetson"),
    ]
    parcels = read_parcels([*files, files[0]])
    assert parcels.words == "digits 1"
    assert [parcel.path for parcel in parcels.parcels] == [
        "models/digits/1/tflite.zip",
        "models/digits/1/onnx.zip",
        "models/digits/1/tflite-jetson-raspberry.zip",
    ]
    assert parcels.parcels[2].variant.boards == ("raspberry", "jetson")
    content = files[0].read_bytes()
    first = parcels.parcels[0]
    assert (first.digest, first.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_many_boards_do_not_make_a_long_name(tmp_path: Path) -> None:
    (parcel,) = read_parcels([for_boards(tmp_path, *(f"b{n:0>60}" for n in range(12)))]).parcels
    assert len(parcel.path) < 64


def test_one_version_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"is digits 2 and .* is digits 1: push one version"):
        read_parcels([digits(tmp_path, "1"), digits(tmp_path, "2")])


def test_two_bundles_for_the_same_devices_are_refused(tmp_path: Path) -> None:
    other = digits_folder(tmp_path / "other", "1")
    rewrite(other, "top_k = 3", "top_k = 4")
    bundle.pack(other, tmp_path / "other.zip")
    with pytest.raises(Refused, match="both for tflite on any board: a device could not choose"):
        read_parcels([digits(tmp_path, "1"), tmp_path / "other.zip"])


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(Refused, match=r"x\.zip"):
        read_parcels([tmp_path / "x.zip"])
    with pytest.raises(Refused, match=r"none\.zip"):
        read_parcels([tmp_path / "none.zip"])


def test_the_same_bytes_are_no_news_and_others_are_another_version(tmp_path: Path) -> None:
    first, second = digits(tmp_path, "1"), digits(tmp_path, "1", "onnx")
    both = read_parcels([first, second])
    assert [p.variant.format for p in new_parcels(both, [released(first)])] == ["onnx"]
    assert new_parcels(both, [released(second), released(first)]) == ()
    changed = Bundle("models/digits/1/tflite.zip", "0" * 64, 1, released(first).variant)
    with pytest.raises(Refused, match="digits 1 exists with other bytes: give this one another"):
        new_parcels(both, [changed])


def test_the_same_bytes_under_another_name_are_no_news(tmp_path: Path) -> None:
    file = digits(tmp_path, "1")
    known = released(file)
    elsewhere = Bundle("models/digits/1/lite.zip", known.digest, known.size, known.variant)
    assert new_parcels(read_parcels([file]), [elsewhere]) == ()


def test_block_digests_are_of_each_block(tmp_path: Path) -> None:
    content = bytes(range(256)) * 200
    (tmp_path / "file").write_bytes(content)
    wanted = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    assert len(wanted) == 2
    assert block_digests(tmp_path / "file") == b"".join(
        hashlib.sha256(each).digest() for each in wanted
    )
    with pytest.raises(Unavailable, match="cannot be read"):
        block_digests(tmp_path / "gone")


def test_the_files_of_an_offer_are_had_by_its_own_keys_only(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"content")
    on_disk = OfferFile("targets/x.zip", hashlib.sha256(b"content").hexdigest(), 7,
                        tmp_path / "bundle")  # fmt: skip
    files = Offered("id-1", [in_memory("metadata/2.targets.json", b"{}"), on_disk])
    assert [(one.path, one.size) for one in files.offered] == [
        ("metadata/2.targets.json", 2), ("targets/x.zip", 7),
    ]  # fmt: skip
    for path, content in (("metadata/2.targets.json", b"{}"), ("targets/x.zip", b"content")):
        with files.open(offered_key("id-1", path)) as file:  # type: ignore[union-attr]
            assert file.read() == content
    assert files.open(offered_key("id-2", "targets/x.zip")) is None
    (tmp_path / "bundle").unlink()
    assert files.open(offered_key("id-1", "targets/x.zip")) is None, "it went away"


def test_a_candidate_is_a_bundle_and_its_blocks(tmp_path: Path) -> None:
    (parcel,) = read_parcels([digits(tmp_path, "1")]).parcels
    whole, blocks = candidate_files(parcel)
    assert whole.path == f"candidates/{parcel.digest}.zip"
    assert blocks.path == f"candidates/{parcel.digest}.blocks"
    assert blocks.source == block_digests(parcel.file)


def test_versions_are_in_the_order_in_which_people_count() -> None:
    told = ["10", "9", "1.10", "1.9", "1", "2-rc1", "2", "b", "a2", "a10"]
    assert in_order(told) == ("1", "1.9", "1.10", "2", "2-rc1", "9", "10", "a2", "a10", "b")
