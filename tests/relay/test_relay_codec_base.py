"""Bases by other codecs of the registry: rates, files inside, models, and files that nobody wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PERCO_MODEL, RELAY_MODEL
from photograph import drawn
from PIL import Image
from torch import Tensor

import diffc
from diffc import registry
from diffc.bench.contenders.lookup import contender
from diffc.cli.main import main
from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Picture, Progress, Rate, no_progress
from diffc.codecs.relay.codec import RelayCodec
from diffc.codecs.relay.codec_base import CodedBase
from diffc.container import Envelope, open_body, parse_header
from diffc.errors import RateError
from diffc.reconstruction import decode_inside
from diffc.testing import checks

EXAMPLE = Path(__file__).parents[2] / "examples" / "diffc-thumbnail"
sys.path.insert(0, str(EXAMPLE))
from diffc_thumbnail import Thumbnail

OPTIONS: dict[str, Any] = {"backend": "relay", "model": str(RELAY_MODEL)}


@dataclass(frozen=True)
class Wrapper(Codec):
    """Keeps a codec's picture as relay does."""

    name = "wrapper"

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        return Thumbnail().encode(picture, rate, progress)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        return decode_inside("thumbnail", coded, options)


@dataclass(frozen=True)
class Plain(Codec):
    """The pixels as they are: one length for each size."""

    name = "plain"

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        payload = picture.pixels.mul(255).round().to(torch.uint8).contiguous().numpy().tobytes()
        if rate.bounded and len(payload) > rate.room():
            raise RateError(len(payload), len(payload))
        return Encoded(payload)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        width, height = coded.size
        coded.require(len(coded.payload) == 3 * width * height, "a pixel has three bytes")
        pixels = torch.frombuffer(bytearray(coded.payload), dtype=torch.uint8)
        return pixels.view(3, height, width).float().div(255)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the codecs of this file for one test."""
    for store in ("_registered", "_loaded", "_usable"):
        monkeypatch.setattr(registry, store, dict(getattr(registry, store)))
    diffc.register_codec("thumbnail", Thumbnail)
    diffc.register_codec("wrapper", Wrapper)
    diffc.register_codec("plain", Plain)


def rules(base: str, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the checks of the conformance kit for relay with a base."""
    codec = RelayCodec(model=str(RELAY_MODEL), base=base)
    return {str(check): check for check in checks(codec, sizes=sizes, thread_counts=True)}


RULES = (
    "round_trip",
    "deterministic",
    "fresh_instance",
    "input_kept",
    "progress",
    "quality",
    "byte_targets",
    "unreachable",
    "damage",
)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("base", ["thumbnail", f"perco:{PERCO_MODEL}"])
def test_the_contract_holds(base: str, rule: str) -> None:
    rules(base, [(1, 1), (17, 31), (64, 48)])[rule]()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_base_is_the_codecs_own_file(mode: str, scale: float) -> None:
    picture = drawn((96, 64), mode)
    data = diffc.encode(picture, **OPTIONS, base="thumbnail", scale=scale, quality=30)
    inside = diffc.extract(data)
    size = (int(96 / scale), int(64 / scale))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    assert inside == diffc.encode(small, backend="thumbnail", quality=30)
    # it says its codec, but what a file says twice is there once
    assert len(data) <= len(inside) + 18


def test_the_base_is_extracted_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.diffc"
    data = diffc.encode(drawn((48, 32), "RGB"), **OPTIONS, base="thumbnail")
    path.write_bytes(data)
    assert main(["extract", str(path)]) == 0
    assert (tmp_path / "photo.base.diffc").read_bytes() == diffc.extract(data)
    assert path.read_bytes() == data


def test_the_least_reduction_that_reaches_a_limit_is_taken() -> None:
    picture = drawn((96, 64), "RGB")
    options = OPTIONS | {"base": "plain"}
    lengths = [len(diffc.encode(picture, **options, scale=scale)) for scale in (1.0, 1.5, 2.0, 3.0)]
    assert lengths == sorted(lengths, reverse=True)
    for length, sides in zip(lengths, ((96, 64), (64, 43), (48, 32), (32, 21)), strict=True):
        data = diffc.encode(picture, **options, target_size=length)
        assert (len(data), diffc.info(diffc.extract(data)).size) == (length, sides)
    with pytest.raises(ValueError, match=rf"makes files of {lengths[3]} to {lengths[0]} bytes"):
        diffc.encode(picture, **options, target_size=lengths[3] - 1)
    with pytest.raises(ValueError, match=rf"makes files of {lengths[1]} bytes"):
        diffc.encode(picture, **options, target_size=lengths[1] - 1, scale=1.5)


