"""`diffc.restore`: what comes back of which source."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jpeg_files import KINDS, SIZE, jpeg
from photograph import drawn
from PIL import Image

import diffc
from diffc.codecs.shared.base_pictures.jpeg_file import read_coefficients, read_jpeg_header

LARGER = (240, 160)


def error(picture: Image.Image, size: tuple[int, int], mode: str = "RGB") -> float:
    first, second = (np.asarray(x.convert(mode), float) for x in (picture, drawn(size, mode)))
    return float(np.square(first - second).mean())


def coded(name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    drawn(LARGER, "RGB").save(buffer, name, **options)
    return buffer.getvalue()


def levels(data: bytes) -> list[np.ndarray]:
    return [each.levels for each in read_coefficients(data, read_jpeg_header(data))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_jpeg_comes_nearer_to_its_original(kind: str) -> None:
    options = KINDS[kind]
    size, mode = options.get("size", SIZE), options.get("mode", "RGB")
    data = jpeg(15, **options)
    made = diffc.restore(data, realism=0)
    assert (made.size, made.mode) == (size, mode)
    assert error(made, size, mode) < 0.95 * error(Image.open(io.BytesIO(data)), size, mode)


@pytest.mark.parametrize(
    ("name", "options"), [("WEBP", {"quality": 5}), ("AVIF", {"quality": 10, "speed": 8})]
)
def test_other_formats_come_nearer_too(name: str, options: dict[str, Any]) -> None:
    data = coded(name, **options)
    assert error(diffc.restore(data, realism=0), LARGER) < error(
        Image.open(io.BytesIO(data)), LARGER
    )


@pytest.mark.parametrize("realism", [0, 1])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"mode": "L"}, {"progressive": True}])
@pytest.mark.parametrize("quality", [10, 40])
def test_coded_again_it_gives_the_coefficients_of_the_file(
    options: dict[str, Any], quality: int, realism: float
) -> None:
    data = jpeg(quality, **options)
    made = diffc.restore(data, realism=realism)
    with Image.open(io.BytesIO(data)) as image:
        assert not np.array_equal(np.asarray(made), np.asarray(image))
        tables = image.quantization
    buffer = io.BytesIO()
    sampling = {key: value for key, value in options.items() if key != "mode"}
    made.save(buffer, "JPEG", qtables=tables, **{"subsampling": 2} | sampling)
    for ours, theirs in zip(levels(buffer.getvalue()), levels(data), strict=True):
        assert np.array_equal(ours, theirs)


def test_free_it_need_not() -> None:
    data = jpeg(10)
    free = diffc.restore(data, realism=1, consistent=False)
    assert not np.array_equal(np.asarray(free), np.asarray(diffc.restore(data, realism=1)))


def test_pixels_alone_tell_their_jpeg(tmp_path: Path) -> None:
    data = jpeg(10, size=LARGER)
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    assert error(diffc.restore(pixels, realism=0), LARGER) < 0.97 * error(
        Image.fromarray(pixels), LARGER
    )
    Image.fromarray(pixels).save(tmp_path / "again.png")
    made = diffc.restore(tmp_path / "again.png", realism=0)
    assert np.array_equal(np.asarray(made), np.asarray(diffc.restore(pixels, realism=0)))


@pytest.mark.parametrize(("top", "left"), [(3, 5), (0, 1), (7, 0)])
def test_a_cut_grid_is_found(top: int, left: int) -> None:
    with Image.open(io.BytesIO(jpeg(10, size=LARGER))) as image:
        pixels = np.asarray(image)[top:, left:]
    original = np.asarray(drawn(LARGER, "RGB"), float)[top:, left:]
    made = np.asarray(diffc.restore(pixels, realism=0), float)
    assert np.square(made - original).mean() < 0.97 * np.square(pixels - original).mean()


def test_what_shows_no_trace_comes_back_as_it_is() -> None:
    picture = drawn(LARGER, "RGB")
    assert np.array_equal(np.asarray(diffc.restore(picture)), np.asarray(picture))
    # unless somebody says that there is something to take away
    assert not np.array_equal(np.asarray(diffc.restore(picture, strength=8)), np.asarray(picture))


def test_paths_streams_and_opened_images_are_the_same_source(tmp_path: Path) -> None:
    data = jpeg(20)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    wanted = np.asarray(diffc.restore(data))
    unread, loaded = Image.open(io.BytesIO(data)), Image.open(path)
    loaded.load()
    for source in (path, str(path), io.BytesIO(data), unread, loaded):
        assert np.array_equal(np.asarray(diffc.restore(source)), wanted)


def test_an_image_that_was_changed_is_not_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(20))
    with Image.open(path) as image:
        image.paste((200, 10, 10), (0, 0, 40, 40))
        made = diffc.restore(image, realism=0)
    assert np.abs(np.asarray(made)[4:36, 4:36].astype(int) - (200, 10, 10)).max() < 12
    with pytest.raises(ValueError, match="consistent=True needs the data of a JPEG"):
        diffc.restore(image, consistent=True)


def test_metadata_and_alpha_are_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = diffc.restore(jpeg(20, exif=exif.tobytes(), dpi=(300, 300), icc_profile=b"none"))
    assert made.getexif()[0x0112] == 6
    assert made.info["icc_profile"] == b"none"
    assert made.info["dpi"] == pytest.approx((300, 300))
    picture = drawn(SIZE, "RGB")
    picture.putalpha(Image.linear_gradient("L").resize(SIZE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=10, alpha_quality=100)
    made = diffc.restore(buffer.getvalue())
    assert made.mode == "RGBA"
    assert np.array_equal(np.asarray(made)[:, :, 3], np.asarray(picture)[:, :, 3])


def test_four_inks_become_three_colours() -> None:
    buffer = io.BytesIO()
    drawn(SIZE, "CMYK").save(buffer, "JPEG", quality=10)
    made = diffc.restore(buffer.getvalue(), realism=0)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        assert error(made, SIZE) < error(image.convert("RGB"), SIZE)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"realism": 2}, "realism is 0 to 1"),
        ({"strength": 0}, "strength is above 0"),
        ({"strength": "much"}, "strength is a number"),
        ({"steps": 4}, "in one step"),
        ({"consistent": 1.5}, "consistent is True or False"),
        ({"device": "nowhere"}, "device"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        diffc.restore(jpeg(), **options)


@pytest.mark.parametrize("keep", [0, 10, 300, 700])
def test_damaged_files_end_in_an_error(keep: int) -> None:
    with pytest.raises(OSError, match=r"."):
        diffc.restore(jpeg()[:keep])


def test_our_own_files_are_decoded_instead() -> None:
    with pytest.raises(ValueError, match=r"use diffc\.decode"):
        diffc.restore(diffc.encode(drawn(SIZE, "RGB"), quality=10))


def test_it_is_the_same_twice() -> None:
    first, second = (np.asarray(diffc.restore(jpeg(12), realism=1)) for _ in range(2))
    assert np.array_equal(first, second)
