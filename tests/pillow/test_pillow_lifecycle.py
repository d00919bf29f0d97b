"""What one does with an opened image: threads, copies, verification, frames, leaks."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from codecs_for_tests import PlanesCodec, SlowCodec
from PIL import Image, ImageFile, ImageOps

import diffc
from diffc.adapters.pillow import DiffcImageFile


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return diffc.encode(photo, backend="planes", quality=100)


def opened(data: bytes) -> DiffcImageFile:
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, DiffcImageFile)
    return image


def test_eight_threads_decode_one_image_once(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="slow", quality=100)
    with opened(data) as image, ThreadPoolExecutor(8) as pool:
        before = SlowCodec.decoded
        pixels = list(pool.map(lambda _: image.tobytes(), range(8)))
        assert SlowCodec.decoded - before == 1
    assert pixels == [photo.tobytes()] * 8


def test_threads_decode_different_images_at_the_same_time(photo: Image.Image) -> None:
    files = [diffc.encode(photo.rotate(turn), backend="slow", quality=100) for turn in range(4)]
    images = [opened(data) for data in files]
    SlowCodec.most_together = 0
    with ThreadPoolExecutor(4) as pool:
        pixels = list(pool.map(lambda image: image.tobytes(), images))
    assert SlowCodec.most_together > 1
    assert pixels == [photo.rotate(turn).tobytes() for turn in range(4)]


def test_pixels_decode_only_when_they_are_touched(data: bytes) -> None:
    PlanesCodec.options = None
    with opened(data) as image:
        assert image.size == (96, 64)
        assert image.getexif() == {}
        assert image.getbands() == ("R", "G", "B")
        assert PlanesCodec.options is None
        image.getpixel((0, 0))
        assert PlanesCodec.options is not None


def test_a_pickle_carries_pixels(data: bytes, photo: Image.Image) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with opened(data) as image:
            again = pickle.loads(pickle.dumps(image, protocol))
            assert again == image
        assert isinstance(again, DiffcImageFile)
        assert (again.format, again.info["diffc"]["codec"]) == ("DIFFC", "planes")
        assert again.tobytes() == photo.tobytes()
        with pytest.raises(RuntimeError, match="directly after open"):
            again.verify()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, Image.Image.copy])
def test_copies_are_independent(
    data: bytes, photo: Image.Image, copied: Callable[[Image.Image], Image.Image]
) -> None:
    with opened(data) as image:
        twin = copied(image)
        assert (twin.mode, twin.info) == (image.mode, image.info)
        assert twin.tobytes() == photo.tobytes()
        twin.putpixel((0, 0), (1, 2, 3))
        assert image.tobytes() == photo.tobytes()


def test_the_copy_method_gives_a_plain_image(data: bytes, photo: Image.Image) -> None:
    with opened(data) as image:
        plain = image.copy()
        assert type(plain) is Image.Image
        assert plain.format is None
        assert plain.info == image.info
    assert plain.tobytes() == photo.tobytes()


def test_arrays_thumbnails_crops_and_in_place_changes_work(data: bytes, photo: Image.Image) -> None:
    with opened(data) as image:
        assert np.array_equal(np.asarray(image), np.asarray(photo))
        assert image.crop((1, 2, 5, 6)).tobytes() == photo.crop((1, 2, 5, 6)).tobytes()
        assert ImageOps.exif_transpose(image).size == photo.size
        assert image.draft("L", (10, 10)) is None
    with opened(data) as image:
        image.thumbnail((20, 20), reducing_gap=2.0)
        expected = photo.copy()
        expected.thumbnail((20, 20), reducing_gap=2.0)
        assert image.tobytes() == expected.tobytes()
    with opened(data) as image:
        image.paste((9, 9, 9), (0, 0, 3, 3))
        assert image.getpixel((2, 2)) == (9, 9, 9)


def test_there_is_one_frame(data: bytes) -> None:
    with opened(data) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert not getattr(image, "is_animated", False)
        assert image.tell() == 0
        image.seek(0)
        with pytest.raises(EOFError):
            image.seek(1)


def test_verify_checks_all_bytes_without_decoding(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(data)
    PlanesCodec.options = None
    image = Image.open(path)
    assert isinstance(image, DiffcImageFile)
    file = image.fp
    assert file is not None
    image.verify()
    assert file.closed
    assert PlanesCodec.options is None
    with pytest.raises(RuntimeError, match="directly after open"):
        image.verify()

    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    image = Image.open(path)
    assert isinstance(image, DiffcImageFile)
    file = image.fp
    assert file is not None
    with pytest.raises(OSError, match="the file is damaged"):
        image.verify()
    assert file.closed


def test_verify_leaves_the_callers_file_open(data: bytes) -> None:
    file = io.BytesIO(data)
    with Image.open(file) as image:
        image.verify()
    assert not file.closed


def test_decode_options_reach_the_codec(data: bytes) -> None:
    with opened(data) as image:
        with diffc.decoding(steps=4, device="cpu"):
            with diffc.decoding(steps=9):
                pass
            image.load()
        assert PlanesCodec.options is not None
        assert (PlanesCodec.options.steps, PlanesCodec.options.device) == (4, "cpu")
    with opened(data) as image:
        image.load()
        assert PlanesCodec.options.steps is None


def test_options_of_one_thread_are_not_those_of_another(data: bytes) -> None:
    with diffc.decoding(steps=4), ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: opened(data).load()).result()
        assert PlanesCodec.options is not None
        assert PlanesCodec.options.steps is None


def test_partial_pictures_need_pillows_flag_and_a_progressive_codec(
    data: bytes, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = diffc.encode(photo, backend="whole", quality=100)
    for part in (data[: len(data) // 2], whole[: len(whole) // 2]):
        with opened(part) as image, pytest.raises(OSError, match="copy it again"):
            image.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with opened(data[: len(data) // 2]) as image:
        rough = np.asarray(image).astype(int)
        assert 0 < np.abs(rough - np.asarray(photo)).max() < 32
        with pytest.raises(ValueError, match="needs an unchanged image"):
            image.original()
    with (
        opened(whole[: len(whole) // 2]) as image,
        pytest.raises(OSError, match="decodes whole files only"),
    ):
        image.load()


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory use from /proc")
def test_no_memory_is_lost() -> None:
    source = Image.radial_gradient("L").resize((128, 128))
    image = Image.merge("RGBA", [source, source.rotate(90), source, source.rotate(180)])
    data = diffc.encode(image, backend="planes", quality=100, exif=b"Exif\0\0" + bytes(5000))

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def go(times: int) -> None:
        for _ in range(times):
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                image.save(io.BytesIO(), format="DIFFC", backend="planes", quality=100)

    go(50)
    before = resident()
    go(200)
    # one lost picture a round would be 13 MB
    assert resident() - before < 2 << 20
