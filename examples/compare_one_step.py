"""Which codec that decodes in one step is best at which rate, on your own photos.

    python examples/compare_one_step.py PHOTOS [--bpp 0.003 0.01 0.03 0.1 0.3] [--photos 4] [--crop 512]
        [--codecs relay dither perco:decode.steps=1 ... cod:model=cod-lite]

Codecs are those of `diffc bench`, by default all with an embedded model, told to take one evaluation after
what is coded.  Prints a table for each rate: PSNR, VGG-19 distance and patch distance (docs/benchmark.md),
the best of each in bold; a codec that does not reach a rate with every photo is left out of its table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from diffc.bench.contenders.contender import Contender
from diffc.bench.contenders.lookup import contenders
from diffc.bench.measures.available import Measurer
from diffc.bench.measures.patch_distance import paired_patch_distance
from diffc.errors import RateError

CODECS = (
    "relay:decode.steps=1",
    "dither:decode.steps=1",
    "perco:decode.steps=1",
    "ddcm:decode.steps=1",
    "posterior:decode.steps=1",
)
PATCHES = "patch_distance"


@dataclass(frozen=True)
class Found:
    """A codec at a rate, means over the photos: PSNR (higher is better), distances (lower is)."""

    label: str
    bpp: float
    psnr: float
    vgg: float
    patches: float


def measured(
    codec: Contender, photos: Sequence[Image.Image], bpp: float, measurer: Measurer
) -> Found | None:
    """Return what a codec makes of the photos; None if one of its files is too large."""
    made, rates = [], []
    for photo in photos:
        area = photo.width * photo.height
        limit = int(bpp * area / 8)
        try:
            data = codec.encode(photo, limit).data
        except RateError:
            return None
        if len(data) > limit:
            return None
        made.append(codec.decode(data, photo.size))
        rates.append(8 * len(data) / area)
    values = [measurer.measure(*pair) for pair in zip(photos, made, strict=True)]
    features = (
        [measurer.patch_features(each)[PATCHES] for each in group] for group in (photos, made)
    )
    return Found(
        codec.label,
        float(np.mean(rates)),
        float(np.mean([each["psnr"] for each in values])),
        float(np.mean([each["vgg"] for each in values])),
        paired_patch_distance(*features).value,
    )


def table(bpp: float, rows: Sequence[Found]) -> str:
    """Return the rows of a rate in Markdown."""
    if not rows:
        return f"{bpp} bits per pixel: no codec reaches it\n"
    psnr, vgg = max(each.psnr for each in rows), min(each.vgg for each in rows)
    patches = min(each.patches for each in rows)

    def cell(text: str, *, best: bool) -> str:
        return f"**{text}**" if best else text

    lines = [
        f"{bpp} bits per pixel:",
        "",
        "| codec | bpp | PSNR, dB | VGG-19 distance | Patch distance |",
        "|---|---:|---:|---:|---:|",
    ]
    for each in rows:
        cells = (
            each.label,
            f"{each.bpp:.4f}",
            cell(f"{each.psnr:.2f}", best=each.psnr == psnr),
            cell(f"{each.vgg:.6f}", best=each.vgg == vgg),
            cell(f"{each.patches:.4f}", best=each.patches == patches),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def centre(photo: Image.Image, side: int | None) -> Image.Image:
    """Return the middle of a photo, a square of at most ``side`` pixels; None is the whole."""
    if side is None:
        return photo
    width, height = (min(side, each) for each in photo.size)
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.003, 0.01, 0.03, 0.1, 0.3])
    parser.add_argument("--photos", type=int, help="how many, evenly chosen (default: all)")
    parser.add_argument("--crop", type=int, help="pixels of the middle each way (default: all)")
    parser.add_argument("--codecs", nargs="+", default=CODECS)
    args = parser.parse_args(arguments)
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    if args.photos:
        paths = paths[:: max(1, len(paths) // args.photos)][: args.photos]
    photos = [centre(Image.open(path).convert("RGB"), args.crop) for path in paths]
    measurer = Measurer()
    codecs = contenders(args.codecs, measurer.distance, None)
    for bpp in args.bpp:
        found = (measured(codec, photos, bpp, measurer) for codec in codecs)
        print(table(bpp, [each for each in found if each is not None]), flush=True)


if __name__ == "__main__":
    main()
