"""Files written by earlier versions decode for ever, to the pictures that they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from PIL import Image

import diffc
from diffc.codecs.relay.bitstream import RelayParameters
from diffc.codecs.relay.decoder import enlarged_base
from diffc.container.reader import open_body, parse_header

# of a model that was replaced before the first release: their base pictures are what was coded
BASES = sorted((DATA / "frozen" / "container1-relay1").glob("*.diffc"))
FROZEN = sorted(set((DATA / "frozen").glob("*/*.diffc")) - set(BASES))


def test_there_are_frozen_files_of_the_present_version() -> None:
    for codec in ("cod1", "ddcm1", "dither1", "perco1", "posterior1", "relay1-restorer"):
        assert sum(path.parent.name == f"container1-{codec}" for path in FROZEN) >= 8


def test_there_are_frozen_files_of_every_base() -> None:
    files = [path for path in FROZEN if path.parent.name.startswith("container1-relay1")]
    bases = {
        RelayParameters.unpack(parse_header(path.read_bytes()).parameters).base for path in files
    }
    assert {0, 3, 4} <= bases


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_frozen_file_decodes(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    info = diffc.info(path)
    assert list(info.size) == expected["size"]
    assert (info.mode, info.codec) == (expected["mode"], expected["codec"])
    assert (info.bitstream_version, info.model) == (expected["version"], expected["model"])
    assert info.metadata_bytes == expected["metadata"]
    # one evaluation after the coded steps, or none: what is rendered beyond the file may change
    with (
        diffc.decoding(steps=1, realism=0),
        Image.open(path) as decoded,
        Image.open(path.with_suffix(".png")) as picture,
    ):
        decoded.load()
        assert decoded.mode == picture.mode
        found, wanted = (np.asarray(each, dtype=np.int16) for each in (decoded, picture))
    # rounding of floating-point sums differs between machines; what was coded does not
    assert np.abs(found - wanted).max() <= 2
    if decoded.mode.endswith("A"):
        assert np.array_equal(found[..., -1], wanted[..., -1])


@pytest.mark.parametrize("path", BASES, ids=lambda path: path.stem)
def test_a_frozen_base_picture_decodes(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    info = diffc.info(path)
    assert (list(info.size), info.mode) == (expected["size"], expected["mode"])
    assert (info.bitstream_version, info.model) == (expected["version"], expected["model"])
    data = path.read_bytes()
    header = parse_header(data)
    parameters = RelayParameters.unpack(header.parameters)
    payload = open_body(header, data[header.header_length :]).payload
    base = np.asarray(enlarged_base(payload, header.size, parameters))
    with Image.open(path.with_suffix(".png")) as picture:
        wanted = np.asarray(picture.convert("L" if parameters.grey else "RGB"))
    assert np.array_equal(base, wanted)
    with pytest.raises(OSError, match=rf"fingerprint {info.model}"):
        diffc.decode(data)
