"""Files of perco with a directory in the layout of the PerCo (SD) release, through the public calls."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageFile

import diffc
from diffc.container import Envelope, parse_header

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
    data = diffc.encode(image, backend="perco-sd", model=release, caption="a red door")
    assert diffc.info(data).caption == "a red door"
    with diffc.decoding(model=release, steps=2):
        made = diffc.decode(data)
        assert made.size == image.size
        assert difference(made, diffc.decode(data)) == 0
        plain = diffc.encode(image, backend="perco-sd", model=release)
        assert difference(made, diffc.decode(plain)) > 0
        with pytest.raises(ValueError, match=r"realism=0\.5 cannot hold"):
            diffc.decode(data, realism=0.5)
    with pytest.raises(OSError, match=r"fingerprint [0-9a-f]{8}"):
        diffc.decode(data)


def test_the_directory_decides_about_the_rate(release: str, photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="perco-sd", model=release, target_size=5000)
    assert diffc.encode(photo, backend="perco-sd", model=release, quality=3) == data
    with pytest.raises(ValueError, match=f"makes files of {len(data)} bytes"):
        diffc.encode(photo, backend="perco-sd", model=release, target_size=len(data) - 1)


def test_files_from_before_it_had_a_name_decode(release: str, photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="perco-sd", model=release, seed=5)
    header = parse_header(data)
    envelope = Envelope(
        codec="perco",
        bitstream_version=1,
        mode=header.mode,
        size=header.size,
        fingerprint=header.fingerprint,
    )
    earlier = envelope.build(header.parameters, data[-header.payload_length :])
    with diffc.decoding(model=release, steps=2):
        assert difference(diffc.decode(earlier), diffc.decode(data)) == 0


def test_the_error_names_the_codec_of_a_model(release: str, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="choose backend='perco-sd', which uses it"):
        diffc.encode(photo, backend="perco", model=release)


def test_its_files_decode_whole_only(
    release: str, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend="perco-sd", model=release)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with (
        diffc.decoding(model=release),
        Image.open(io.BytesIO(data[:-1])) as cut,
        pytest.raises(OSError, match="decodes whole files only"),
    ):
        cut.load()
