"""Folders of a run made up for tests: drawn pictures, and figures that mean nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from conftest import draw_photo
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from diffc.bench.run.pictures import png_bytes, sha256_of, write_into
from diffc.bench.run.records import SPEED, Row, RowStore
from diffc.bench.run.run_file import Places, RunFile, open_run

CODECS = ("ddcm:steps=2", "avif", "avif-ds", "webp")
TARGETS = (0.5, 1.0)
# where every picture of a codec has a square of one colour, by which a test knows it
SQUARE = (8, 8, 24, 24)
COLOURS = ((220, 30, 30), (30, 160, 30), (30, 30, 220), (200, 180, 20))


def picture_of(original: Image.Image, codec: int, target: int) -> Image.Image:
    """Return what a codec might make of a picture; its square tells the codec."""
    picture = original.filter(ImageFilter.BoxBlur(max(0, 4 - 2 * target)))
    ImageDraw.Draw(picture).rectangle(SQUARE, fill=COLOURS[codec % len(COLOURS)])
    return picture


def make_run(
    folder: Path,
    *,
    images: tuple[str, ...] = ("first", "second"),
    codecs: tuple[str, ...] = CODECS,
    targets: tuple[float, ...] = TARGETS,
    fails: tuple[str, str, float] | None = None,
    error: str = "the codec has no mind to",
) -> Path:
    """Write a run's folder and return it.

    The last codec does not reach the first target; the row ``fails`` (image, codec, target)
    carries the error.
    """
    originals = {}
    for number, name in enumerate(images):
        width, height = (96, 64) if number % 2 == 0 else (64, 80)
        originals[name] = draw_photo().resize((width, height)).rotate(7 * number)
    asked = RunFile(
        diffc="0.0.test",
        images=[
            {"name": name, "width": each.width, "height": each.height, "sha256": sha256_of(each)}
            for name, each in originals.items()
        ],
        codecs=list(codecs),
        labels={},
        targets=list(targets),
        perceptual_weights="f" * 64,
        measures=["psnr", "ms_ssim", "gmsd"],
        missing={"lpips": "its package is not there"},
        machine={"processor": "Slide rule", "cores": "2"},
    )
    open_run(folder, asked)
    store, places = RowStore(folder), Places(folder)
    for name, original in originals.items():
        write_into(places.original(name), png_bytes(original))
        for codec_number, codec in enumerate(codecs):
            for target_number, target in enumerate(targets):
                facts = (name, original.width, original.height, codec, target)
                if (name, codec, target) == fails:
                    store.append(Row(*facts, error=error))
                    continue
                path = places.picture(codec, target, name)
                write_into(path, png_bytes(picture_of(original, codec_number, target_number)))
                store.append(_row(facts, path.relative_to(folder), codec_number, len(codecs)))
    _write_features(places, images, codecs, targets)
    _write_speed(folder, codecs, targets)
    return folder


def _row(facts: tuple[str, int, int, str, float], path: Path, codec: int, codecs: int) -> Row:
    _, width, height, _, target = facts
    reached = codec < codecs - 1 or codecs == 1 or target > TARGETS[0]
    bytes_ = int(width * height * target / 8 * (1 if reached else 1.5)) - codec
    return Row(
        *facts,
        reached=reached,
        bytes=bytes_,
        bpp=8 * bytes_ / (width * height),
        setting=f"quality={10 + codec}",
        measures={
            "psnr": 20 + 5 * target + codec,
            "ms_ssim": 0.8 + 0.1 * target + 0.01 * codec,
            "gmsd": 0.2 - 0.1 * target - 0.005 * codec,
        },
        picture=path.as_posix(),
    )


def _write_features(places: Places, images: tuple[str, ...], *about: tuple[Any, ...]) -> None:
    """Write features of patches, further from the original's for each codec than for the last."""
    codecs, targets = about
    for number, name in enumerate(images):
        drawn = np.random.default_rng(number).normal(size=(6, 8))
        write_features(places.original_features("patch_distance", name), drawn)
        for codec_number, codec in enumerate(codecs):
            for target in targets:
                moved = drawn * (1.1 + 0.1 * codec_number)
                write_features(places.features("patch_distance", codec, target, name), moved)


def write_features(path: Path, features: NDArray[np.float64]) -> None:
    """Write features of patches as a run does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, features.astype(np.float16))


def _write_speed(folder: Path, codecs: tuple[str, ...], targets: tuple[float, ...]) -> None:
    line = {
        "codec": codecs[0],
        "target_bpp": targets[0],
        "device": "cpu",
        "image": "first",
        "width": 96,
        "height": 64,
        "encode_first_seconds": 1.5,
        "encode_seconds": 0.25,
        "decode_first_seconds": 1.25,
        "decode_seconds": 12.5,
        "resident_before_bytes": None,
        "encode_peak_bytes": 3 * 2**20,
        "decode_peak_bytes": 4 * 2**20,
        "encode_peak_device_bytes": None,
        "decode_peak_device_bytes": None,
    }
    (folder / SPEED).write_text(json.dumps(line) + "\n")
