"""Compare one step of relay's network with several steps of residual shifting, on JPEGs.

    python examples/compare_steps.py PHOTOS [--steps 1 2 3 4] [--qualities 10 20] [--photos 4]

As in ResShift (Yue, Wang and Loy, arXiv 2307.12348): after a step, of what the network takes away only a
part stays away, and the next step starts from there with an error that is that much smaller.  Prints
PSNR and patch distance of restored JPEGs, without moving them into their cells, at realism 0 and 0.5.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.bench.measures.available import Measurer
from diffc.bench.measures.patch_distance import paired_patch_distance
from diffc.bench.measures.published import psnr
from diffc.codecs.relay.codec import RelayCodec
from diffc.codecs.relay.decoder import condition_of
from diffc.codecs.relay.model import RestoringModel
from diffc.codecs.relay.source_level import level_of_jpeg, mean_step
from diffc.codecs.shared import models
from diffc.codecs.shared.base_pictures.jpeg_file import read_jpeg_header, steps_of
from diffc.codecs.shared.pictures import padded, to_unit

PATCHES = "patch_distance"


def restored(data: bytes, model: RestoringModel, steps: int, realism: float) -> Image.Image:
    """Return a JPEG, restored in several steps."""
    with Image.open(io.BytesIO(data)) as image:
        shown = image.convert("RGB")
    header = read_jpeg_header(data)
    level = level_of_jpeg(shown, mean_step(steps_of(data, header)))
    y = padded(to_unit(shown)[None], model.multiple)
    generator = torch.Generator().manual_seed(0)
    for number in range(steps):
        # eta of the paper: what is left of the residual
        before, after = (1 - each / steps for each in (number, number + 1))
        condition = condition_of([level * before], [1.0], ["jpeg-420"], model.device)
        sigma = realism * condition.level
        noise = torch.randn(y.shape, generator=generator)
        estimate: Tensor = model.denoise(y + sigma * noise, sigma, y, condition)
        y = estimate + (after / before) * (y - estimate)
    pixels = y[0, :, : shown.height, : shown.width].add(1).mul(127.5).clamp(0, 255).round()
    return Image.fromarray(pixels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--qualities", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--photos", type=int, help="how many, evenly chosen (default: all)")
    args = parser.parse_args()
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    if args.photos:
        paths = paths[:: max(1, len(paths) // args.photos)][: args.photos]
    measurer = Measurer()
    model = models.chosen(RestoringModel, RelayCodec())
    photos = [Image.open(path).convert("RGB") for path in paths]
    patches = [measurer.patch_features(photo)[PATCHES] for photo in photos]
    for quality in args.qualities:
        for realism in (0.0, 0.5):
            for steps in args.steps:
                made = []
                for photo in photos:
                    buffer = io.BytesIO()
                    photo.save(buffer, "JPEG", quality=quality)
                    with torch.inference_mode():
                        made.append(restored(buffer.getvalue(), model, steps, realism))
                nearness = np.mean([psnr(*pair) for pair in zip(photos, made, strict=True)])
                found = [measurer.patch_features(each)[PATCHES] for each in made]
                distance = paired_patch_distance(patches, found).value
                print(
                    f"quality {quality}, realism {realism:g}, steps {steps}: PSNR {nearness:.2f}, "
                    f"patch distance {distance:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
