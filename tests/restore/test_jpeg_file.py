"""The coefficients of JPEG files."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from jpeg_files import KINDS, SIZE, jpeg
from photograph import drawn
from PIL import Image

from diffc.codecs.shared.base_pictures.jpeg_file import (
    dct_matrix,
    from_blocks,
    inverse,
    read_coefficients,
    read_jpeg_header,
    steps_of,
    to_blocks,
    transform,
)
from diffc.errors import FileError


def test_the_transform_keeps_lengths_and_comes_back() -> None:
    matrix = dct_matrix()
    assert matrix @ matrix.T == pytest.approx(np.eye(8), abs=1e-6)
    blocks = to_blocks(np.random.default_rng(0).uniform(0, 255, (16, 24)).astype(np.float32))
    assert inverse(transform(blocks)) == pytest.approx(blocks, abs=1e-3)
    assert np.square(transform(blocks)).sum() == pytest.approx(
        np.square(blocks - 128).sum(), rel=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quality", [5, 25, 75])
def test_coefficients_give_the_decoded_pixels(kind: str, quality: int) -> None:
    data = jpeg(quality, **KINDS[kind])
    components = read_coefficients(data, read_jpeg_header(data))
    luma = components[0]
    assert luma.certain.all()
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "RGB":
            image.draft("YCbCr", image.size)
        shown = np.asarray(image)
    pixels = from_blocks(inverse(luma.levels * luma.steps)).clip(0, 255)
    wanted = shown if shown.ndim == 2 else shown[:, :, 0]
    assert np.abs(pixels[: wanted.shape[0], : wanted.shape[1]] - wanted).max() <= 1


def test_steps_are_those_that_pillow_names() -> None:
    for kind in KINDS.values():
        data = jpeg(25, **kind)
        with Image.open(io.BytesIO(data)) as image:
            assert steps_of(data, read_jpeg_header(data)).reshape(-1).tolist() == list(
                image.quantization[0]
            )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"subsampling": 0}, "4:4:4"),
        ({"subsampling": 1}, "other"),
        ({"subsampling": 2}, "4:2:0"),
        ({"mode": "L"}, "grey"),
    ],
)
def test_sampling_is_told(options: dict[str, Any], wanted: str) -> None:
    header = read_jpeg_header(jpeg(**options))
    assert (header.subsampling, header.size) == (wanted, SIZE)


def test_cut_values_are_told_from_other_tables() -> None:
    """Of white and black bars next to each other, a decoder shows cut values everywhere."""
    bars = np.zeros((64, 64, 3), np.uint8)
    bars[:, ::3] = 255
    buffer = io.BytesIO()
    Image.fromarray(bars).save(buffer, "JPEG", quality=30)
    data = buffer.getvalue()
    (luma, *_) = read_coefficients(data, read_jpeg_header(data))
    assert luma.certain.mean() > 0.9
    # an encoder's own answer, from pixels that were not cut yet
    exact = transform(to_blocks(bars[:, :, 0].astype(np.float32))) / luma.steps
    assert np.abs(luma.levels[luma.certain] - exact[luma.certain]).max() < 0.55


def test_four_inks_are_no_luma_and_color() -> None:
    buffer = io.BytesIO()
    drawn(SIZE, "CMYK").save(buffer, "JPEG")
    assert not read_jpeg_header(buffer.getvalue()).luma_and_color


@pytest.mark.parametrize("length", [0, 1, 2, 20, 100, 200, 300])
def test_a_cut_header_is_refused(length: int) -> None:
    with pytest.raises(FileError, match="damaged"):
        read_jpeg_header(jpeg()[:length])


def test_damaged_headers_end_in_an_error_or_a_header() -> None:
    data = jpeg()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(0, 640, 3):
            broken[place] = rng.integers(0, 256)
        try:
            read_jpeg_header(bytes(broken))
        except FileError:
            refused += 1
    assert 0 < refused < 300


def test_a_step_of_zero_is_refused() -> None:
    data = bytearray(jpeg())
    header = read_jpeg_header(bytes(data))
    start, _ = header.table_starts[header.tables[0]]
    data[start + 5] = 0
    with pytest.raises(FileError, match="step of 0"):
        steps_of(bytes(data), header)


def test_lower_qualities_have_larger_steps() -> None:
    sums = [float(steps_of(d := jpeg(q), read_jpeg_header(d)).sum()) for q in (5, 25, 60, 90)]
    assert all(first > second for first, second in pairwise(sums))
