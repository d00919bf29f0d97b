"""PSNR-B: blocks count, and nothing else does."""

from __future__ import annotations

import io

import numpy as np
import pytest
from photograph import drawn
from PIL import Image

from diffc.bench.measures.blocking import blocking_effect, psnr_b
from diffc.bench.measures.published import PSNR_LIMIT, to_luma


def decoded(quality: int) -> Image.Image:
    buffer = io.BytesIO()
    drawn((96, 64), "RGB").save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


def luma_psnr(first: Image.Image, second: Image.Image) -> float:
    return 10 * float(np.log10(255**2 / np.square(to_luma(first) - to_luma(second)).mean()))


def test_steps_between_blocks_are_counted_by_hand() -> None:
    values = np.zeros((16, 24))
    values[:, 8:] = 6.0
    # 16 of the 48 steps between blocks are of 6 levels, and none within is any
    expected = 36 * 16 / (2 * 16 + 24) * 3 / 4
    assert blocking_effect(values) == pytest.approx(expected)
    # the same step elsewhere is none of a block's
    assert blocking_effect(values[:, 3:]) == 0


def test_a_jpeg_has_blocks_and_its_original_has_not() -> None:
    picture = drawn((96, 64), "RGB")
    coarse = decoded(5)
    assert psnr_b(picture, coarse) < luma_psnr(picture, coarse) - 0.3
    assert psnr_b(picture, decoded(60)) > psnr_b(picture, coarse)
    flat = Image.new("RGB", (32, 32), "teal")
    assert psnr_b(flat, flat) == PSNR_LIMIT
    assert psnr_b(flat.convert("L"), Image.new("L", (32, 32), 0)) < 10
