"""Which codec codes where none is named: the best one that makes so small a file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import DATA
from PIL import Image

import diffc
from diffc.builtin_codecs import BY_RATE, DEFAULT_CODEC
from diffc.registry import declaration


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    with Image.open(DATA / "photograph.jpg") as image:
        return image.convert("RGB").resize((192, 128))


def test_below_the_first_codec_the_next_one_is_taken(
    photograph: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.diffc"
    photograph.save(path, target_size=70)
    assert path.stat().st_size <= 70
    assert diffc.info(path).codec == "perco"
    with Image.open(path) as opened:
        assert opened.info["diffc"] == {"codec": "perco", "generative": True}
        assert opened.convert("RGB").size == photograph.size
    photograph.save(path, target_size=900)
    assert diffc.info(path).codec == DEFAULT_CODEC == "relay"
    assert diffc.info(diffc.encode(photograph, quality=0)).codec == "relay"


def test_options_of_both_are_kept(photograph: Image.Image) -> None:
    seeded = diffc.encode(photograph, target_size=70, seed=9)
    assert seeded == diffc.encode(photograph, target_size=70, seed=9, backend="perco")


@pytest.mark.parametrize("options", [{"scale": 3.0}, {"model": "tiny"}, {"backend": "relay"}])
def test_what_is_one_codecs_own_keeps_it(
    photograph: Image.Image, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="codec 'relay' makes files of") as caught:
        diffc.encode(photograph, target_size=70, **options)
    assert "or choose backend='perco', for 0.0007 to 0.13 bpp" in str(caught.value)


def test_the_error_of_all_is_that_of_the_last(photograph: Image.Image) -> None:
    with pytest.raises(ValueError, match="codec 'perco' makes files of") as caught:
        diffc.encode(photograph, target_size=9)
    assert "backend=" not in str(caught.value)


def test_the_error_of_a_rate_that_is_too_high_names_a_codec_too(photograph: Image.Image) -> None:
    with pytest.raises(ValueError, match="or choose backend='relay'"):
        diffc.encode(photograph, bpp=2, backend="perco")


def test_the_codecs_to_choose_from_say_their_rates() -> None:
    rates = [declaration(name).rates for name in BY_RATE]
    assert all(each is not None for each in rates)
    assert rates == sorted(rates, reverse=True)  # type: ignore[type-var]


def test_any_picture_may_be_too_small(photograph: Image.Image) -> None:
    stream = io.BytesIO()
    photograph.resize((9, 7)).save(stream, format="DIFFC", target_size=60)
    assert diffc.info(stream.getvalue()).codec in BY_RATE
