"""Files of one picture are written as readers expect them, and taken apart with care."""

from __future__ import annotations

import random

import pytest

from diffc.codecs.shared.base_pictures.iso_boxes import (
    StillItem,
    box,
    boxes,
    depth_property,
    extent_property,
    still_file,
    still_item,
)
from diffc.errors import FileError

PROPERTIES = [(extent_property((3, 2)), False), (box(b"abcd", b"needed"), True)]
FILE = still_file((b"avif", b"mif1"), b"av01", PROPERTIES, b"coded picture")


def test_a_written_file_comes_apart() -> None:
    properties = {b"ispe": bytes(7) + b"\x03" + bytes(3) + b"\x02", b"abcd": b"needed"}
    assert still_item(FILE) == StillItem(b"av01", b"coded picture", properties)


def test_the_boxes_are_in_order() -> None:
    assert list(boxes(FILE)) == [b"ftyp", b"meta", b"mdat"]
    assert boxes(FILE)[b"ftyp"] == b"avif\x00\x00\x00\x00mif1"


def test_the_depth_is_that_of_each_channel() -> None:
    assert depth_property(3) == b"\x00\x00\x00\x10pixi\x00\x00\x00\x00\x03\x08\x08\x08"


def test_properties_say_whether_they_must_be_known() -> None:
    # one item, number 1, two properties: 1, then 2 that is essential
    assert b"\x00\x00\x00\x01\x00\x01\x02\x01\x82" in FILE


@pytest.mark.parametrize("length", range(len(FILE)))
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(FileError):
        still_item(FILE[:length])


def test_damage_raises_nothing_but_file_errors() -> None:
    source = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(FILE)
        for _ in range(source.randint(1, 3)):
            damaged[source.randrange(len(damaged))] = source.choice(
                (0, 1, 255, source.randrange(256))
            )
        try:
            item = still_item(bytes(damaged))
        except FileError:
            continue
        assert len(item.coded) <= len(FILE)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_box_without_a_plain_size_is_refused(length: int) -> None:
    with pytest.raises(FileError, match="8 bytes or more"):
        boxes(length.to_bytes(4, "big") + b"free" + bytes(8))


@pytest.mark.parametrize(
    ("whole", "changed"),
    [
        # two items; another primary item; data by construction method 1; two extents
        (b"iinf\x00\x00\x00\x00\x00\x01", b"iinf\x00\x00\x00\x00\x00\x02"),
        (b"pitm\x00\x00\x00\x00\x00\x01", b"pitm\x00\x00\x00\x00\x00\x02"),
        (b"iloc\x00", b"iloc\x01"),
        (b"\x44\x00\x00\x01\x00\x01\x00\x00\x00\x01", b"\x44\x00\x00\x01\x00\x01\x00\x00\x00\x02"),
        (b"iprp", b"free"),
    ],
)
def test_other_files_are_refused(whole: bytes, changed: bytes) -> None:
    assert FILE.count(whole) == 1
    with pytest.raises(FileError, match="still picture"):
        still_item(FILE.replace(whole, changed))
