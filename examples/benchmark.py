"""Measure the codec ddcm on a folder of photos: real files, opened again in another process.

    python examples/benchmark.py FOLDER --out out/benchmark

Prints tables (Markdown) of rate, quality and time, and of what was checked on the way: that no
file exceeds its target, how much of it is used, and that size and mode come back.  AVIF and WebP
stand beside at the same bytes, or at the least that they can make.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, features

import diffc

BPPS = (0.03, 0.05, 0.1, 0.2, 0.4)
SIZES = (500, 2000, 8000)

DECODE = """
import json, os, sys, time
from PIL import Image
import diffc
out = {}
for path in json.load(sys.stdin):
    started = time.perf_counter()
    image = Image.open(path)
    image.load()
    seconds = time.perf_counter() - started
    image.save(path + ".png", compress_level=1)
    out[path] = [image.size, image.mode, seconds]
print(json.dumps(out))
"""


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the peak signal-to-noise ratio in dB of two pictures of 8 bits."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return 10 * math.log10(255**2 / max(float(np.mean(difference**2)), 1e-9))


def best_fitting(photo: Image.Image, kind: str, limit: int) -> tuple[int, Image.Image]:
    """Return bytes and picture of the highest quality that fits, or of the lowest if none does."""

    def coded(quality: int) -> bytes:
        file = io.BytesIO()
        photo.save(file, kind, quality=quality)
        return file.getvalue()

    low, high, best = 0, 95, coded(0)
    while low < high:
        middle = (low + high + 1) // 2
        data = coded(middle)
        if len(data) <= limit:
            low, best = middle, data
        else:
            high = middle - 1
    with Image.open(io.BytesIO(best)) as image:
        return len(best), image.convert("RGB")


def decode_elsewhere(paths: list[str]) -> dict[str, tuple[list[int], str, float]]:
    """Decode files in another process; return size, mode and seconds of each."""
    ran = subprocess.run(
        [sys.executable, "-c", DECODE],
        input=json.dumps(paths),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, tuple[list[int], str, float]] = json.loads(ran.stdout)
    return found


def measure(
    photos: dict[str, Image.Image], folder: Path, label: str, options: dict[str, float]
) -> str:
    """Encode, decode and compare all photos at one target; return a table row."""
    seconds, paths = [], []
    for name, photo in photos.items():
        path = str(folder / f"{name}-{label}.diffc")
        started = time.perf_counter()
        data = diffc.encode(photo, backend="ddcm", **options)
        seconds.append(time.perf_counter() - started)
        Path(path).write_bytes(data)
        paths.append(path)
    found = decode_elsewhere(paths)
    used, quality, bpps = [], [], []
    for path, photo in zip(paths, photos.values(), strict=True):
        size, mode, _ = found[path]
        assert tuple(size) == photo.size, path
        assert mode == photo.mode, path
        length = os.path.getsize(path)
        target = options.get("target_size") or int(options["bpp"] * photo.width * photo.height / 8)
        assert length <= target, f"{path}: {length} bytes exceed {target}"
        used.append(length / target)
        bpps.append(8 * length / (photo.width * photo.height))
        with Image.open(path + ".png") as decoded:
            quality.append(psnr(photo, decoded))
        os.unlink(path + ".png")
    # the first file of a process also loads torch and the model
    decode_seconds = [found[path][2] for path in paths[1:] or paths]
    return (
        f"| {label} | {statistics.mean(bpps):.4f} | {100 * min(used):.2f} % | "
        f"{statistics.mean(quality):.2f} | {min(quality):.2f} | "
        f"{statistics.median(seconds[1:] or seconds):.2f} | {statistics.median(decode_seconds):.2f} |"
    )


def compare(photos: dict[str, Image.Image], bpp: float) -> str:
    """Return a table row of other formats at a rate."""
    cells = [f"| {bpp} "]
    for kind in ("AVIF", "WEBP"):
        if not features.check(kind.lower()):
            cells.append("| not in this Pillow ")
            continue
        rows = []
        for photo in photos.values():
            pixels = photo.width * photo.height
            size, picture = best_fitting(photo, kind, int(bpp * pixels / 8))
            rows.append((8 * size / pixels, psnr(photo, picture)))
        rate, quality = (statistics.mean(column) for column in zip(*rows, strict=True))
        cells.append(f"| {quality:.2f} dB at {rate:.3f} ")
    return "".join(cells) + "|"


def latencies() -> list[str]:
    """Time what should cost nothing."""

    def process(code: str) -> float:
        def run() -> float:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            return time.perf_counter() - started

        return statistics.median(run() for _ in range(7))

    data = diffc.encode(Image.new("RGB", (64, 64), "teal"), backend="ddcm", quality=10)

    def microseconds(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(2000):
            call()
        return 1e6 * (time.perf_counter() - started) / 2000

    bare = process("pass")
    return [
        f"| python -c 'import PIL.ImageFile' | {1e3 * (process('import PIL.ImageFile') - bare):.0f} ms |",
        f"| python -c 'import diffc' | {1e3 * (process('import diffc') - bare):.0f} ms |",
        f"| Image.open | {microseconds(lambda: Image.open(io.BytesIO(data))):.0f} us |",
        f"| diffc.info | {microseconds(lambda: diffc.info(data)):.0f} us |",
    ]


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")
KEPT = {"1": "L", "L": "L", "LA": "LA", "PA": "RGBA", "RGBA": "RGBA"}


def sizes_and_modes(photo: Image.Image, folder: Path) -> str:
    """Save odd sizes in every mode at the default quality, open them elsewhere; say what failed."""
    expected = {}
    for size in ((1, 1), (3, 5), (17, 31), (511, 769)):
        for mode in MODES:
            small = photo.resize(size)
            if mode == "LAB":
                image = ImageCms.profileToProfile(
                    small,
                    ImageCms.createProfile("sRGB"),
                    ImageCms.createProfile("LAB"),
                    outputMode="LAB",
                )
            else:
                image = small.convert("P").convert("PA") if mode == "PA" else small.convert(mode)
            assert image is not None
            path = str(folder / f"{size[0]}x{size[1]}-{mode}.diffc")
            image.save(path, backend="ddcm")
            expected[path] = [list(size), KEPT.get(mode, "RGB")]
    found = decode_elsewhere(list(expected))
    wrong = [path for path, wanted in expected.items() if list(found[path][:2]) != wanted]
    return f"sizes and modes: {len(expected)} files, wrong: {wrong or 'none'}"


LARGE = """
import resource, sys, time
from PIL import Image
import diffc
photo = Image.open(sys.argv[1]).convert("RGB").resize((4000, 3000), Image.Resampling.LANCZOS)
if sys.argv[3] == "encode":
    started = time.perf_counter()
    diffc.save(photo, sys.argv[2], backend="ddcm", bpp=0.05)
