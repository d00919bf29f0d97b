"""Draw the README's picture: a photo, ours at three rates, AVIF and WebP at the same bytes.

    python examples/comparison.py --out docs/images/comparison.jpg

A format that cannot make so small a file stands there with its smallest one, and its bytes.
The photos come inside scikit-image's wheel (coffee: CC0; rocket: public domain).
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from benchmark import best_fitting
from demo import contact_sheet, labelled
from PIL import Image

import diffc

RATES = (0.05, 0.1, 0.2)
PHOTOS = {"coffee.png": (100, 60, 484, 316), "rocket.jpg": (160, 60, 544, 316)}


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/comparison.jpg"))
    out: Path = parser.parse_args().out
    rows = []
    for name, box in PHOTOS.items():
        with Image.open(str(files("skimage").joinpath("data", name))) as image:
            photo = image.convert("RGB")
        # pixels are compared, so they must not be converted to another colour space
        photo.info.pop("icc_profile", None)
        pixels = photo.width * photo.height
        rows.append([labelled(photo.crop(box), f"original, {photo.width}x{photo.height} (part)")])
        columns: dict[str, list[Image.Image]] = {"diffc": [], "AVIF": [], "WEBP": []}
        for rate in RATES:
            limit = int(rate * pixels / 8)
            data = diffc.encode(photo, bpp=rate)
            found = {"diffc": (len(data), diffc.decode(data))}
            found |= {kind: best_fitting(photo, kind, limit) for kind in ("AVIF", "WEBP")}
            for kind, (size, picture) in found.items():
                floor = "" if size <= limit else ", its smallest"
                text = f"{kind} {size} bytes, {8 * size / pixels:.3f} bpp{floor}"
                columns[kind].append(labelled(picture.crop(box), text))
        rows += columns.values()
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(rows).save(out, quality=88)


if __name__ == "__main__":
    main()
