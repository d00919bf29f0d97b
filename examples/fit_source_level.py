"""Fit the numbers by which ``diffc.restore`` estimates how far a file is from its original.

    python examples/fit_source_level.py PHOTOS [--photos 130]

Codes photographs, made smaller, as JPEG, WebP, AVIF and, where their packages are here, HEIC and JPEG
XL, at random qualities; fits on two thirds of the photographs and prints numbers and errors, as
logarithms, on the others.
"""

from __future__ import annotations

import argparse
import io
import math
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffc.codecs.relay.source_level import activity, mean_step
from diffc.codecs.shared.base_pictures.jpeg_file import read_jpeg_header, steps_of

_SMALLEST = 2 ** (-255 / 24)


def jobs(rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield formats and options for one photo."""
    for _ in range(3):
        quality = round(3 * 32 ** rng.random())
        yield "JPEG", {"quality": quality, "subsampling": rng.choice((0, 2, 2))}
    for _ in range(2):
        yield "WEBP", {"quality": rng.randint(0, 95)}
        yield "AVIF", {"quality": rng.randint(5, 90), "speed": 8}
    yield "HEIF", {"quality": rng.randint(5, 90)}
    yield "JXL", {"quality": rng.randint(5, 92), "effort": 3}


def terms(name: str, data: bytes, picture: Image.Image) -> tuple[float, list[float]]:
    """Return what is known before, and what numbers are fitted to."""
    busy = activity(picture)
    if name != "JPEG":
        return 0.0, [1.0, math.log(8 * len(data) / (picture.width * picture.height)), busy]
    step = mean_step(steps_of(data, read_jpeg_header(data)))
    ratio = busy - math.log(step)
    return math.log(step / math.sqrt(12) / 127.5), [1.0, ratio, ratio * ratio]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=130)
    args = parser.parse_args()
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError):
        import pillow_jxl  # noqa: F401 - registers the format
    Image.init()
    rng = random.Random(1)
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    rows: dict[str, list[tuple[int, float, list[float]]]] = {}
    for number, path in enumerate(paths[:: max(1, len(paths) // args.photos)][: args.photos]):
        photo = Image.open(path).convert("RGB")
        side = rng.choice((512, 768, 1024))
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        original = np.asarray(photo, np.float32)
        for name, options in jobs(rng):
            if name not in Image.SAVE:
                continue
            buffer = io.BytesIO()
            photo.save(buffer, name, **options)
            decoded = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
            error = math.sqrt(float(np.square(original - np.asarray(decoded)).mean())) / 127.5
            known, fitted = terms(name, buffer.getvalue(), decoded)
            row = (number, math.log(max(error, _SMALLEST)) - known, fitted)
            rows.setdefault(name, []).append(row)
    for name, found in rows.items():
        numbers = np.array([each[0] for each in found])
        wanted, seen = (np.array([each[n] for each in found]) for n in (1, 2))
        fit = numbers % 3 != 0
        weights = np.linalg.lstsq(seen[fit], wanted[fit], rcond=None)[0]
        left = (seen @ weights - wanted)[~fit]
        print(
            f"{name}: {np.round(weights, 4).tolist()}, off by {np.sqrt(np.square(left).mean()):.3f}"
        )


if __name__ == "__main__":
    main()
