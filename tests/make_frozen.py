"""Write frozen files: ``python tests/make_frozen.py CODEC FOLDER``.

Run once for each new bitstream or container version, into a new folder.  The files in
tests/data/frozen are never written again: every later version has to decode them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from conftest import COD_MODEL, MODEL, PERCO_MODEL, RELAY_MODEL, draw_photo
from PIL import Image

import diffc

MODELS = {
    "cod": COD_MODEL,
    "ddcm": MODEL,
    "dither": MODEL,
    "perco": PERCO_MODEL,
    "posterior": MODEL,
    "relay": RELAY_MODEL,
}


def cases() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return pictures and options, one for each thing that a file may hold."""
    photo = draw_photo()
    faded = photo.convert("RGBA")
    faded.putalpha(photo.convert("L"))
    masked = photo.resize((31, 17)).convert("LA")
    masked.putalpha(photo.resize((31, 17)).convert("L").point(lambda value: 255 * (value > 90)))
    return {
        "rgb": (photo, {"target_size": 900}),
        "grey-odd": (photo.resize((17, 31)).convert("L"), {"quality": 40}),
        "one-pixel": (photo.crop((30, 30, 31, 31)), {"quality": 10}),
        "alpha": (faded, {"target_size": 2500}),
        "mask": (masked, {"quality": 30}),
        "metadata": (
            photo.resize((48, 32)),
            {
                "quality": 30,
                "exif": b"Exif\0\0MM\0*",
                "xmp": b"<x/>" * 30,
                "icc_profile": b"p" * 99,
            },
        ),
    }


def squares() -> Image.Image:
    """Draw what the test model's index model has not seen."""
    values = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((128, 96), Image.Resampling.NEAREST)


def cases_of(codec: str) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return what options of one codec make different."""
    photo = draw_photo()
    if codec == "cod":
        return {
            "thin": (photo.resize((200, 9)), {"quality": 100}),
            "tall": (photo.resize((40, 200)), {"bpp": 1.0}),
        }
    if codec == "perco":
        return {
            "seed-caption": (photo, {"target_size": 70, "seed": 7, "caption": "a red disc"}),
            "packed": (squares(), {"quality": 100}),
            "thin": (photo.resize((200, 9)), {"quality": 50}),
        }
    if codec == "relay":
        return {
            "seed-scale": (photo, {"quality": 50, "seed": 7, "scale": 1.5}),
            "full-size": (photo.resize((200, 40)), {"target_size": 1500, "scale": 1.0}),
            "jpeg": (photo, {"quality": 50, "base": "jpeg", "scale": 1.5}),
            "webp": (photo.convert("L"), {"quality": 50, "base": "webp", "scale": 1.0}),
        }
    if codec == "dither":
        return {
            "seed-all": (photo, {"quality": 50, "seed": 7, "dither": "all"}),
            "plain": (photo.resize((200, 40)), {"quality": 90, "dither": "none"}),
        }
    if codec == "posterior":
        return {
            "seed-gaussian": (
                photo,
                {"target_size": 90, "seed": 7, "candidates": "gaussian", "chunk_bits": 8},
            ),
            "steps": (photo.resize((200, 40)), {"quality": 50, "steps": 12}),
        }
    if codec != "ddcm":
        return {}
    return {
        "seed-atoms": (photo, {"target_size": 60, "seed": 7, "atoms": 3}),
        "steps": (photo.resize((200, 40)), {"quality": 50, "steps": 12}),
    }


def main(codec: str, folder: Path) -> None:
    """Write each file, its picture, and what its header says."""
    folder.mkdir(parents=True)
    model = {"model": str(MODELS[codec])} if codec in MODELS else {}
    for name, (image, options) in (cases() | cases_of(codec)).items():
        if codec in ("dither", "perco") and name in ("rgb", "alpha"):
            # they take fewer bytes than the others' cases ask for
            options = {"quality": 60}
        data = diffc.encode(image, backend=codec, **model, **options)
        (folder / f"{name}.diffc").write_bytes(data)
        diffc.decode(data, steps=1, realism=0).save(folder / f"{name}.png")
        info = diffc.info(data)
        fields = {"size": info.size, "mode": info.mode, "codec": info.codec, "model": info.model}
        fields |= {"version": info.bitstream_version, "metadata": info.metadata_bytes}
        (folder / f"{name}.json").write_text(json.dumps(fields, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
