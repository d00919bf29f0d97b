"""``dcv.restore``: arrays in OpenCV's order."""

from __future__ import annotations

import numpy as np
import pytest
from photograph import drawn
from PIL import Image

import diffc
import diffc.cv as dcv

cv2 = pytest.importorskip("cv2")

SIZE = (240, 160)


def coded(pixels: np.ndarray) -> np.ndarray:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 10])[1]
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_array_that_was_a_jpeg_comes_nearer_to_its_original(mode: str) -> None:
    original = np.asarray(drawn(SIZE, mode))
    original = original[:, :, ::-1] if original.ndim == 3 else original
    before = coded(original)
    after = dcv.restore(before, realism=0)
    assert (after.shape, after.dtype) == (before.shape, np.uint8)
    errors = [np.square(each.astype(float) - original).mean() for each in (before, after)]
    assert errors[1] < 0.97 * errors[0]


def test_it_is_the_function_in_another_order() -> None:
    before = coded(np.asarray(drawn(SIZE, "RGB"))[:, :, ::-1])
    wanted = diffc.restore(Image.fromarray(before[:, :, ::-1]))
    assert np.array_equal(dcv.restore(before)[:, :, ::-1], np.asarray(wanted))


def test_mistakes_are_errors_of_opencv() -> None:
    with pytest.raises(dcv.error, match="numpy array"):
        dcv.restore("a.jpg")
    with pytest.raises(dcv.error, match="realism is 0 to 1"):
        dcv.restore(np.zeros((8, 8), np.uint8), realism=3)
