"""The codecs of the embedded latents also run on pipelines of diffusers, here tiny random ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_pipelines import make_pipeline

import diffc

pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pipelines: one of each kind of network."""
    folder = tmp_path_factory.mktemp("pipelines")
    for kind in ("velocity", "flow"):
        make_pipeline(kind, folder / kind)
    return folder


@pytest.mark.parametrize("kind", ["velocity", "flow"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [("dither", {}), ("dither", {"dither": "all"}), ("posterior", {"steps": 3, "chunk_bits": 8})],
)
@pytest.mark.parametrize("size", [(50, 33), (9, 70)])
def test_pictures_that_are_not_square_are_saved_and_opened(
    photo: Image.Image,
    pipelines: Path,
    kind: str,
    codec: str,
    options: dict[str, Any],
    size: tuple[int, int],
) -> None:
    model = pipelines / kind
    data = diffc.encode(photo.resize(size), backend=codec, model=model, quality=30, **options)
    with diffc.decoding(model=model):
        decoded = diffc.decode(data)
    assert (decoded.size, decoded.mode) == (size, "RGB")
    finer = diffc.encode(photo.resize(size), backend=codec, model=model, quality=90, **options)
    assert len(finer) > len(data)


def test_a_byte_target_holds_on_a_pipeline(photo: Image.Image, pipelines: Path) -> None:
    for codec in ("dither", "posterior"):
        model = pipelines / "velocity"
        data = diffc.encode(photo, backend=codec, model=model, target_size=150)
        assert 0.9 * 150 <= len(data) <= 150
