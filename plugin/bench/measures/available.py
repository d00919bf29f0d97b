"""Which measures there are, and those that can be computed here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Measure:
    """One measure of decoded pictures against their originals.

    Parameters
    ----------
    name : str
        As in rows.
    label : str
        For people.
    better : {"higher", "lower"}, optional
        Which values are better; None where neither is.
    unit : str
        Such as "dB"; empty for most.
    decimals : int
        How many are worth showing.
    smallest_side : int
        Pixels; of smaller pictures it is not computed.
    rated : bool
        Whether rates compare at equal values of it.
    about : str
        What it is and where it misleads, for readers of results.
    """

    name: str
    label: str
    better: Literal["higher", "lower"] | None
    unit: str = ""
    decimals: int = 4
    smallest_side: int = 1
    rated: bool = True
    about: str = ""

    @property
    def arrow(self) -> str:
        """Where better values are."""
        return {"higher": "↑", "lower": "↓", None: ""}[self.better]

    @property
    def hint(self) -> str:
        """Where better values are, in words."""
        return f"{self.better} is better" if self.better else ""

    @property
    def heading(self) -> str:
        """Label, unit and arrow."""
        return f"{self.label}{f', {self.unit}' if self.unit else ''} {self.arrow}".rstrip()


def _table(*measures: Measure) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


MEASURES = _table(
    Measure("psnr", "PSNR", "higher", "dB", decimals=2),
    # 11 pixels at the fifth scale
    Measure("ms_ssim", "MS-SSIM", "higher", smallest_side=161),
    Measure(
        "vgg",
        "VGG-19 distance",
        "lower",
        decimals=6,
        smallest_side=8,
        about="features of VGG-19 after conv1_2, conv2_2 and conv3_1, of unit length, compared place "
        "by place; a measure of fidelity, which rises with any texture, right or wrong; neither LPIPS "
        "nor DISTS",
    ),
    Measure(
        "texture_structure",
        "Texture-structure",
        "lower",
        smallest_side=8,
        about="means and covariances of the same features over the whole picture, as DISTS compares "
        "those of more layers with fitted weights; it is not DISTS, and no model here was trained on "
        "it",
    ),
    Measure("haarpsi", "HaarPSI", "higher", smallest_side=16),
    Measure("gmsd", "GMSD", "lower", smallest_side=4),
    Measure(
        "spectrum_excess",
        "Spectrum excess",
        "lower",
        decimals=2,
        smallest_side=48,
        rated=False,
        about="the largest ratio of a band of the spectrum of detail to the next octave or direction; "
        "1 is the photograph itself, and a mesh, ringing or missing texture raises it",
    ),
    Measure(
        "spectrum_axes",
        "Axes/diagonals",
        None,
        decimals=2,
        smallest_side=48,
        rated=False,
        about="detail along rows and columns over that on the diagonals, the largest ratio at one "
        "frequency from 1/6 to 1/2.5 cycles a pixel; 1 is the photograph itself, and a mesh of lines "
        "raises it",
    ),
    Measure("lpips", "LPIPS (AlexNet)", "lower", smallest_side=32),
    Measure("dists", "DISTS", "lower", smallest_side=32),
)
"""All measures of one picture, by name, in the order of tables."""

SET_MEASURES = _table(
    Measure(
        "patch_distance",
        "Patch distance",
        "lower",
        rated=False,
        about="an unbiased kernel distance between features of VGG-19 of the 64x64 patches of all "
        "decoded pictures and of their originals, as the kernel inception distance is of whole "
        "pictures; it compares with itself only, and likes a fine mesh which people see at once",
    ),
    Measure(
        "patch_distance_half",
        "Patch distance, 1/2",
        "lower",
        rated=False,
        about="the same of pictures made half as large",
    ),
)
"""Measures of all pictures of a codec at once; see `diffc.bench.measures.patch_distance`."""

REDUCTIONS = {"patch_distance": 1, "patch_distance_half": 2}
"""How many times smaller the pictures of a set are made before."""


class Measurer:
    """The measures that this machine can compute.

    Parameters
    ----------
    perceptual_weights : Path, optional
        File of `diffc.bench.measures.perceptual.PerceptualNetwork`, instead of the package's.
    device : str
        A torch device.

    Attributes
    ----------
    available : tuple of str
        Names of `MEASURES` that can be computed.
    missing : dict of str
        The other names, each with a sentence why not.

    Raises
    ------
    OSError
        If there is a file of perceptual weights and it is not one.
    """

    def __init__(self, perceptual_weights: Path | None = None, device: str = "cpu") -> None:
        from diffc.bench.measures import published, spectrum
        from diffc.bench.measures.perceptual import PerceptualNetwork

        self._network = PerceptualNetwork(perceptual_weights, device)
        loaders: dict[str, Callable[[], published.Compare]] = {
            "psnr": lambda: published.psnr,
            "ms_ssim": lambda: published.load_ms_ssim(device),
            "vgg": lambda: self._network.distance,
            "texture_structure": lambda: self._network.texture_structure,
            "haarpsi": lambda: published.load_haarpsi(device),
            "gmsd": lambda: published.load_gmsd(device),
            "lpips": lambda: published.load_lpips(device),
            "dists": lambda: published.load_dists(device),
        }
        self._functions: dict[str, published.Compare] = {}
        self.missing: dict[str, str] = {}
        for name, load in loaders.items():
            try:
                self._functions[name] = load()
            except (ValueError, OSError) as error:
                self.missing[name] = str(error)
        self._spectrum = spectrum.spectrum
        known = {*self._functions, spectrum.EXCESS, spectrum.AXES}
        self.available = tuple(name for name in MEASURES if name in known)

    def measure(self, original: Image.Image, decoded: Image.Image) -> dict[str, float]:
        """Compare a decoded picture with its original.

        Parameters
        ----------
        original, decoded : Image
            RGB, of one size.

        Returns
        -------
        dict
            Values by name, those of the bands of `diffc.bench.measures.spectrum` included, to six
            significant digits (further ones depend on the order in which a machine adds).  Without
            the measures that are missing here, and without those for which the picture is too small.

        Raises
        ------
        ValueError
            If the pictures are not RGB or differ in size.
        """
        if not (original.mode == decoded.mode == "RGB" and original.size == decoded.size):
            raise ValueError(
                "pictures to compare are RGB and of one size, not "
                f"{original.mode} {original.width}x{original.height} and "
                f"{decoded.mode} {decoded.width}x{decoded.height}: convert or crop one"
            )
        side = min(original.size)
        found = {
            name: function(original, decoded)
            for name, function in self._functions.items()
            if side >= MEASURES[name].smallest_side
        }
        if side >= MEASURES["spectrum_excess"].smallest_side:
            found |= self._spectrum(original, decoded)
        return {name: float(f"{each:.6g}") for name, each in found.items() if math.isfinite(each)}

    def distance(self, original: Image.Image, decoded: Image.Image) -> float:
        """Return the measure "vgg", unrounded; of pictures too small for it, the PSNR below 0.

        It is what ``-ds`` codecs choose their scale by.
        """
        if min(original.size) >= MEASURES["vgg"].smallest_side:
            return self._network.distance(original, decoded)
        return -self._functions["psnr"](original, decoded)

    def patch_features(self, picture: Image.Image) -> dict[str, NDArray[np.float32]]:
        """Return the features of a picture's patches, (patches, dimensions), by `SET_MEASURES`.

        See `diffc.bench.measures.patch_distance.patch_features`.  Scales at which the picture is too
        small are left out.
        """
        from diffc.bench.measures.patch_distance import patch_features

        found = {}
        for name, factor in REDUCTIONS.items():
            size = picture.width // factor, picture.height // factor
            if min(size) >= MEASURES["vgg"].smallest_side:
                smaller = picture
                if factor > 1:
                    smaller = picture.resize(size, Image.Resampling.LANCZOS)
                found[name] = patch_features(self._network.last_features(smaller))
        return found
