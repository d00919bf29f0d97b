"""From entropy-coded strings to the latent, in the order in which CompressAI has written them.

What a symbol's distribution is follows from floating-point sums: the hyper-synthesis, and for the
autoregressive models the positions before.  A sum that comes out otherwise than where the file was
written makes other symbols of the same bits.  So a file says what its encoder has seen, as a
`checksum`, and another one here is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.compressai.config import ZooConfig
from diffc.codecs.compressai.rans import RansReader, Tables
from diffc.errors import FileError

CHECKSUM_BYTES = 4
UP = 4
"""Positions of the latent for one of the hyper-latent, each way."""
# rows and columns around a position that its prediction sees
_AROUND = 2

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Decoding:
    """What decoding needs of a model.

    Parameters
    ----------
    network : compressai.models.CompressionModel
        On the CPU, float32.
    config : ZooConfig
        What it is.
    first_tables : Tables
        Of what is coded first: the hyper-latent, or the latent of a factorized model.
    second_tables : Tables
        Of the latent, if a hyper-latent is coded first; else it has no rows.
    gain : Tensor, optional
        (), of a model of variable rate.
    """

    network: Any
    config: ZooConfig
    first_tables: Tables
    second_tables: Tables
    gain: Tensor | None = None


def checksum(scales: Tensor, means: Tensor | None, network: Any, gain: Tensor | None) -> bytes:
    """Return the first bytes of a SHA-256 over the tables' indexes and the bits of the means.

    Parameters
    ----------
    scales : Tensor
        Standard deviations, in the order of coding; those that lead to the same index are the same.
    means : Tensor, optional
        Of the shape of ``scales``; None for a model without.
    network : compressai.models.CompressionModel
        Its table of scales counts.
    gain : Tensor, optional
        That the scales are multiplied by.
    """
    indexes = network.gaussian_conditional.build_indexes(scales if gain is None else scales * gain)
    digest = hashlib.sha256(indexes.contiguous().numpy().astype("<i2").tobytes())
    if means is not None:
        digest.update(means.contiguous().numpy().astype("<f4").tobytes())
    return digest.digest()[:CHECKSUM_BYTES]


def first_latent(decoding: Decoding, data: bytes, grid: tuple[int, int]) -> Tensor:
    """Read what is coded first, (1, channels, rows, columns); its distributions are constant.

    Raises
    ------
    FileError
        If the bytes are none of an encoder's.
    """
    bottleneck, (rows, columns) = decoding.network.entropy_bottleneck, grid
    medians: Tensor = bottleneck.quantiles[:, 0, 1].view(1, -1, 1, 1)
    channels = medians.shape[1]
    reader = RansReader(data)
    indexes = (channel for channel in range(channels) for _ in range(rows * columns))
    symbols = reader.symbols(indexes, decoding.first_tables)
    reader.done()
    values = torch.tensor(symbols, dtype=torch.float32).view(1, channels, rows, columns)
    if decoding.config.variable_bottleneck:
        assert decoding.gain is not None  # of a variable bottleneck
        step = bottleneck_step(decoding.network, decoding.gain)
        return values * step + medians
    return values + medians


def bottleneck_step(network: Any, gain: Tensor) -> Tensor:
    """Return the step of a variable bottleneck, ()."""
    step: Tensor = network.lower_bound_zqstep(network.gayn2zqstep(1 / gain.view(1)))
    return step[0]


def second_latent(
    decoding: Decoding, data: bytes, hyper: Tensor, expected: bytes, progress: Progress
) -> Tensor:
    """Read the latent of a model with a hyper-latent, (1, M, rows, columns).

    Parameters
    ----------
    decoding : Decoding
        The model.
    data : bytes
        Anybody's.
    hyper : Tensor
        (1, N, rows / 4, columns / 4).
    expected : bytes
        The `checksum` of the encoder.
    progress : callable
        Called with the number of rows that are done, as far as it goes row by row.

    Raises
    ------
    OSError
        If the sums come out otherwise here, or the bytes are none of an encoder's.
    """
    params = decoding.network.h_s(hyper)
    if decoding.config.autoregressive:
        return _by_position(decoding, data, params, expected, progress)
    scales, means = params, None
    if decoding.config.architecture.startswith("mbt2018"):
        scales, means = params.chunk(2, 1)
    network, gain = decoding.network, decoding.gain
    if checksum(scales, means, network, gain) != expected:
        raise FileError(_OTHER_SUMS)
    indexes = network.gaussian_conditional.build_indexes(scales if gain is None else scales * gain)
    reader = RansReader(data)
    symbols = reader.symbols(indexes.flatten().tolist(), decoding.second_tables)
    reader.done()
    values = torch.tensor(symbols, dtype=torch.float32).view(scales.shape)
    return _restored(decoding, values, scales, means)


def _by_position(
    decoding: Decoding, data: bytes, params: Tensor, expected: bytes, progress: Progress
) -> Tensor:
    """Read the latent position by position, each predicted from those above and to the left."""
    network, gain = decoding.network, decoding.gain
    conditional, context = network.gaussian_conditional, network.context_prediction
    weight = context.weight * context.mask
    height, width = params.shape[2:]
    channels = decoding.config.latent_channels
    latent = torch.zeros(1, channels, height + 2 * _AROUND, width + 2 * _AROUND)
    shift = 0 if gain is None else network.scale_to_context(gain.view(1, 1)).view(1, -1, 1, 1)
    seen_scales, seen_means = [], []
    reader, side = RansReader(data), 2 * _AROUND + 1
    try:
        for row in range(height):
            for column in range(width):
                # the sums are those of CompressAI's encoder, shapes and order included
                part = latent[:, :, row : row + side, column : column + side]
                predicted = F.conv2d(part, weight, bias=context.bias) + shift
                told = params[:, :, row : row + 1, column : column + 1]
                made = network.entropy_parameters(torch.cat((told, predicted), dim=1))
                scales, means = made.squeeze(3).squeeze(2).chunk(2, 1)
                seen_scales.append(scales)
                seen_means.append(means)
                indexes = conditional.build_indexes(scales if gain is None else scales * gain)
                symbols = reader.symbols(indexes[0].tolist(), decoding.second_tables)
                values = torch.tensor(symbols, dtype=torch.float32).view(1, -1)
                latent[:, :, row + _AROUND, column + _AROUND] = _restored(
                    decoding, values, scales, means
                )
            progress(row + 1)
        reader.done()
    except FileError as error:
        # bits that were read with other tables soon make no sense
        raise FileError(_OTHER_SUMS) from error
    if checksum(torch.cat(seen_scales), torch.cat(seen_means), network, gain) != expected:
        raise FileError(_OTHER_SUMS)
    return latent[:, :, _AROUND:-_AROUND, _AROUND:-_AROUND]


def _restored(decoding: Decoding, values: Tensor, scales: Tensor, means: Tensor | None) -> Tensor:
    """Return the latent of some symbols; with a gain, moved to where its values are on average."""
    gain = decoding.gain
    if gain is None:
        return values if means is None else values + means
    network = decoding.network
    deviations = network.gaussian_conditional.lower_bound_scale(scales * gain)
    told = torch.stack((deviations, gain.expand(deviations.shape)), dim=-1)
    size = values.abs()
    nearer = -network.QuantABCD(told).squeeze(-1)
    nearer[size < 0.0001] = 0
    restored: Tensor = values.sign() * (size + nearer) * (1 / gain)
    return restored if means is None else restored + means


_OTHER_SUMS = (
    "the model's floating-point sums come out otherwise on this machine than on the one that wrote "
    "the file, so its bits cannot be read here: decode it with the processor and the torch release "
    "that it was written with"
)
