"""Models of the zoo, ready to code: everything that decides about symbols is on one CPU thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from diffc.codecs.compressai.config import ZooConfig
from diffc.codecs.compressai.folder import BOTTLENECK, GAUSSIAN, TABLES, read_config, read_network
from diffc.codecs.compressai.latents import (
    UP,
    Decoding,
    Progress,
    checksum,
    first_latent,
    second_latent,
)
from diffc.codecs.compressai.rans import Tables, tables_of
from diffc.threads import ForkSafeLock, on_one_thread


@dataclass(frozen=True)
class Strings:
    """What CompressAI's ``compress`` makes of a picture.

    Parameters
    ----------
    first : bytes
        The hyper-latent's string, or the latent's of a factorized model.
    second : bytes
        The latent's; empty for a factorized model.
    mark : bytes
        See `diffc.codecs.compressai.latents.checksum`; empty for a factorized model, whose tables
        depend on nothing.
    """

    first: bytes
    second: bytes = b""
    mark: bytes = b""


class ZooModel:
    """A model of the zoo.

    Parameters
    ----------
    folder : Path
        See `diffc.codecs.compressai.folder`.
    device : str
        Where analysis and synthesis run; the entropy model stays on the CPU.

    Attributes
    ----------
    config : ZooConfig
        What it is.
    network : compressai.models.CompressionModel
        The network.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.config: ZooConfig = read_config(folder)
        self.network, self._gains, self._variable = read_network(folder, self.config)
        self._first_tables, self._second_tables = self._tables()
        self._lock = ForkSafeLock()
        if device != "cpu":
            self.network.g_a = _Elsewhere(self.network.g_a, device)
            self.network.g_s = _Elsewhere(self.network.g_s, device)

    @property
    def gains(self) -> int:
        """How many gains there are; 1 for a model of fixed rate."""
        return 1 if self._gains is None else len(self._gains)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of what is coded first, given a picture's width and height."""
        width, height = size
        return -(-height // self.config.stride), -(-width // self.config.stride)

    def rows(self, size: tuple[int, int]) -> int:
        """Return how many rows are read one by one; 0 if all are read at once."""
        return UP * self.grid(size)[0] if self.config.autoregressive else 0

    def encode(self, pixels: Tensor, gain: int = 0) -> Strings:
        """Code pixels (1, 3, H, W) in [0, 1], whose sides are multiples of the configuration's.

        The strings are those of CompressAI's own ``compress``.
        """
        value, seen = self._gain(gain), list[Tensor]()
        told = {} if value is None else {"inputscale": value}
        # a variable bottleneck has the tables of one gain, and what is seen is one picture's
        with self._lock, on_one_thread(), torch.inference_mode():
            self._use_tables(gain)
            if not self.config.hyper:
                return Strings(self.network.compress(pixels)["strings"][0][0])
            hook = self._deciding().register_forward_hook(lambda *call: seen.append(call[2]))
            try:
                second, first = self.network.compress(pixels, **told)["strings"]
            finally:
                hook.remove()
            scales, means = self._scales_and_means(seen)
            mark = checksum(scales, means, self.network, value)
        return Strings(first[0], second[0], mark)

    def latent(
        self, strings: Strings, size: tuple[int, int], progress: Progress, gain: int = 0
    ) -> Tensor:
        """Read the latent of a picture of some width and height, (1, M, rows, columns).

        Raises
        ------
        OSError
            If the strings are none of an encoder's, or this machine computes otherwise.
        """
        tables = self._first_tables[gain if self._variable else 0]
        decoding = Decoding(
            self.network, self.config, tables, self._second_tables, self._gain(gain)
        )
        with self._lock, on_one_thread(), torch.inference_mode():
            first = first_latent(decoding, strings.first, self.grid(size))
            if not self.config.hyper:
                return first
            return second_latent(decoding, strings.second, first, strings.mark, progress)

    def pixels(self, latent: Tensor) -> Tensor:
        """Return the pixels (1, 3, H, W) of a latent, float32 in [0, 1], on the CPU."""
        with torch.inference_mode():
            made: Tensor = self.network.g_s(latent)
            return made.clamp(0, 1)

    def _gain(self, number: int) -> Tensor | None:
        return None if self._gains is None else self._gains[number]

    def _deciding(self) -> nn.Module:
        """Return the part whose results are scales and means."""
        name = "entropy_parameters" if self.config.autoregressive else "h_s"
        part: nn.Module = getattr(self.network, name)
        return part

    def _scales_and_means(self, seen: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        found = torch.cat(seen)
        if self.config.architecture.startswith("bmshj2018"):
            return found, None
        if self.config.autoregressive:
            found = found.flatten(1)
        scales, means = found.chunk(2, 1)
        return scales, means

    def _tables(self) -> tuple[list[Tables], Tables]:
        """Return the tables of what is coded first, for each gain if they differ, and the others."""
        state = {GAUSSIAN + "scale_table": torch.zeros(0)} | dict(self.network.state_dict())
        several = self._variable or {name: state[BOTTLENECK + name][None] for name in TABLES}
        first = [tables_of(*each) for each in zip(*(several[name] for name in TABLES), strict=True)]
        second = Tables([], [])
        if self.config.hyper:
            second = tables_of(*(state[GAUSSIAN + name] for name in TABLES))
        channels = len(self.network.entropy_bottleneck.quantiles)
        scales = state[GAUSSIAN + "scale_table"].numel()
        if {len(each.rows) for each in first} != {channels} or len(second.rows) != scales:
            raise ValueError("there is a table for each channel and for each scale")
        if self._gains is not None and len(first) not in (1, len(self._gains)):
            raise ValueError("there are tables for each gain")
        return first, second

    def _use_tables(self, gain: int) -> None:
        for name, each in self._variable.items():
            self.network.entropy_bottleneck.register_buffer(name, each[gain])


class _Elsewhere(nn.Module):
    """A network on another device, between tensors on the CPU."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network = network.to(device)
        self.device = device

    def forward(self, values: Tensor) -> Tensor:
        made: Tensor = self.network(values.to(self.device))
        return made.cpu()
