"""Base pictures are coded and decoded alike behind one interface, by name or by number."""

from __future__ import annotations

import random
import sys

import pytest
from photograph import drawn
from PIL import Image, features

from diffc.codecs.shared.base_pictures.coders import BaseCoder, base_coder
from diffc.codecs.shared.base_pictures.jxl_picture import size_in_header
from diffc.errors import FileError, OptionError

PLUGINS = {"hevc": "pillow_heif", "jxl": "pillow_jxl"}


@pytest.mark.parametrize(("name", "identifier"), [("av1", 0), ("hevc", 1), ("jxl", 5)])
def test_a_coder_is_found_by_name_and_identifier(name: str, identifier: int) -> None:
    coder = base_coder(name)
    assert coder is base_coder(identifier)
    assert (coder.name, coder.identifier) == (name, identifier)
    assert len(coder.qualities) >= 60


def test_an_unknown_name_is_the_callers_mistake() -> None:
    with pytest.raises(OptionError, match="by av1, hevc, jpeg, webp or jxl, not 'png'"):
        base_coder("png")


@pytest.mark.parametrize("identifier", [2, 7, 255])
def test_an_unknown_identifier_is_the_files(identifier: int) -> None:
    with pytest.raises(FileError, match=f"number 0 to 5, not {identifier}"):
        base_coder(identifier)


@pytest.fixture(params=["av1", "hevc", "jpeg", "webp", "jxl"])
def coder(request: pytest.FixtureRequest) -> BaseCoder:
    """Each coder, whether it can work here or not."""
    return base_coder(request.param)


@pytest.mark.parametrize("mode", ["RGBA", "1", "I;16"])
def test_other_modes_are_refused(coder: BaseCoder, mode: str) -> None:
    with pytest.raises(OptionError, match="RGB or L"):
        coder.encode(Image.new(mode, (8, 8)), 50)


@pytest.mark.parametrize("quality", [-1, 101])
def test_other_qualities_are_refused(coder: BaseCoder, quality: int) -> None:
    with pytest.raises(OptionError, match=f"quality is [01] to .*, not {quality}"):
        coder.encode(Image.new("RGB", (8, 8)), quality)


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8, 1 << 20)])
def test_impossible_sizes_are_refused_before_anything_is_decoded(
    coder: BaseCoder, size: tuple[int, int]
) -> None:
    with pytest.raises(FileError, match="has 1 to"):
        coder.decode(b"anything", size, grey=False)


def test_nothing_is_no_picture(coder: BaseCoder) -> None:
    with pytest.raises(FileError, match="empty"):
        coder.decode(b"", (8, 8), grey=False)


@pytest.fixture
def able(coder: BaseCoder) -> BaseCoder:
    """Each coder that can work here."""
    if coder.name in PLUGINS:
        pytest.importorskip(PLUGINS[coder.name])
    elif not features.check("avif"):
        pytest.skip("Pillow has no AVIF")
    return coder


def test_damage_raises_nothing_but_file_errors(able: BaseCoder) -> None:
    source = random.Random(1)
    size = (64, 48)
    whole = able.encode(drawn(size, "RGB"), 40)
    for number in range(300):
        damaged = bytearray(whole)
        if number % 3 == 0:
            del damaged[source.randrange(len(damaged)) :]
        elif number % 3 == 1:
            damaged[source.randrange(len(damaged))] ^= 1 << source.randrange(8)
        else:
            damaged[: source.randint(1, 12)] = source.randbytes(source.randint(1, 12))
        try:
            decoded = able.decode(bytes(damaged), size, grey=False)
        except FileError:
            continue
        assert (decoded.mode, decoded.size) == ("RGB", size)


def test_the_size_is_what_was_asked_for_and_no_other(able: BaseCoder) -> None:
    coded = able.encode(drawn((64, 48), "RGB"), 40)
    for size in ((48, 64), (1, 1), (500, 3)):
        try:
            assert able.decode(coded, size, grey=False).size == size
        except FileError:
            continue


def test_bytes_rise_with_quality(able: BaseCoder) -> None:
    lengths = [len(able.encode(drawn((96, 64), "RGB"), quality)) for quality in able.qualities[::9]]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 4 * lengths[0]


def test_metadata_of_the_picture_is_not_coded(able: BaseCoder) -> None:
    picture = drawn((16, 16), "RGB")
    coded = able.encode(picture, 30)
    picture.info["icc_profile"] = b"not a profile" * 50
    picture.info["xmp"] = b"words"
    assert able.encode(picture, 30) == coded


@pytest.mark.parametrize("name", PLUGINS)
def test_without_its_plugin_the_error_names_the_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(PLUGINS[name])
    coder, picture = base_coder(name), drawn((16, 16), "RGB")
    coded = coder.encode(picture, 40)
    monkeypatch.setitem(sys.modules, PLUGINS[name], None)
    extra = {"hevc": "heif", "jxl": "jxl"}[name]
    with pytest.raises(OptionError, match=rf'pip install "diffc\[{extra}\]"'):
        coder.encode(picture, 40)
    with pytest.raises(OSError, match=rf'pip install "diffc\[{extra}\]"'):
        coder.decode(coded, picture.size, grey=False)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (3, 5), (8, 8), (600, 400), (1920, 1080), (512, 512), (640, 512), (1, 9000), (48, 40)],
)
def test_the_size_of_a_jpeg_xl_picture_is_read_before_it_is_decoded(size: tuple[int, int]) -> None:
    pytest.importorskip("pillow_jxl")
    coded = base_coder("jxl").encode(Image.new("RGB", size, "teal"), 40)
    assert size_in_header(coded) == size
    with pytest.raises(FileError, match=rf"has {size[0]}x{size[1]} pixels, not 7x7"):
        base_coder("jxl").decode(coded, (7, 7), grey=False)