else:
    del photo
    started = time.perf_counter()
    image = Image.open(sys.argv[2])
    image.load()
    assert image.size == (4000, 3000)
seconds = time.perf_counter() - started
print(f"{seconds:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
"""


def large(photo: Path, folder: Path) -> str:
    """Time and peak memory of 4000x3000 at 0.05 bpp, encoded and decoded in processes of their own."""
    out = str(folder / "large.diffc")
    rows = [
        subprocess.run(
            [sys.executable, "-c", LARGE, str(photo), out, task],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for task in ("encode", "decode")
    ]
    size = os.path.getsize(out)
    return f"4000x3000 at 0.05 bpp: {size} of 75000 bytes; encode {rows[0]}; decode {rows[1]}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/benchmark"))
    parser.add_argument("--photos", type=int, default=10**6, help="measure only so many")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [p for p in sorted(options.folder.iterdir()) if p.suffix.lower() in (".png", ".jpg")]
    if not paths:
        parser.error(f"{options.folder} has no .png or .jpg photo: name another folder")
    photos = {}
    for path in paths[: options.photos]:
        with Image.open(path) as image:
            photos[path.stem] = image.convert("RGB")
        # pixels are compared, so they must not be converted to another colour space
        photos[path.stem].info.pop("icc_profile", None)
    diffc.encode(next(iter(photos.values())), backend="ddcm", quality=0)  # load torch and the model
    print(f"{len(photos)} photos, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| target | bpp | least used | PSNR, mean | PSNR, worst | encode s | decode s |")
    print("|---|---|---|---|---|---|---|")
    for bpp in BPPS:
        print(measure(photos, options.out, f"bpp {bpp}", {"bpp": bpp}), flush=True)
    for size in SIZES:
        print(measure(photos, options.out, f"{size} bytes", {"target_size": size}), flush=True)
    print("\n| bpp | AVIF | WebP |\n|---|---|---|")
    for bpp in BPPS:
        print(compare(photos, bpp), flush=True)
    print("\n" + sizes_and_modes(next(iter(photos.values())), options.out), flush=True)
    print(large(paths[0], options.out), flush=True)
    print("\n| what | time |\n|---|---|")
    print("\n".join(latencies()))


if __name__ == "__main__":
    main()
