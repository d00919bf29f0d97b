"""The posterior codec: its options, candidates and parameters, and streams that never end."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from photograph import psnr
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions
from diffc.codecs.posterior.bitstream import PosteriorParameters
from diffc.codecs.posterior.codec import PosteriorCodec
from diffc.codecs.shared.models import fingerprint


@pytest.mark.parametrize("options", [{"chunk_bits": 8}, {"chunk_bits": 12}, {"steps": 7}])
def test_options_travel_with_the_file(
    photo: Image.Image, ddcm_model: str, options: dict[str, Any]
) -> None:
    data = diffc.encode(photo, backend="posterior", quality=60, model=ddcm_model, **options)
    assert psnr(photo, diffc.decode(data)) > 14


def test_gaussian_candidates_code_as_well(photo: Image.Image, ddcm_model: str) -> None:
    options = {"backend": "posterior", "target_size": 200, "chunk_bits": 8, "model": ddcm_model}
    found = {
        kind: psnr(photo, diffc.decode(diffc.encode(photo, candidates=kind, **options)))
        for kind in ("hadamard", "gaussian")
    }
    assert abs(found["hadamard"] - found["gaussian"]) < 2
    assert min(found.values()) > 13


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_parameters_come_back(seed: int) -> None:
    for kind in ("hadamard", "gaussian"):
        parameters = PosteriorParameters(30, 7, 600, 12, kind, seed)
        packed = parameters.pack()
        assert PosteriorParameters.unpack(packed) == parameters
        assert len(packed) == (9 if seed else 5)


def test_any_bytes_are_parameters_or_damage() -> None:
    chooser = random.Random(3)
    read = 0
    for _ in range(4000):
        try:
            PosteriorParameters.unpack(chooser.randbytes(chooser.choice((0, 4, 5, 6, 9, 12))))
            read += 1
        except OSError:
            pass
    assert 0 < read < 4000


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_that_never_ends_is_refused_soon(ddcm_model: str, seed: int) -> None:
    payload = random.Random(seed).randbytes(300)
    parameters = PosteriorParameters(255, 255, 0, 12, "hadamard", 0).pack()
    coded = Coded(payload, parameters, (640, 640), 1, fingerprint(Path(ddcm_model)))
    seen: list[int] = []
    options = DecodeOptions(progress=lambda step, total: seen.append(step))
    with pytest.raises(OSError, match=r"ends before|has a level up to"):
        PosteriorCodec.decode(coded, options)
    assert len(seen) <= 20


@pytest.mark.parametrize(
    "options",
    [{"steps": 0}, {"chunk_bits": 7}, {"chunk_bits": 17}, {"candidates": "x"}, {"seed": -1}],
)
def test_wrong_options_are_refused(photo: Image.Image, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        diffc.encode(photo, backend="posterior", **options)
