"""Screens and drawings: text stays text, and what was never a JPEG is left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from photograph import drawn
from PIL import Image, ImageDraw, ImageFont

import diffc

LINE = "The quick brown fox, 0123456789"


def screen() -> Image.Image:
    """Return a window with text of several sizes, lines and flat shapes."""
    image = Image.new("RGB", (320, 224), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 320, 22), fill=(40, 80, 160))
    draw.text((6, 3), "Report.txt - Editor", fill="white", font=ImageFont.load_default(14))
    top = 30
    for number, size in enumerate((10, 12, 14, 18, 24)):
        ink = (20, 20, 20) if number % 2 == 0 else (160, 30, 30)
        draw.text((8, top), LINE, fill=ink, font=ImageFont.load_default(size))
        top += size + 8
    draw.rectangle((220, 150, 300, 200), outline=(0, 0, 0), fill=(230, 200, 60))
    draw.line((10, 210, 200, 150), fill=(0, 120, 0), width=2)
    draw.ellipse((120, 150, 180, 210), fill=(90, 170, 230))
    return image


def jpeg(picture: Image.Image, quality: int, subsampling: int = 2) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def psnr(first: Image.Image, second: Image.Image) -> float:
    one, two = (np.asarray(each.convert("RGB"), dtype=float) for each in (first, second))
    return 10 * float(np.log10(255**2 / np.square(one - two).mean()))


def ink(picture: Image.Image) -> np.ndarray:
    """Return where a reader sees ink."""
    return np.asarray(picture.convert("L")) < 128


@pytest.mark.parametrize("realism", [0, 0.5])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_text_stays_text(quality: int, subsampling: int, realism: float) -> None:
    picture = screen()
    data = jpeg(picture, quality, subsampling)
    made = diffc.restore(data, realism=realism)
    with Image.open(io.BytesIO(data)) as shown:
        assert psnr(picture, made) > psnr(picture, shown)
        lost = (ink(shown) != ink(picture)).mean()
    # no stroke appears and none is lost: at the edges of strokes some pixels change sides
    assert (ink(made) != ink(picture)).mean() < lost + 0.001


def test_a_clean_screen_comes_back_as_it_is() -> None:
    picture = screen()
    assert np.array_equal(np.asarray(diffc.restore(picture)), np.asarray(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    assert np.array_equal(np.asarray(diffc.restore(buffer.getvalue())), np.asarray(picture))


@pytest.mark.parametrize("realism", [0, 0.5])
@pytest.mark.parametrize("quality", [50, 75, 90])
def test_a_good_jpeg_is_not_made_worse(quality: int, realism: float) -> None:
    picture = drawn((240, 160), "RGB")
    data = jpeg(picture, quality)
    with Image.open(io.BytesIO(data)) as shown:
        assert psnr(picture, diffc.restore(data, realism=realism)) > psnr(picture, shown)
