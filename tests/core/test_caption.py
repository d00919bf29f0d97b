"""Captions: what may be one, how few bytes it costs, and that it comes back as it was."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from codecs_for_tests import PlanesCodec
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import diffc
from diffc.captions import check_caption, clean_caption
from diffc.cli.main import main
from diffc.codecs.shared import captioner
from diffc.container import METADATA_LIMIT, Envelope, caption_words, parse_header
from diffc.decode_options import decode_options
from diffc.errors import RateError

ROOT = Path(__file__).parents[2]
CAPTIONS = (ROOT / "examples" / "captions.txt").read_text("utf-8").splitlines()
OF_60 = [each[:60] for each in CAPTIONS if len(each) >= 60]
# number of chunks, type byte, length
ENTRY = 3


def file_bytes(caption: str) -> int:
    """Return what a caption adds to a file."""
    bare = Envelope(codec="perco", bitstream_version=1, mode="RGB", size=(768, 512))
    full = Envelope(
        codec="perco",
        bitstream_version=1,
        mode="RGB",
        size=(768, 512),
        metadata={"caption": caption.encode()},
    )
    data = full.build(b"", b"")
    assert parse_header(data).metadata == {"caption": caption.encode()}
    return len(data) - len(bare.build(b"", b""))


def test_sixty_characters_cost_at_most_45_bytes() -> None:
    sizes = {each: file_bytes(each) for each in OF_60}
    assert len(sizes) > 90
    assert all(each.isascii() for each in sizes)
    assert {each: size for each, size in sizes.items() if size > 45} == {}
    assert sum(sizes.values()) / len(sizes) < 34


def test_the_words_are_a_part_of_the_format_and_never_change() -> None:
    words = caption_words.dictionary()
    found = hashlib.sha256(words).hexdigest()
    assert found == "110b3479bcf931978de509efa4c5b8b1b6b63c0458c19e89e591c482cfe0981f"
    page = (ROOT / "docs" / "format.md").read_text("utf-8")
    assert f"{len(words):,} bytes of ASCII, SHA-256\n`{found}`" in page


@pytest.mark.parametrize("caption", CAPTIONS)
def test_every_caption_comes_back(photo: Image.Image, caption: str) -> None:
    data = diffc.encode(photo, backend="planes", caption=caption, quality=10)
    assert diffc.info(data).caption == caption
    assert Image.open(io.BytesIO(data)).info["caption"] == caption
    assert diffc.decode(data).info["caption"] == caption


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(min_size=1) | st.text("aeiou rst", min_size=1))
def test_no_caption_costs_more_than_its_characters(caption: str) -> None:
    length = len(caption.encode())
    assert file_bytes(caption) <= length + ENTRY + (length > 127)


def test_longer_captions_of_others_are_read() -> None:
    caption = "a red door and " * (METADATA_LIMIT // 15)
    envelope = Envelope(
        codec="planes",
        bitstream_version=1,
        mode="RGB",
        size=(8, 8),
        metadata={"caption": caption.encode()},
    )
    data = envelope.build(b"", b"")
    assert len(data) < 10_000
    assert diffc.info(data).caption == caption
    assert Image.open(io.BytesIO(data)).info["caption"] == caption


@pytest.mark.parametrize("caption", [200 * "a", 200 * "🎂", 50 * "بحر ", "\x1b[31m\0", "", None])
def test_what_a_caption_may_be(photo: Image.Image, caption: str | None) -> None:
    check_caption(caption)
    data = diffc.encode(photo, backend="planes", caption=caption, quality=10)
    assert diffc.info(data).caption == (caption or None)


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        (201 * "a", "caption has at most 200 characters, not 201: shorten it"),
        (2021, "caption is a text, not 2021: pass a str"),
        (b"a", "caption is a text, not b'a': pass a str"),
        (["a"], "caption is a text, not \\['a'\\]"),
        ("\ud800", "caption is a text that UTF-8 can hold, not '\\\\ud800'"),
    ],
)
def test_what_is_no_caption(photo: Image.Image, tmp_path: Path, caption: Any, message: str) -> None:
    before = PlanesCodec.encoded
    with pytest.raises(ValueError, match=message):
        check_caption(caption)
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, backend="planes", caption=caption)
    with pytest.raises(ValueError, match=message):
        diffc.save(photo, tmp_path / "a.diffc", backend="planes", caption=caption)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=message):
        photo.save(io.BytesIO(), format="DIFFC", backend="planes", caption=caption)
    assert PlanesCodec.encoded == before


def test_a_caption_counts_as_bytes_of_the_file(photo: Image.Image) -> None:
    plain = diffc.encode(photo, backend="planes", target_size=900)
    data = diffc.encode(photo, backend="planes", target_size=900, caption=OF_60[0])
    assert len(plain) == len(data) == 900
    cost = file_bytes(OF_60[0])
    assert diffc.info(data).payload_bytes == diffc.info(plain).payload_bytes - cost
    with pytest.raises(ValueError, match=f"including {cost} of metadata") as caught:
        diffc.encode(photo, backend="planes", target_size=20, caption=OF_60[0])
    assert isinstance(caught.value.__cause__, RateError)


def test_opening_a_captioned_file_imports_nothing_heavy(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(diffc.encode(photo, backend="planes", caption="a red door"))
    script = (
        "import sys; from PIL import Image; import diffc; print(Image.open(sys.argv[1]).info"
        "['caption'], {'numpy', 'torch', 'transformers', 'diffc.codecs'} & set(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "a red door set()\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """A captioner that says the same of every picture, and what it was asked."""
    calls: list[SimpleNamespace] = []

    def caption_of(image: Any, *, device: str | None = None) -> str:
        allowed = decode_options().allow_download
        calls.append(SimpleNamespace(shape=image.shape, device=device, allowed=allowed))
        return "a boat in the harbor"

    monkeypatch.setattr(captioner, "caption_of", caption_of)
    return calls


def test_a_caption_is_made_before_the_picture_is_coded(
    photo: Image.Image, asked: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    encode = PlanesCodec.encode

    def spied(self: PlanesCodec, *arguments: Any) -> Any:
        given.append(self.caption)
        return encode(self, *arguments)

    monkeypatch.setattr(PlanesCodec, "encode", spied)
    made = diffc.encode(photo, backend="planes", target_size=900, caption="auto", device="cpu")
    written = diffc.encode(
        photo, backend="planes", target_size=900, caption="a boat in the harbor", device="cpu"
    )
    assert made == written
    assert given == 2 * ["a boat in the harbor"]
    assert asked == [SimpleNamespace(shape=(3, 64, 96), device="cpu", allowed=False)]


def test_downloads_need_consent(photo: Image.Image, asked: list[SimpleNamespace]) -> None:
    diffc.encode(photo, backend="planes", caption="auto", allow_download=True)
    diffc.encode(photo, backend="planes", caption="auto")
    assert [each.allowed for each in asked] == [True, False]


def test_other_options_are_checked_before_a_caption_is_made(
    photo: Image.Image, asked: list[SimpleNamespace]
) -> None:
    for wrong in ({"planes": 9}, {"bpp": 1, "quality": 2}, {"alpha": "half"}, {"exif": 3}):
        with pytest.raises(ValueError, match=r"planes|bpp|alpha|exif"):
            diffc.encode(photo, backend="planes", caption="auto", **wrong)
    assert asked == []


def test_nothing_to_say_stores_nothing(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioner, "caption_of", lambda image, device: "")
    plain = diffc.encode(photo, backend="planes")
    assert diffc.encode(photo, backend="planes", caption="auto") == plain
    assert diffc.encode(photo, backend="planes", caption="") == plain


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("a red door", "a red door"),
        ("  a\tred\n\ndoor \x00\x1b[0m\u202e", "a red door [0m"),
        ("", ""),
        (" \n", ""),
        (40 * "word ", " ".join(40 * ["word"])),
        (200 * "x" + " y", 200 * "x"),
        (197 * "x" + ", and more", 197 * "x"),
        (196 * "x" + " and more", 196 * "x" + " and"),
        (300 * "x", 200 * "x"),
        ("רחוב " * 60, " ".join(40 * ["רחוב"])),
    ],
)
def test_what_captioners_say_is_made_to_fit(text: str, caption: str) -> None:
    assert clean_caption(text) == caption
    check_caption(clean_caption(text))


def test_the_command_line_takes_a_caption(
    tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a.diffc"
    photo.save(source)
    assert main(["encode", str(source), "--backend", "planes", "--caption", "2021"]) == 0
    assert diffc.info(target).caption == "2021"
    long = ["encode", str(source), "--force", "--backend", "planes", "--caption", 201 * "a"]
    assert main(long) == 1
    assert "at most 200 characters, not 201: shorten it" in capsys.readouterr().err
    assert diffc.info(target).caption == "2021"
