"""The file that a picture was opened from, for codecs that can use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc
from diffc.codec import Picture


class Curious(PlanesCodec):
    """Keeps the picture that it was given."""

    name = "curious"
    takes_source = True
    given: ClassVar[Picture | None] = None

    def encode(self, picture: Picture, *rest: Any) -> Any:
        type(self).given = picture
        return super().encode(picture, *rest)


@pytest.fixture
def jpeg(photo: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    photo.save(path)
    return path


def given(image: Image.Image, **options: Any) -> Picture:
    diffc.register_codec("curious", Curious, clobber=True)
    diffc.encode(image, backend="curious", quality=5, **options)
    assert Curious.given is not None
    return Curious.given


def test_an_unchanged_picture_comes_with_its_file(jpeg: Path) -> None:
    with Image.open(jpeg) as image:
        assert given(image).source == jpeg.read_bytes()
        assert given(image).size == image.size
        assert not given(image).grey


def test_a_changed_picture_comes_alone(jpeg: Path, tmp_path: Path) -> None:
    with Image.open(jpeg) as image:
        image.putpixel((3, 4), (1, 2, 3))
        assert given(image).source is None
    with Image.open(jpeg) as image:
        assert given(image.copy()).source is None
        assert given(image.convert("L")).source is None
        assert given(image.convert("L")).grey
    with Image.open(jpeg) as image:
        image.load()
        jpeg.write_bytes(b"another file")
        assert given(image).source is None
