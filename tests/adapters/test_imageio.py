"""The adapter to imageio."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc

pytest.importorskip("imageio")
import imageio.v3 as iio

import diffc.adapters.imageio

assert PlanesCodec.name == "planes"


@pytest.fixture
def path(tmp_path: Path, photo: Image.Image) -> Path:
    target = tmp_path / "a.diffc"
    diffc.save(photo, target, backend="planes", quality=100, caption="a disc", xmp=b"<x/>")
    return target


def test_pictures_are_read_from_wherever_imageio_reads(path: Path, photo: Image.Image) -> None:
    data = path.read_bytes()
    with path.open("rb") as file:
        for source in (path, str(path), data, io.BytesIO(data), file):
            made = iio.imread(source, plugin="diffc")
            assert made.dtype == np.uint8
            assert np.array_equal(made, np.array(photo))
    assert np.array_equal(iio.imread(path), np.array(photo))
    assert iio.imread(path, index=...).shape == (1, 64, 96, 3)
    assert iio.imread(path, mode="L").shape == (64, 96)
    assert [each.shape for each in iio.imiter(path)] == [(64, 96, 3)]


def test_decoding_takes_its_options(path: Path) -> None:
    iio.imread(path, steps=7)
    assert PlanesCodec.options is not None
    assert PlanesCodec.options.steps == 7
    with pytest.raises(TypeError, match="colour"):
        iio.imread(path, colour=True)


def test_a_picture_is_turned_on_request(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    diffc.save(photo, tmp_path / "a.diffc", backend="planes", quality=100, exif=exif)
    assert iio.imread(tmp_path / "a.diffc").shape == (64, 96, 3)
    turned = iio.imread(tmp_path / "a.diffc", rotate=True)
    assert np.array_equal(turned, np.rot90(np.array(photo), 3))


def test_properties_and_metadata_need_no_decoding(path: Path) -> None:
    PlanesCodec.options = None
    found = iio.improps(path)
    assert (found.shape, found.dtype, found.n_images) == ((64, 96, 3), np.uint8, None)
    stacked = iio.improps(path, index=...)
    assert (stacked.shape, stacked.n_images, stacked.is_batch) == ((1, 64, 96, 3), 1, True)
    said = iio.immeta(path)
    assert (said["codec"], said["caption"], said["xmp"]) == ("planes", "a disc", b"<x/>")
    assert (said["file_bytes"], said["diffc"]["generative"]) == (path.stat().st_size, False)
    assert PlanesCodec.options is None


def test_writing_takes_our_options(tmp_path: Path, photo: Image.Image) -> None:
    array = np.array(photo)
    wanted = diffc.encode(photo, backend="planes", bpp=3)
    iio.imwrite(tmp_path / "a.diffc", array, backend="planes", bpp=3)
    assert (tmp_path / "a.diffc").read_bytes() == wanted
    for given in (array, [array], array[None]):
        made = iio.imwrite("<bytes>", given, extension=".diffc", backend="planes", bpp=3)
        assert made == wanted
    buffer = io.BytesIO()
    iio.imwrite(buffer, array, plugin="diffc", backend="planes", bpp=3)
    assert buffer.getvalue() == wanted
    iio.imwrite(tmp_path / "grey.diffc", array[..., 0], backend="planes", bpp=3)
    assert iio.improps(tmp_path / "grey.diffc").shape == (64, 96)


def test_a_picture_that_cannot_be_written_leaves_the_file_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    array = np.zeros((2, 8, 8, 3), np.uint8)
    for given, options, text in (
        (array, {}, "one picture, not 2"),
        (array[0].astype("float32"), {}, "uint8"),
        (array[0], {"bpp": 1, "quality": 1}, "sets the rate"),
        (array[0], {"qualty": 1}, "did you mean 'quality'"),
    ):
        with pytest.raises(ValueError, match=text):
            iio.imwrite(path, given, **options)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_other_files_are_left_to_others(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    assert iio.imread(tmp_path / "a.png").shape == (64, 96, 3)
    (tmp_path / "b.diffc").write_bytes((tmp_path / "a.png").read_bytes())
    assert iio.imread(tmp_path / "b.diffc").shape == (64, 96, 3)
    with pytest.raises(OSError, match="can not handle"):
        iio.imread(tmp_path / "a.png", plugin="diffc")
    with pytest.raises(OSError, match="can not handle"):
        iio.imwrite(tmp_path / "a.png", np.array(photo), plugin="diffc")


def test_a_file_holds_one_picture(path: Path) -> None:
    for call in (iio.imread, iio.improps, iio.immeta):
        with pytest.raises(ValueError, match="at index 0, not 1"):
            call(path, index=1)


def test_a_damaged_file_is_an_error(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(OSError, match=r"ends|truncated"):
        iio.imread(path)
