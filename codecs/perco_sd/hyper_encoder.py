"""The hyper-encoder of PerCo (SD): a latent to a grid of tokens, by the names of its release.

Written anew from the structure and the names in the public training code (Nikolai10/PerCo,
``hyper_encoder.py``: layers in the manner of ELIC, attention blocks of CompressAI).  Its number of
parameters is the published one for two rates.  The released weights themselves, which no hub
serves, have not been read here; the repository holds a second design (``hyper_encoder_v2.py``) that
its training does not use, and that is refused by its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.networks.strict_weights import read_weights
from diffc.codecs.shared.tiling.blended import Tiling, blended
from diffc.models.identity import config_of

# memory for the cosines of so many positions with all codes
_POSITIONS = 1 << 14


class CosineCodebook(nn.Module):
    """The codes, and what training kept of them, which nothing here uses.

    Parameters
    ----------
    words : int
        Codes.
    width : int
        Elements of each.
    """

    embed: Tensor

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.register_buffer("initted", torch.ones(1))
        self.register_buffer("cluster_size", torch.ones(1, words))
        self.register_buffer("embed_avg", torch.zeros(1, words, width))
        self.register_buffer("embed", torch.zeros(1, words, width))


class CosineQuantiser(nn.Module):
    """Vectors to indices, and indices to vectors.

    Parameters
    ----------
    channels : int
        Elements of a vector.
    words, width : int
        See `CosineCodebook`; vectors are projected to ``width`` elements.
    """

    def __init__(self, channels: int, words: int, width: int) -> None:
        super().__init__()
        # where nothing is to be projected, the package has no weights for it
        projects = channels != width
        self.project_in = nn.Linear(channels, width) if projects else nn.Identity()
        self.project_out = nn.Linear(width, channels) if projects else nn.Identity()
        self._codebook = CosineCodebook(words, width)

    def indices(self, vectors: Tensor) -> Tensor:
        """Return the codes nearest in direction, int64 (N, h, w).

        Parameters
        ----------
        vectors : Tensor
            (N, channels, h, w), float32.
        """
        count, channels, rows, columns = vectors.shape
        flat = vectors.permute(0, 2, 3, 1).reshape(-1, channels)
        codes = self._codebook.embed[0]
        # not the nearest point: a code that training left unused has shrunk towards zero
        parts = (flat[start : start + _POSITIONS] for start in range(0, len(flat), _POSITIONS))
        found = [(F.normalize(self.project_in(part), dim=-1) @ codes.T).argmax(1) for part in parts]
        return torch.cat(found).reshape(count, rows, columns)

    def words(self) -> Tensor:
        """Return what every index stands for, (words, channels)."""
        made: Tensor = self.project_out(self._codebook.embed[0])
        return made


# rows of the latent that it was trained on, pictures of 512 pixels; cfg_ss is those of its tokens
_TRAINED = 64
_STRIDES = {_TRAINED // stride: stride for stride in (1, 2, 4, 8)}
_MOST_WORDS = 1 << 16
# in the finest features' positions: they stay under some 100 MB
_TILE, _LARGEST, _OVERLAP = 256, 384, 128


@dataclass(frozen=True)
class HyperEncoderConfig:
    """Sizes of a `HyperEncoder`, under the names of its ``config.json``.

    Parameters
    ----------
    in_channels : int
        Of the latent.
    N, M : int
        Channels inside, and of what tokens stand for; even.
    codebook_dim : int
        Elements of a code.
    cfg_ss : int
        Tokens along a side of 512 pixels: 64, 32, 16 or 8.
    cfg_cs : int
        Codes, 2 to 65536.
    """

    in_channels: int
    N: int
    M: int
    codebook_dim: int
    cfg_ss: int
    cfg_cs: int

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 16:
                raise ValueError(f"{name} is a number from 1 to 65536, not {str(value)[:100]}")
        if self.cfg_ss not in _STRIDES:
            raise ValueError(f"cfg_ss is 64, 32, 16 or 8, not {self.cfg_ss}")
        if self.cfg_cs < 2:
            raise ValueError(f"cfg_cs is 2 to {_MOST_WORDS}, not {self.cfg_cs}")
        if self.N % 2 or self.M % 2:
            raise ValueError(f"N and M are even, not {self.N} and {self.M}")

    @property
    def stride(self) -> int:
        """Positions of the latent along a side for each token."""
        return _STRIDES[self.cfg_ss]

    @property
    def bits(self) -> int:
        """Bits of a token."""
        return (self.cfg_cs - 1).bit_length()


class BottleneckBlock(nn.Module):
    """Three convolutions, the middle one 3x3 on half the channels, around which the input goes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = _bottleneck(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, channels, h, w)."""
        made: Tensor = x + self.layers(x)
        return made


class ResidualUnit(nn.Module):
    """The same with a rectifier behind, and under the name that CompressAI gives it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _bottleneck(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, channels, h, w)."""
        return F.relu(x + self.conv(x))


class AttentionBlock(nn.Module):
    """Features weighted by a sigmoid of their neighbourhood (arXiv 2001.01568), simplified."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(ResidualUnit(channels) for _ in range(3)))
        self.conv_b = nn.Sequential(
            *(ResidualUnit(channels) for _ in range(3)), nn.Conv2d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, channels, h, w)."""
        made: Tensor = x + self.conv_a(x) * torch.sigmoid(self.conv_b(x))
        return made


class HyperEncoder(nn.Module):
    """A latent to tokens; what they stand for is in `words`.

    Parameters
    ----------
    config : HyperEncoderConfig
        Sizes.
    """

    def __init__(self, config: HyperEncoderConfig) -> None:
        super().__init__()
        self.config = config
        inner, outer = config.N, config.M

        def halving(channels: int, *, halves: bool) -> nn.Conv2d:
            if halves:
                return nn.Conv2d(channels, inner, 5, stride=2, padding=2)
            return nn.Conv2d(channels, inner, 1)

        def blocks() -> list[nn.Module]:
            return [BottleneckBlock(inner) for _ in range(3)]

        self.backbone = nn.Sequential(
            halving(config.in_channels, halves=config.stride == 8),
            *blocks(),
            halving(inner, halves=config.stride >= 4),
            *blocks(),
            AttentionBlock(inner),
            halving(inner, halves=config.stride >= 2),
            *blocks(),
            nn.Conv2d(inner, outer, 1),
            AttentionBlock(outer),
        )
        self.quantizer = CosineQuantiser(outer, config.cfg_cs, config.codebook_dim)

    def forward(self, latent: Tensor) -> Tensor:
        """Map a latent to tokens.

        Parameters
        ----------
        latent : Tensor
            (1, in_channels, h, w), float32; sides are multiples of the stride.

        Returns
        -------
        Tensor
            Indices, int64 (1, h / stride, w / stride).
        """
        stride = self.config.stride
        tiling = Tiling(_LARGEST // stride, _TILE // stride, _OVERLAP // stride, multiple=1)
        return self.quantizer.indices(blended(self.backbone, latent, tiling, before=stride))

    def words(self) -> Tensor:
        """Return what every token stands for, (cfg_cs, M)."""
        return self.quantizer.words()


def _bottleneck(channels: int) -> nn.Sequential:
    half = channels // 2
    return nn.Sequential(
        nn.Conv2d(channels, half, 1),
        nn.ReLU(),
        nn.Conv2d(half, half, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(half, channels, 1),
    )


def empty_hyper_encoder(config: HyperEncoderConfig) -> HyperEncoder:
    """Return a network whose weights have names and shapes, but no memory."""
    with torch.device("meta"):
        return HyperEncoder(config)


def read_hyper_encoder(part: Path) -> HyperEncoder:
    """Read ``hyper_enc`` of a directory, float32 on the CPU; every key has to be there, and no other.

    Raises
    ------
    OSError
        If it is of another design, or its weights are not those of the configuration.
    """
    config = _config(part, config_of(part))
    network = empty_hyper_encoder(config)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(read_weights(part, shapes, torch.float32), assign=True)
    return network.eval().requires_grad_(False)


def _config(part: Path, config: Mapping[str, Any]) -> HyperEncoderConfig:
    names = HyperEncoderConfig.__dataclass_fields__
    missing = [name for name in names if name not in config]
    extra = [
        name[:100] for name in sorted(config) if name not in names and not name.startswith("_")
    ]
    if missing or extra:
        raise OSError(
            f"the configuration of PerCo's hyper-encoder has {', '.join(names)}, and {part} has not "
            f"{', '.join(missing) or 'only these'} but {', '.join(extra) or 'no other'}: use "
            "released weights of this design"
        )
    try:
        return HyperEncoderConfig(**{name: config[name] for name in names})
    except ValueError as error:
        raise OSError(f"{part} has no usable configuration ({error}): fetch it anew") from error
