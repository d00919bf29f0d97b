"""Pictures as tensors: a few rows at a time they are what the whole is, with its padding."""

from __future__ import annotations

import pytest
import torch
from photograph import drawn

from diffc.codecs.shared.pictures import PictureRows, padded, to_unit


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (32, 16)])
def test_rows_are_those_of_the_padded_whole(size: tuple[int, int], mode: str) -> None:
    pictures = [drawn(size, mode), drawn(size, mode).rotate(180)]
    whole = padded(torch.stack([to_unit(each) for each in pictures]), 16)
    rows = PictureRows(pictures, 16, "cpu")
    assert rows.shape == tuple(whole.shape)
    height = whole.shape[2]
    for first, last in ((0, height), (0, 1), (3, 9), (height - 3, height), (height - 1, height)):
        assert torch.equal(rows(slice(first, last)), whole[:, :, first:last])
