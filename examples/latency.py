"""What importing, opening, encoding and decoding take, beside what Pillow takes in the same run.

    OMP_NUM_THREADS=1 python examples/latency.py PHOTO [--bpp 0.1] [--codecs relay perco]

Prints two tables in Markdown.  Times are those of the processor, the least of several runs, so that
other programs on the machine count little; each stands beside a baseline that was measured in turns
with it: the import of ``PIL.ImageFile``, Pillow's opening of a PNG, Pillow's AVIF of the same photo.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import diffc

CODECS = ("relay", "perco", "dither", "ddcm", "posterior")
IMPORT = "import time; {}; print(time.process_time())"
OPENS = 2000


def processor_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds that all threads of this process take for a call."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def in_turns(calls: dict[str, Callable[[], float]], runs: int) -> dict[str, float]:
    """Return the least that each call returns: what other programs add is no part of it."""
    rows = [{name: call() for name, call in calls.items()} for _ in range(runs)]
    return {name: min(row[name] for row in rows) for name in calls}


def import_ms(statement: str) -> float:
    """Return the processor's milliseconds of a new interpreter that runs a statement."""
    command = [sys.executable, "-c", IMPORT.format(statement)]
    return 1e3 * float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def saved(image: Image.Image, **options: Any) -> bytes:
    """Return a picture as a file of Pillow's."""
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def loaded(data: bytes) -> Image.Image:
    """Open a file and decode its pixels."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def light_rows(runs: int) -> list[str]:
    """Return rows of what loads no codec."""
    found = in_turns(
        {
            "nothing": lambda: import_ms("pass"),
            "pillow": lambda: import_ms("import PIL.ImageFile"),
            "diffc": lambda: import_ms("import diffc"),
        },
        runs,
    )
    pillow, ours = found["pillow"] - found["nothing"], found["diffc"] - found["nothing"]
    small = Image.new("RGB", (64, 64), "teal")
    files = {"png": saved(small, format="PNG"), "diffc": diffc.encode(small, quality=10)}

    def many(function: Callable[[bytes], object], data: bytes) -> float:
        return processor_ms(lambda: [function(data) for _ in range(OPENS)]) * 1e3 / OPENS

    def opened(data: bytes) -> None:
        with Image.open(io.BytesIO(data)):
            pass

    opens = in_turns(
        {
            "png": lambda: many(opened, files["png"]),
            "diffc": lambda: many(opened, files["diffc"]),
            "info": lambda: many(diffc.info, files["diffc"]),
        },
        runs,
    )
    return [
        f"| `import PIL.ImageFile` | {pillow:.1f} ms | |",
        f"| `import diffc` | {ours:.1f} ms | {ours - pillow:+.1f} ms |",
        f"| `Image.open` of a PNG | {opens['png']:.0f} us | |",
        open_row("`Image.open` of a DIFFC file", opens["diffc"], opens["png"]),
        open_row("`diffc.info`", opens["info"], opens["png"]),
    ]


def open_row(what: str, microseconds: float, baseline: float) -> str:
    """Return a row of what is done to a file's header."""
    return f"| {what} | {microseconds:.0f} us | {microseconds / baseline:.1f} times |"


def measure(codec: str, path: Path, bpp: float, runs: int) -> dict[str, float]:
    """Return what one codec takes in this process, which has used none yet."""
    with Image.open(path) as image:
        photo = image.convert("RGB")
    files: list[bytes] = []
    first_encode = processor_ms(lambda: files.append(diffc.encode(photo, backend=codec, bpp=bpp)))
    first_decode = processor_ms(lambda: loaded(files[0]))
    avif = saved(photo, format="AVIF", quality=50)
    warm = in_turns(
        {
            "encode": lambda: processor_ms(lambda: diffc.encode(photo, backend=codec, bpp=bpp)),
            "decode": lambda: processor_ms(lambda: loaded(files[0])),
            "avif encode": lambda: processor_ms(lambda: saved(photo, format="AVIF", quality=50)),
            "avif decode": lambda: processor_ms(lambda: loaded(avif)),
        },
        runs,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first encode": first_encode, "first decode": first_decode, "peak": peak, **warm}


def codec_row(codec: str, path: Path, bpp: float, runs: int) -> str:
    """Measure a codec in a process of its own; return its row."""
    arguments = [str(path), "--codecs", codec, "--bpp", str(bpp), "--runs", str(runs), "--child"]
    command = [sys.executable, __file__, *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said)
    cells = [f"{found['first encode'] / 1e3:.2f} s", f"{found['first decode'] / 1e3:.2f} s"]
    for task in ("encode", "decode"):
        ratio = found[task] / found[f"avif {task}"]
        cells.append(f"{found[task] / 1e3:.3f} s, {ratio:.1f} times")
    return f"| `{codec}` | {' | '.join(cells)} | {found['peak']:.0f} MiB |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--bpp", type=float, default=0.1)
    parser.add_argument("--codecs", nargs="+", default=list(CODECS), metavar="CODEC")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.codecs[0], options.photo, options.bpp, options.runs)))
        return
    print("| what | processor time | beside Pillow |\n|---|---:|---:|")
    print("\n".join(light_rows(4 * options.runs)), flush=True)
    print("\n| codec | first encode | first decode | encode | decode | memory |")
    print("|---|---:|---:|---:|---:|---:|")
    for codec in options.codecs:
        print(codec_row(codec, options.photo, options.bpp, options.runs), flush=True)


if __name__ == "__main__":
    main()
