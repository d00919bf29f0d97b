"""Which settings of the AV1 encoder lead to the best picture of ``relay``?  At equal bytes.

    python examples/compare_base_settings.py FOLDER [--base]

Every setting codes each photo at the scale that the rate control chooses with the first of them, at
the two qualities whose lengths are around the target; measures of the restored picture (with ``--base`` of
the base as it is enlarged, which takes half the time) are interpolated in the logarithm of the
bytes, so that steps of the quality do not count.  Needs ``pip install "diffc[bench]"``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from diffc.bench.measures.patch_distance import Array, paired_patch_distance, patch_features
from diffc.bench.measures.perceptual import PerceptualNetwork
from diffc.bench.measures.published import load_ms_ssim, psnr
from diffc.codec import Coded, DecodeOptions
from diffc.codecs.relay.bitstream import RelayParameters, error_level
from diffc.codecs.relay.codec import RelayCodec
from diffc.codecs.relay.model import KIND
from diffc.codecs.relay.rate_search import Trials, base_size, fit
from diffc.codecs.shared import models
from diffc.codecs.shared.base_pictures.av1_picture import Av1Coder
from diffc.pictures.pixels import to_pillow

# what the file has besides the base
_OVERHEAD = 26


IQ: dict[str, object] = {"tune": "iq"}
SSIM: dict[str, object] = {"tune": "ssim"}
BOTH: dict[str, object] = {"tune": "ssim", "enable_chroma_deltaq": 1}
SETTINGS: dict[str, tuple[int, dict[str, object]]] = {
    "tune=iq": (6, IQ),
    "tune=psnr": (6, {"tune": "psnr"}),
    "tune=ssim": (6, SSIM),
    "tune=ssimulacra2": (6, {"tune": "ssimulacra2"}),
    "iq, sharpness=0": (6, IQ | {"sharpness": 0}),
    "iq, sharpness=3": (6, IQ | {"sharpness": 3}),
    "iq, cdef=0": (6, IQ | {"enable_cdef": 0}),
    "iq, cdef=1": (6, IQ | {"enable_cdef": 1}),
    "iq, loop filter=0": (6, IQ | {"loopfilter_control": 0}),
    "iq, deltaq=0": (6, IQ | {"deltaq_mode": 0}),
    "iq, deltaq=3": (6, IQ | {"deltaq_mode": 3}),
    "iq, chroma deltaq=0": (6, IQ | {"enable_chroma_deltaq": 0}),
    "iq, qm=0": (6, IQ | {"enable_qm": 0}),
    "iq, qm=0, sharpness=0": (6, IQ | {"enable_qm": 0, "sharpness": 0}),
    "iq, qm=0, deltaq=0": (6, IQ | {"enable_qm": 0, "deltaq_mode": 0}),
    "ssim, sharpness=3": (6, SSIM | {"sharpness": 3}),
    "ssim, qm=1": (6, SSIM | {"enable_qm": 1}),
    "ssim, deltaq=3": (6, SSIM | {"deltaq_mode": 3}),
    "psnr, deltaq=3": (6, {"tune": "psnr", "deltaq_mode": 3}),
    "ssim, chroma deltaq=1": (6, BOTH),
    "ssim, chroma deltaq=1, sharpness=3": (6, BOTH | {"sharpness": 3}),
    "ssim, chroma deltaq=1, trellis=1": (6, BOTH | {"disable_trellis_quant": 1}),
    "ssim, chroma deltaq=1, adaptive rounding": (6, BOTH | {"quant_b_adapt": 1}),
    "ssim, chroma deltaq=1, blocks from 8": (6, BOTH | {"min_partition_size": 8}),
    "ssim, chroma deltaq=1, speed=2": (2, BOTH),
    "ssim, chroma deltaq=1, speed=3": (3, BOTH),
    "ssim, chroma deltaq=1, speed=4": (4, BOTH),
    "ssim, chroma deltaq=1, speed=5": (5, BOTH),
    "ssim, chroma deltaq=1, speed=5, blocks from 8": (5, BOTH | {"min_partition_size": 8}),
    "ssim, chroma deltaq=1, speed=7": (7, BOTH),
    "ssim, chroma deltaq=1, speed=8": (8, BOTH),
}
"""Speed and options of aom, an underscore for a hyphen, by the name that the table gives them."""


def coder_of(name: str) -> Av1Coder:
    """Return the coder with a setting."""
    speed, advanced = SETTINGS[name]
    options = {option.replace("_", "-"): str(value) for option, value in advanced.items()}
    return Av1Coder(speed=speed, advanced=options)


@dataclass
class Column:
    """Figures of one setting at one rate, an entry for each photo.

    ``rows`` are PSNR, MS-SSIM and VGG-19 distance, ``originals``, ``below`` and ``above`` features for
    the patch distance: of the photos, and of the pictures around the target; ``places`` say where
    between these it is.
    """

    rows: list[list[float]] = field(default_factory=list)
    originals: list[Array] = field(default_factory=list)
    below: list[Array] = field(default_factory=list)
    above: list[Array] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def line(self, name: str, first: Column) -> str:
        """Return the row of a table, with the distance's change against the first setting."""
        decibels, similarity, distance = np.mean(self.rows, axis=0)
        change = 100 * (distance / np.mean(first.rows, axis=0)[2] - 1)
        ends = [
            paired_patch_distance(self.originals, each).value for each in (self.below, self.above)
        ]
        cells = [name, f"{decibels:.2f}", f"{similarity:.4f}", f"{1e3 * distance:.3f}"]
        cells += [f"{change:+.1f} %", f"{np.interp(np.mean(self.places), (0, 1), ends):.3f}"]
        return " | ".join([*cells, f"{np.mean(self.seconds):.3f}"])


