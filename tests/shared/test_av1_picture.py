"""AV1 base pictures: what is stored is a frame, and it decodes as the file that it was cut from."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from photograph import drawn
from PIL import AvifImagePlugin, Image, ImageChops, features

from diffc.codecs.shared.base_pictures.av1_file import frame_of, rebuilt_file
from diffc.codecs.shared.base_pictures.av1_picture import Av1Coder, usual_speed
from diffc.codecs.shared.base_pictures.av1_sequence import read_tools, write_header
from diffc.errors import CodecNotAvailableError, FileError, OptionError

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow has no AVIF")

SIZES = [(1, 1), (2, 3), (7, 1), (16, 16), (65, 33), (333, 517)]

# A drawn picture coded with the libraries of Pillow 13.0 (usual tools), and one in grey with
# those of Pillow 11.3 (a byte of tools), with their pixels; never to be made anew.
_COLOUR_CODED = (
    "GUeHhiGHnnnmgFWAoksOWwLzOuwIPu2QIdmIoWuBzkT6R/u4XmYtUXl8xVsoPAAb04+vNv6jKDCa4q3xjAgFXAiL6cX+"
    "gRoCyYA="
)
_COLOUR_PIXELS = (
    "Ks4lLcgxJq08G5dDG5ZYIJd5JJidK6O8JanFLMDeI9n1M78gOLIpPJQ1PIJDPYRcNYBzLn+TLouvLJi9MrHWLcruTq4g"
    "VJEhaWAndk07clNRYFFoSlaIQ2qmQoG6R5vQSLTra6QhcX0bkEMhpDE4ojdRhzVlZjuBWlGgW3K2YY7PZabph50gjncb"
    "rz0ixik6xC1UqSpnhS+CdkWedmi1fITNgZvmoqMhpX8ct0AdwCUrvyZEsShenjSEmE+mk224l4jMm5/mv7QkvpslvGcm"
    "t0YsuUJEuUZluVKPu2uwt4XAuZ7VuLTv08Ii27sx3Zw/2INK231j2Xh91HaY0oKv05/G1LTb0Mnz7+Aq7NAu77k+8qxW"
    "8qJv752H8qKh76u477zN787h6+H6"
)
_GREY_CODED = "sBgAKKEAe8Fkk7b8coLC706B4K29uiIKaDiA"
_GREY_PIXELS = (
    "iIeBeHJ1e3+EkJ+IfWxeWl5ncoCRn4p2X1JSVFhjeJCfi3ZgWl5cVltxjZ+LdmBZXFpVWnKPopF8Y1VTVltpgZytoZSA"
    "b2lueYmcscGxrqWYkJOcprHB087Iv7axsrfAzNvp"
)
FROZEN = {"RGB": (_COLOUR_CODED, _COLOUR_PIXELS), "L": (_GREY_CODED, _GREY_PIXELS)}


def file_of(picture: Image.Image, quality: int) -> bytes:
    """Return the AVIF file that Pillow writes, by the same speed and thread count."""
    buffer = io.BytesIO()
    subsampling = "4:0:0" if picture.mode == "L" else "4:2:0"
    options: dict[str, Any] = {"quality": quality, "autotiling": False, "max_threads": 2}
    options["advanced"] = {"tune": "ssim", "enable-chroma-deltaq": "1"}
    picture.save(buffer, "AVIF", speed=4, codec="aom", subsampling=subsampling, **options)
    return buffer.getvalue()


@needs_avif
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [0, 40, 99])
def test_it_decodes_as_the_whole_file_does(size: tuple[int, int], mode: str, quality: int) -> None:
    picture = drawn(size, mode)
    coded = Av1Coder().encode(picture, quality)
    file = file_of(picture, quality)
    with Image.open(io.BytesIO(file)) as expected:
        decoded = Av1Coder().decode(coded, size, grey=mode == "L")
        assert (decoded.mode, decoded.size, decoded.info) == (mode, size, {})
        assert decoded.tobytes() == expected.convert(mode).tobytes()
    # boxes, sequence header and OBU headers are gone
    assert len(file) - len(coded) > 270
    assert file.endswith(coded[1:][-8:])


@needs_avif
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_frozen_pictures_decode_for_ever(
    mode: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", threads)
    coded, pixels = (base64.b64decode(text) for text in FROZEN[mode])
    decoded = Av1Coder().decode(coded, (11, 9), grey=mode == "L")
    difference = ImageChops.difference(decoded, Image.frombytes(mode, (11, 9), pixels))
    # the frame is exact by its standard, the conversion to RGB is not
    assert max(difference.tobytes()) <= 2


@needs_avif
def test_every_quality_is_another() -> None:
    picture = drawn((96, 64), "RGB")
    assert len({Av1Coder().encode(picture, quality) for quality in Av1Coder.qualities}) == 63


@needs_avif
def test_bytes_do_not_depend_on_the_machines_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = drawn((171, 256), "RGB")
    coded = set()
    for threads in (1, 2, 3):
        monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", threads)
        coded.add(Av1Coder().encode(picture, 0))
    assert len(coded) == 1


def test_large_pictures_are_coded_faster() -> None:
    sizes = ((1, 1), (512, 512), (513, 512), (2048, 2048), (4000, 3000))
    assert [usual_speed(size) for size in sizes] == [4, 4, 5, 5, 6]


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", [*SIZES, (65536, 65536), (3, 40000)])
def test_tools_come_back_from_a_header(size: tuple[int, int], grey: bool) -> None:
    for tools in (0, 0b1010100, 0b1111110, 0b0000001):
        header = write_header(size, grey=grey, tools=tools)
        assert read_tools(header, size, grey=grey) == (tools & ~1 if grey else tools)


def test_a_header_is_the_one_of_the_specification() -> None:
    # profile 0, still, reduced, level 31; 9 and 8 bits: 383, 255; tools; 8 bits, colour, no grain
    header = write_header((384, 256), grey=False, tools=0b0110100)
    bits = "000 1 1 11111 1000 0111 101111111 11111111 011010 0 0 1"
    bits += " 00000001 00001101 00000110 1 00 0 0 1"
    expected = "".join(bits.split()).ljust(8 * len(header), "0")
    assert "".join(f"{byte:08b}" for byte in header) == expected


@pytest.mark.parametrize(
    ("size", "grey"), [((383, 256), False), ((384, 255), False), ((384, 256), True)]
)
def test_another_header_is_refused(size: tuple[int, int], grey: bool) -> None:
    header = write_header((384, 256), grey=False, tools=0)
    with pytest.raises(FileError, match="sequence header"):
        read_tools(header, size, grey=grey)


# profile, still picture, reduced header, depth, chroma, matrix, range of colour, film grain
@pytest.mark.parametrize("bit", [0, 3, 4, 41, 42, 67, 68, 72])
def test_a_header_with_another_rule_is_refused(bit: int) -> None:
    header = write_header((384, 256), grey=False, tools=0)
    changed = int.from_bytes(header, "big") ^ 1 << (8 * len(header) - 1 - bit)
    with pytest.raises(FileError, match="it is not one"):
        read_tools(changed.to_bytes(len(header), "big"), (384, 256), grey=False)


def test_a_cut_header_is_refused() -> None:
    header = write_header((384, 256), grey=False, tools=0)
    for length in range(len(header) - 1):
        with pytest.raises(FileError):
            read_tools(header[:length], (384, 256), grey=False)


def test_without_avif_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(OptionError, match="install Pillow from its wheels"):
        Av1Coder().encode(Image.new("RGB", (8, 8)), 30)
    with pytest.raises(CodecNotAvailableError, match="install Pillow from its wheels"):
        Av1Coder().decode(b"\x00", (8, 8), grey=False)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("coded", [b"\x10frame", b"\xb0frame", b"\x9cframe"])
def test_a_rebuilt_file_comes_apart(coded: bytes, grey: bool) -> None:
    file = rebuilt_file(coded, (384, 256), grey=grey)
    assert frame_of(file, (384, 256), grey=grey) == coded


def test_usual_tools_are_stored_only_where_the_frame_needs_it() -> None:
    for coded, kept in ((b"\xb4\x10frame", b"\x10frame"), (b"\xb4\x90frame", b"\xb4\x90frame")):
        assert frame_of(rebuilt_file(coded, (8, 8), grey=False), (8, 8), grey=False) == kept


@pytest.mark.parametrize(
    ("whole", "changed", "words"),
    [
        (
            b"infe\x02\x00\x00\x00\x00\x01\x00\x00av01",
            b"infe\x02\x00\x00\x00\x00\x01\x00\x00jpeg",
            "holds AV1",
        ),
        (b"nclx\x00\x01", b"nclx\x00\x02", "BT.601"),
        (b"\x32\x06\x10", b"\x22\x06\x10", "types 1 and 6"),
        (b"\x32\x06\x10", b"\x36\x06\x10", "no extension"),
        (b"\x32\x06\x10", b"\x32\x07\x10", "cut off"),
        (b"\x32\x06\x10", b"\x32\xff\xff", "a number here"),
        # a temporal delimiter and padding are no part of the picture
        (b"\x32\x06\x10f", b"\x12\x00\x7a\x04", r"types 1 and 6, not \[1\]"),
    ],
)
def test_other_files_are_refused(whole: bytes, changed: bytes, words: str) -> None:
    file = rebuilt_file(b"\x10frame", (384, 256), grey=False)
    assert file.count(whole) == 1
    with pytest.raises(FileError, match=words):
        frame_of(file.replace(whole, changed), (384, 256), grey=False)


@needs_avif
def test_an_encoder_that_writes_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(picture: Image.Image, buffer: io.BytesIO, *args: object) -> None:
        buffer.write(rebuilt_file(b"\x00", (9, 8), grey=False))

    monkeypatch.setattr(AvifImagePlugin, "_save", save)
    with pytest.raises(OptionError, match="did not encode"):
        Av1Coder().encode(Image.new("RGB", (8, 8)), 30)


@needs_avif
def test_another_packages_writer_of_avif_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = drawn((40, 30), "RGB")
    expected = Av1Coder().encode(picture, 30)

    def refuse(*_: object) -> None:
        raise AssertionError("another package's writer")

    monkeypatch.setitem(Image.SAVE, "AVIF", refuse)
    monkeypatch.setitem(Image.EXTENSION, ".avif", "ANOTHER")
    assert Av1Coder().encode(picture, 30) == expected
    assert not hasattr(picture, "encoderinfo")
