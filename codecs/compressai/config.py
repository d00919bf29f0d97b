"""What a model of the zoo is: its architecture, read off the names and shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diffc.errors import OptionError

CLASSES = {
    "bmshj2018-factorized": "FactorizedPrior",
    "bmshj2018-factorized-relu": "FactorizedPriorReLU",
    "bmshj2018-hyperprior": "ScaleHyperprior",
    "mbt2018-mean": "MeanScaleHyperprior",
    "mbt2018": "JointAutoregressiveHierarchicalPriors",
    "cheng2020-anchor": "Cheng2020Anchor",
    "cheng2020-attn": "Cheng2020Attention",
    "bmshj2018-hyperprior-vbr": "ScaleHyperpriorVbr",
    "mbt2018-mean-vbr": "MeanScaleHyperpriorVbr",
    "mbt2018-vbr": "JointAutoregressiveHierarchicalPriorsVbr",
}
"""Names of ``compressai.zoo.image_models`` to classes of ``compressai.models``."""


@dataclass(frozen=True)
class ZooConfig:
    """An architecture and its sizes.

    Parameters
    ----------
    architecture : str
        One of `CLASSES`.
    channels, latent_channels : int
        N and M of the papers: channels of the transforms, and of the latent.
    variable_bottleneck : bool
        Whether the step of the hyper-latent's quantiser follows the gain, too.
    """

    architecture: str
    channels: int
    latent_channels: int
    variable_bottleneck: bool = False

    @property
    def hyper(self) -> bool:
        """Whether a hyper-latent says how the latent is distributed."""
        return "factorized" not in self.architecture

    @property
    def autoregressive(self) -> bool:
        """Whether each position of the latent is predicted from those before it."""
        return self.architecture.startswith(("cheng2020", "mbt2018-vbr")) or (
            self.architecture == "mbt2018"
        )

    @property
    def variable(self) -> bool:
        """Whether a gain sets the rate."""
        return self.architecture.endswith("-vbr")

    @property
    def multiple(self) -> int:
        """Sides of pictures are padded to multiples of it."""
        return 64 if self.hyper else 16

    @property
    def stride(self) -> int:
        """Pixels between positions of what is coded first: the hyper-latent, or the latent."""
        return self.multiple

    @property
    def arguments(self) -> tuple[int | bool, ...]:
        """What the class is made with."""
        if self.architecture.startswith("cheng2020"):
            return (self.channels,)
        sizes = (self.channels, self.latent_channels)
        # the autoregressive one always has a fixed step
        if self.variable and not self.autoregressive:
            return (*sizes, self.variable_bottleneck)
        return sizes


def config_of_shapes(shapes: Mapping[str, Sequence[int]]) -> ZooConfig:
    """Return the configuration that weights of some names and shapes belong to.

    Raises
    ------
    OptionError
        If they are no model of the zoo's.
    """
    try:
        return _config(shapes)
    except (KeyError, IndexError) as error:
        raise OptionError(
            "the weights are those of a model of CompressAI's zoo, which these are not (there is "
            f"no {error}): convert one of its released checkpoints"
        ) from error


def _config(shapes: Mapping[str, Sequence[int]]) -> ZooConfig:
    if "g_a.0.conv1.weight" in shapes:
        channels = shapes["g_a.0.conv1.weight"][0]
        attention = any(name.startswith("g_a.3.conv_a") for name in shapes)
        return ZooConfig("cheng2020-attn" if attention else "cheng2020-anchor", channels, channels)
    channels, latent_channels = shapes["g_a.0.weight"][0], shapes["g_a.6.weight"][0]
    if "h_s.0.weight" not in shapes:
        ending = "" if "g_a.1.beta" in shapes else "-relu"
        return ZooConfig(f"bmshj2018-factorized{ending}", channels, latent_channels)
    if "context_prediction.weight" in shapes:
        name = "mbt2018"
    elif shapes["h_s.4.weight"][0] == latent_channels:
        name = "bmshj2018-hyperprior"
    else:
        name = "mbt2018-mean"
    ending = "-vbr" if "Gain" in shapes else ""
    variable = "gayn2zqstep.0.weight" in shapes
    return ZooConfig(name + ending, channels, latent_channels, variable)