class Measurements:
    """The measures, and the picture that they are of: relay's, or its base."""

    def __init__(self, weights: Path | None, *, base: bool) -> None:
        self.network = PerceptualNetwork(weights, "cpu")
        self.similarity = load_ms_ssim("cpu")
        self.base = base
        self.fingerprint = models.fingerprint(models.folder_of(None, KIND))

    def of(self, photo: Image.Image, picture: Image.Image) -> list[float]:
        """Return the row of a picture."""
        return [
            psnr(photo, picture),
            self.similarity(photo, picture),
            self.network.distance(photo, picture),
        ]

    def patches(self, picture: Image.Image) -> Array:
        """Return features for the patch distance."""
        return patch_features(self.network.last_features(picture))

    def decoded(
        self, photo: Image.Image, scale: float, coder: Av1Coder, coded: bytes
    ) -> Image.Image:
        """Return the picture that relay makes of a base, or the base as it is enlarged."""
        base = coder.decode(coded, base_size(photo.size, scale), grey=False)
        if self.base:
            return base.resize(photo.size, Image.Resampling.BICUBIC)
        level = error_level(photo, base)
        parameters = RelayParameters(coder.identifier, scale, False, level, 0).pack()
        pixels = RelayCodec().decode(
            Coded(coded, parameters, photo.size, 1, self.fingerprint), DecodeOptions()
        )
        return to_pillow(pixels, "RGB")


def around(trials: Trials, scale: float, room: int) -> tuple[int, int]:
    """Return indices of two neighbouring qualities, the last that fits and one that does not."""
    below, above = 0, trials.last
    while above - below > 1:
        middle = (below + above) // 2
        if trials.length(scale, middle) <= room:
            below = middle
        else:
            above = middle
    # where not even the lowest fits, the nearest that are not as long as each other
    while trials.length(scale, above) == trials.length(scale, below):
        above += 1
    return below, above


def compare(
    column: Column,
    photo: Image.Image,
    scale: float,
    room: int,
    coder: Av1Coder,
    with_: Measurements,
) -> None:
    """Add a photo to a column."""
    trials = Trials(coder, photo, scale)
    trials.scaled(scale)
    started = time.process_time()
    ends = around(trials, scale, room)
    column.seconds.append((time.process_time() - started) / len(trials.made))
    lengths = [math.log(trials.length(scale, index)) for index in ends]
    # a little outside, where not even the lowest quality fits
    place = (math.log(room) - lengths[0]) / (lengths[1] - lengths[0])
    figures = []
    for index, found in zip(ends, (column.below, column.above), strict=True):
        picture = with_.decoded(photo, scale, coder, trials.coded(scale, index))
        figures.append(with_.of(photo, picture))
        found.append(with_.patches(picture))
    low, high = np.array(figures)
    column.rows.append((low + place * (high - low)).tolist())
    column.places.append(place)
    column.originals.append(with_.patches(photo))


def main() -> None:
    """Print a table for each rate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", default="*.png")
    parser.add_argument("--every", type=int, default=3, help="use each third photo (default)")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--perceptual-weights", type=Path)
    parser.add_argument("--base", action="store_true", help="measure the base itself")
    options = parser.parse_args()
    paths = sorted(options.folder.glob(options.pattern))[:: options.every]
    if not paths:
        parser.error(f"{options.folder} has no {options.pattern}: name another folder")
    with_ = Measurements(options.perceptual_weights, base=options.base)
    columns = {(bpp, name): Column() for bpp in options.bpp for name in options.settings}
    for path in paths:
        with Image.open(path) as image:
            photo = Image.fromarray(np.asarray(image.convert("RGB")))
        for bpp in options.bpp:
            room = int(bpp * photo.width * photo.height / 8) - _OVERHEAD
            found = fit(Trials(coder_of(options.settings[0]), photo), room)
            if found is None:
                parser.error(f"{path.name} has no base of {room} bytes: choose a higher rate")
            for name in options.settings:
                coder = coder_of(name)
                compare(columns[bpp, name], photo, found[0], room, coder, with_)
    for bpp in options.bpp:
        _print(bpp, options.settings, columns)


def _print(bpp: float, names: Sequence[str], columns: dict[tuple[float, str], Column]) -> None:
    first = columns[bpp, names[0]]
    print(f"{bpp:g} bpp, {len(first.places)} photos; VGG-19 distances times 1000")
    print("setting | PSNR | MS-SSIM | VGG-19 | change | patch distance | seconds an encode")
    for name in names:
        print(columns[bpp, name].line(name, first))
    print(flush=True)


if __name__ == "__main__":
    main()
