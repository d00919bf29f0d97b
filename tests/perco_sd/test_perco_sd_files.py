"""Files of perco with a directory in the layout of the PerCo (SD) release, through the public calls."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageFile

import diffc

pytestmark = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory in the layout of the release."""
    from tiny_perco import make_perco

    return str(make_perco(tmp_path_factory.mktemp("perco") / "release"))


def difference(first: Image.Image, second: Image.Image) -> float:
    one, two = (np.asarray(each, dtype=float) for each in (first, second))
    return float(np.abs(one - two).mean())


def test_a_file_opens_under_its_caption(release: str, photo: Image.Image) -> None:
    image = photo.resize((70, 45))
    data = diffc.encode(image, backend="perco", model=release, caption="a red door")
    assert diffc.info(data).caption == "a red door"
    with diffc.decoding(model=release, steps=2):
        made = diffc.decode(data)
        assert made.size == image.size
        assert difference(made, diffc.decode(data)) == 0
        plain = diffc.encode(image, backend="perco", model=release)
        assert difference(made, diffc.decode(plain)) > 0
        with pytest.raises(ValueError, match=r"realism=0\.5 cannot hold"):
            diffc.decode(data, realism=0.5)
    with pytest.raises(OSError, match=r"fingerprint [0-9a-f]{8}"):
        diffc.decode(data)


def test_the_directory_decides_about_the_rate(release: str, photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="perco", model=release, target_size=5000)
    assert diffc.encode(photo, backend="perco", model=release, quality=3) == data
    with pytest.raises(ValueError, match=f"makes files of {len(data)} bytes"):
        diffc.encode(photo, backend="perco", model=release, target_size=len(data) - 1)


def test_its_files_decode_whole_only(
    release: str, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend="perco", model=release)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with (
        diffc.decoding(model=release),
        Image.open(io.BytesIO(data[:-1])) as cut,
        pytest.raises(OSError, match="decodes whole only"),
    ):
        cut.load()
