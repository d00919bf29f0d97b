"""Metadata changed in a file, and all other bytes kept."""

from __future__ import annotations

import pytest
from fuzz_container import seal

from diffc.container import build
from diffc.container.rewriting import with_metadata
from diffc.errors import FileError


def made(**metadata: bytes) -> bytes:
    return build(
        codec="example",
        bitstream_version=1,
        mode="LA",
        size=(3, 2),
        payload=b"payload",
        parameters=bytes(40),
        alpha=b"\x00\x07",
        metadata=metadata,
    )


def test_the_file_is_the_one_that_had_been_written_so() -> None:
    rich = {"exif": b"e" * 50, "icc": b"icc", "xmp": b"<x/>", "caption": b"a red door"}
    for name, data in rich.items():
        others = {other: item for other, item in rich.items() if other != name}
        assert with_metadata(made(**others), {name: data}) == made(**rich)
        assert with_metadata(made(**rich), {name: None}) == made(**others)
    assert with_metadata(made(), rich) == made(**rich)
    assert with_metadata(made(**rich), dict.fromkeys(rich)) == made()
    assert with_metadata(made(**rich), {}) == made(**rich)


def test_a_damaged_file_is_not_changed() -> None:
    data = made(xmp=b"<x/>")
    for damaged in (data[:-1], data[:-1] + b"x", data + b"x"):
        with pytest.raises(FileError):
            with_metadata(damaged, {"xmp": None})
    with pytest.raises(ValueError, match="at most 1048576 bytes"):
        with_metadata(data, {"exif": bytes((1 << 20) + 1)})


def test_chunks_that_are_unknown_stay() -> None:
    # 0x1e and 0x47 are of no kind that is known, 0x01 is exif
    fields = bytes.fromhex("d1fc0d0a 11 80 01") + b"a" + b"\1\1\0"
    for before, after in (([0x1E, 0x01], [0x1E]), ([0x1E], [0x1E])):
        made_of = {}
        for kinds in (before, after):
            table = (
                bytes([len(kinds) + 1]) + b"".join(bytes([kind, 2]) for kind in kinds) + b"\x47\4"
            )
            made_of[len(kinds)] = seal(fields + table + b"??" * len(kinds), b"body")
        assert with_metadata(made_of[len(before)], {"exif": None}) == made_of[len(after)]
