"""Encode public-domain photos at three rates, decode them in another process, and show them.

    python examples/demo.py --out out/demo

The photos come inside scikit-image's wheel (NASA, and CC0).  Prints one row for each file, and
writes ``demo.png``: originals on the left, then the three rates.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import diffc

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
RATES = (0.05, 0.1, 0.2)

# run in a process of its own, so that nothing of the encoder's can reach the picture
DECODE = """
import json, sys, time
from PIL import Image
import diffc
seconds = {}
for path in sys.argv[1:]:
    started = time.perf_counter()
    Image.open(path).save(path + ".png")
    seconds[path] = time.perf_counter() - started
print(json.dumps(seconds))
"""


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the peak signal-to-noise ratio in dB of two pictures of 8 bits."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return 10 * math.log10(255**2 / float(np.mean(difference**2)))


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    photos = {}
    for name in PHOTOS:
        with Image.open(str(files("skimage").joinpath("data", name))) as image:
            photos[name] = image.convert("RGB")
        # pixels are compared, so they must not be converted to another colour space
        photos[name].info.pop("icc_profile", None)
    encoding: dict[str, float] = {}
    for name, photo in photos.items():
        for rate in RATES:
            path = str(folder / f"{Path(name).stem}-{rate}.diffc")
            started = time.perf_counter()
            diffc.save(photo, path, bpp=rate)
            encoding[path] = time.perf_counter() - started
    ran = subprocess.run(
        [sys.executable, "-c", DECODE, *encoding], check=True, capture_output=True, text=True
    )
    decoding = json.loads(ran.stdout)
    print(f"{'file':28} {'bytes':>7} {'bpp':>7} {'PSNR':>6} {'encode':>8} {'decode':>8}")
    rows = []
    for name, photo in photos.items():
        row = [labelled(photo, f"{name}  {photo.width}x{photo.height}")]
        for rate in RATES:
            path = str(folder / f"{Path(name).stem}-{rate}.diffc")
            with Image.open(path + ".png") as image:
                decoded = image.convert("RGB")
            size = Path(path).stat().st_size
            bpp = 8 * size / (photo.width * photo.height)
            figures = f"{bpp:7.4f} {psnr(photo, decoded):6.2f}"
            seconds = f"{encoding[path]:6.2f} s {decoding[path]:6.2f} s"
            print(f"{Path(path).name:28} {size:7d} {figures} {seconds}")
            row.append(labelled(decoded, f"{size} bytes  {bpp:.3f} bpp"))
        rows.append(row)
    sheet = contact_sheet(rows)
    sheet.save(folder / "demo.png")
    print(f"pictures: {folder / 'demo.png'} ({sheet.width}x{sheet.height})")


def labelled(picture: Image.Image, text: str) -> Image.Image:
    """Set a line of text under a picture."""
    canvas = Image.new("RGB", (picture.width, picture.height + 24), "white")
    canvas.paste(picture, (0, 0))
    ImageDraw.Draw(canvas).text((4, picture.height + 5), text, fill="black", font_size=14)
    return canvas


def contact_sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """Set pictures side by side, row after row."""
    width = max(sum(picture.width for picture in row) for row in rows)
    sheet = Image.new("RGB", (width, sum(row[0].height for row in rows)), "white")
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width
        top += row[0].height
    return sheet


if __name__ == "__main__":
    main()