def test_least_squared_error_is_none_the_less_than_the_base_has() -> None:
    picture = drawn((192, 128), "RGB")

    def error(shown: Image.Image) -> float:
        pairs = (np.asarray(each, dtype=float) for each in (picture, shown))
        return float(np.square(np.subtract(*pairs)).mean())

    data = diffc.encode(picture, backend="relay", base="dither", bpp=0.5, scale=1)
    assert error(diffc.decode(data, realism=0)) < error(diffc.decode(diffc.extract(data)))


def test_bases_of_all_kinds_decode_together() -> None:
    picture = drawn((48, 32), "RGB")
    bases = ("thumbnail", "jpeg", "thumbnail", "av1")
    files = [diffc.encode(picture, **OPTIONS, base=base) for base in bases]
    together = diffc.decode_batch(files)
    for one, data in zip(together, files, strict=True):
        apart = np.asarray(one, dtype=int) - np.asarray(diffc.decode(data), dtype=int)
        assert np.abs(apart).max() <= 1


def test_a_model_at_decoding_is_the_one_it_is_for(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = drawn((48, 32), "RGB")
    data = diffc.encode(picture, backend="relay", base=f"perco:{PERCO_MODEL}")
    with pytest.raises(OSError, match=r"fingerprint|model"):
        diffc.decode(data)
    assert diffc.decode(data, model=str(PERCO_MODEL)).size == (48, 32)
    data = diffc.encode(picture, **OPTIONS, base=f"perco:{PERCO_MODEL}")
    monkeypatch.setenv("DIFFC_MODELS", str(PERCO_MODEL))
    assert diffc.decode(data, model=str(RELAY_MODEL)).size == (48, 32)


def test_the_bench_takes_it_in_a_spec() -> None:
    picture = drawn((48, 32), "RGB")
    tried = contender(f"relay:model={RELAY_MODEL},base=perco:{PERCO_MODEL}", None, None)
    attempt = tried.encode(picture, 200)
    assert len(attempt.data) <= 200
    assert tried.decode(attempt.data, (48, 32)).size == (48, 32)


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ("jpg", "base is av1, hevc, jpeg, webp, jxl, or another codec that is here"),
        ("relay", "not 'relay': choose one of them"),
        ("relay:tiny", "not 'relay:tiny': choose one of them"),
        ("../perco", "or another codec that is here"),
        ("perco:nonsense", "not 'nonsense': name one of these"),
        ("x" * 2000, "at most 1000 characters"),
    ],
)
def test_bases_that_are_none_are_refused(base: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        diffc.encode(drawn((16, 16), "RGB"), backend="relay", base=base)


def test_a_codec_without_its_package_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking(Wrapper):
        name = "lacking"
        needs = ("no_such_package",)

    diffc.register_codec("lacking", Lacking)
    with pytest.raises(ValueError, match="codec 'lacking' cannot be used without no_such_package"):
        diffc.encode(drawn((16, 16), "RGB"), backend="relay", base="lacking")


def with_base(change: Callable[[CodedBase], bytes]) -> bytes:
    """Return a file with another base in a sound container."""
    data = diffc.encode(drawn((48, 32), "RGB"), **OPTIONS, base="thumbnail")
    header = parse_header(data)
    body = open_body(header, data[header.header_length :])
    envelope = Envelope(
        codec="relay",
        bitstream_version=1,
        mode="RGB",
        size=header.size,
        fingerprint=header.fingerprint,
    )
    return envelope.build(header.parameters, change(CodedBase.unpack(body.payload)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda base: replace(base, codec="relay").pack(), "none of 'relay' itself"),
        (lambda base: replace(base, codec="wrapper").pack(), "holds no third"),
        (lambda base: replace(base, codec="os").pack(), "codec 'os' is not installed"),
        (lambda base: replace(base, codec="diffc.x").pack(), "codec 'diffc.x' is not installed"),
        (lambda base: replace(base, codec="../x").pack(), "begins with the name of its codec"),
        (lambda base: replace(base, codec="Thumbnail").pack(), "begins with the name"),
        (lambda base: replace(base, bitstream_version=9).pack(), "version 9 of codec 'thumbnail'"),
        (lambda base: replace(base, encoded=Encoded(b"", b"xxx")).pack(), r"\w"),
        (lambda base: b"", "end too early"),
        (lambda base: base.pack()[:5], "end too early"),
        (lambda base: b"\x88" + base.pack()[1:], "begins with the name"),
        (lambda base: base.pack()[:11] + b"\xff\xff\xff\xff", r"\w"),
    ],
)
def test_bases_that_nobody_wrote_are_refused(
    change: Callable[[CodedBase], bytes], sentence: str
) -> None:
    with pytest.raises(OSError, match=sentence) as caught:
        diffc.decode(with_base(change))
    assert "\n" not in str(caught.value)


def test_a_name_in_a_file_imports_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(OSError, match="codec 'planted' is not installed"):
        diffc.decode(with_base(lambda base: replace(base, codec="planted").pack()))
    assert "planted" not in sys.modules
