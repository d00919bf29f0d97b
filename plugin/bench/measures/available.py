"""Which measures there are, and those that can be computed here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from diffc.bench.measures.perceptual import PerceptualDistance


@dataclass(frozen=True)
class Measure:
    """One measure of a decoded picture against its original.

    Parameters
    ----------
    name : str
        As in rows.
    label : str
        For people.
    better : {"higher", "lower"}
        Which values are better.
    unit : str
        Such as "dB"; empty for most.
    decimals : int
        How many are worth showing.
    smallest_side : int
        Pixels; of smaller pictures it is not computed.
    about : str
        What it is and where it misleads, for readers of results.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    unit: str = ""
    decimals: int = 4
    smallest_side: int = 1
    about: str = ""

    @property
    def arrow(self) -> str:
        """Where better values are."""
        return "↑" if self.better == "higher" else "↓"

    @property
    def heading(self) -> str:
        """Label, unit and arrow."""
        return f"{self.label}{f', {self.unit}' if self.unit else ''} {self.arrow}"


def _table(*measures: Measure) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


MEASURES = _table(
    Measure("psnr", "PSNR", "higher", "dB", decimals=2),
    # 11 pixels at the fifth scale
    Measure("ms_ssim", "MS-SSIM", "higher", smallest_side=161),
    Measure("vgg", "VGG-19 distance", "lower", decimals=6, smallest_side=8),
    Measure("haarpsi", "HaarPSI", "higher", smallest_side=16),
    Measure("gmsd", "GMSD", "lower", smallest_side=4),
    Measure("lpips", "LPIPS (AlexNet)", "lower", smallest_side=32),
    Measure("dists", "DISTS", "lower", smallest_side=32),
)
"""All measures of one picture, by name, in the order of tables."""

PATCH_DISTANCE = Measure("patch_distance", "Patch distance", "lower")
"""Of all pictures of a codec at once; see `diffc.bench.measures.patch_distance`."""

_NO_WEIGHTS = (
    "the perceptual distance needs weights: pass --perceptual-weights vgg19_conv3_1.safetensors"
)


class Measurer:
    """The measures that this machine can compute.

    Parameters
    ----------
    perceptual_weights : Path, optional
        File of `diffc.bench.measures.perceptual.PerceptualDistance`; without it there is no "vgg" and
        no patch distance.
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

    def __init__(self, perceptual_weights: Path | None, device: str = "cpu") -> None:
        self._perceptual: PerceptualDistance | None = None
        if perceptual_weights is not None:
            from diffc.bench.measures.perceptual import PerceptualDistance

            self._perceptual = PerceptualDistance(perceptual_weights, device)
        self._functions: dict[str, Callable[[Image.Image, Image.Image], float]] = {}
        self.missing: dict[str, str] = {}
        for name, load in self._loaders(device).items():
            try:
                self._functions[name] = load()
            except (ValueError, OSError) as error:
                self.missing[name] = str(error)
        self.available = tuple(self._functions)

    def _loaders(
        self, device: str
    ) -> dict[str, Callable[[], Callable[[Image.Image, Image.Image], float]]]:
        from diffc.bench.measures import published

        return {
            "psnr": lambda: published.psnr,
            "ms_ssim": lambda: published.load_ms_ssim(device),
            "vgg": self._network,
            "haarpsi": lambda: published.load_haarpsi(device),
            "gmsd": lambda: published.load_gmsd(device),
            "lpips": lambda: published.load_lpips(device),
            "dists": lambda: published.load_dists(device),
        }

    def _network(self) -> PerceptualDistance:
        if self._perceptual is None:
            raise ValueError(_NO_WEIGHTS)
        return self._perceptual

    def measure(self, original: Image.Image, decoded: Image.Image) -> dict[str, float]:
        """Compare a decoded picture with its original.

        Parameters
        ----------
        original, decoded : Image
            RGB, of one size.

        Returns
        -------
        dict
            Values by name, to six significant digits (further ones depend on the order in which a
            machine adds).  Without the measures that are missing here, and without those for
            which the picture is too small.

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
        found = {}
        for name, function in self._functions.items():
            if min(original.size) >= MEASURES[name].smallest_side:
                value = function(original, decoded)
                if math.isfinite(value):
                    found[name] = float(f"{value:.6g}")
        return found

    def perceptual(self, original: Image.Image, decoded: Image.Image) -> float:
        """Return the measure "vgg" alone, unrounded.

        Raises
        ------
        ValueError
            If there are no weights, or the pictures do not suit.
        """
        return self._network()(original, decoded)

    def patch_features(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the features of a picture's patches, (patches, dimensions).

        See `diffc.bench.measures.patch_distance.patch_features`.

        Raises
        ------
        ValueError
            If there are no weights, or the picture does not suit.
        """
        from diffc.bench.measures.patch_distance import patch_features

        return patch_features(self._network().last_features(picture))
