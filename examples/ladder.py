"""Show photos at a ladder of rates: ``python examples/ladder.py --codec perco --out ladder.png``.

The photos come inside scikit-image's wheel (NASA, and CC0).  Prints the bytes of every file.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from PIL import Image, ImageDraw

import diffc

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
WIDTH, HEIGHT = 300, 220


def shown(picture: Image.Image, caption: str) -> Image.Image:
    """Return a picture fitted into a cell, with a caption below."""
    cell = Image.new("RGB", (WIDTH, HEIGHT + 16), "white")
    fitted = picture.copy()
    fitted.thumbnail((WIDTH - 4, HEIGHT - 2))
    cell.paste(fitted, ((WIDTH - fitted.width) // 2, (HEIGHT - fitted.height) // 2))
    ImageDraw.Draw(cell).text((8, HEIGHT + 2), caption, fill="black")
    return cell


def main() -> None:
    """Write one row for each photo: the original, then the rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", default="perco")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.005, 0.015, 0.05, 0.12])
    parser.add_argument("--out", type=Path, default=Path("ladder.png"))
    options = parser.parse_args()
    sheet = Image.new("RGB", (WIDTH * (1 + len(options.bpp)), (HEIGHT + 16) * len(PHOTOS)), "white")
    for row, name in enumerate(PHOTOS):
        with Image.open(str(files("skimage").joinpath("data", name))) as image:
            photo = image.convert("RGB")
        cells = [shown(photo, f"{name}, {photo.width}x{photo.height}")]
        for target in options.bpp:
            data = diffc.encode(photo, backend=options.codec, bpp=target)
            bpp = diffc.info(data).bpp
            print(f"{name}: {len(data)} bytes, {bpp:.4f} bpp", flush=True)
            cells.append(shown(diffc.decode(data), f"{len(data)} bytes, {bpp:.4f} bpp"))
        for column, cell in enumerate(cells):
            sheet.paste(cell, (WIDTH * column, (HEIGHT + 16) * row))
    sheet.save(options.out)


if __name__ == "__main__":
    main()
