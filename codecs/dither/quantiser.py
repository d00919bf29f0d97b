"""Universal quantisation of a latent, and the choice of integers that are worth their bits.

With a shared dither u, uniform within half a step, k = round(z / D - u) and y = (k + u) D: the error
y - z is uniform within half a step and independent of z (arXiv 2408.08220, section 3; Ziv 1985).
Where an integer nearer to zero saves more bits than its error is worth it is taken instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diffc.codec import Coded
from diffc.codecs.dither.bitstream import MASKED, DitherParameters, step_of
from diffc.codecs.dither.coding import LARGEST_VALUE, PlaneSymbols, decode_planes
from diffc.codecs.dither.contexts import (
    CONTEXTS,
    LARGEST,
    Activity,
    contexts_of,
    own_part,
    scale_of_context,
    weights_of,
)
from diffc.codecs.dither.prediction import (
    UNIT,
    Plane,
    from_lower,
    from_own,
    predictor_of,
    shift_of,
)
from diffc.errors import FileError
from diffc.noise.streams import Purpose, random_words

Latent = NDArray[np.float32]

_SCALES = np.array(
    [numerator / denominator for numerator, denominator in map(scale_of_context, range(CONTEXTS))],
    dtype=np.float32,
)
# an unlikely symbol costs what the adaptive decisions make of it at most
_LEAST = np.float32(2e-4)


def shared_dither(seed: int, shape: tuple[int, int, int], dithered: int) -> Plane:
    """Return the dither of a latent, in fixed point; zeros where a channel has none.

    Parameters
    ----------
    seed : int
        Of the file.
    shape : tuple of int
        Channels, rows, columns.
    dithered : int
        Bit c is set if channel c has dither; the highest bit stands for all other channels.
    """
    channels, rows, columns = shape
    dither = np.zeros(shape, dtype=np.int64)
    chosen = [each for each in range(channels) if dithered >> min(each, MASKED) & 1]
    if chosen:
        words = random_words(seed, Purpose.DITHER, 0, torch.tensor(chosen), rows * columns, "cpu")
        dither[chosen] = (words.numpy() >> 20).reshape(-1, rows, columns) - UNIT // 2
    return dither


def dequantise(integers: Plane, dither: Plane, step: float) -> Latent:
    """Return y = (k + u) D, float32."""
    return ((integers * UNIT + dither) * (step / UNIT)).astype(np.float32)


@dataclass(frozen=True)
class Quantised:
    """A latent's integers and what is coded of them.

    Parameters
    ----------
    integers : array
        (channels, rows, columns), int64.
    symbols : list of PlaneSymbols
        One for each channel.
    bits : float
        About what they cost.
    """

    integers: Plane
    symbols: list[PlaneSymbols]
    bits: float


def quantise(
    scaled: Latent,
    dither: Plane,
    *,
    components: bool,
    price: float,
    weights: Latent | None = None,
) -> Quantised:
    """Quantise a latent.

    Parameters
    ----------
    scaled : array
        The latent in steps, z / D, (channels, rows, columns).
    dither : array
        Of the same shape, see `shared_dither`.
    components : bool
        See `predictor_of`.
    price : float
        What a bit costs, in squared steps; at 0 every integer is the nearest.
    weights : array, optional
        What an error matters at each position, (rows, columns), in [0, 1].
    """
    shape = (scaled.shape[1], scaled.shape[2])
    activity = Activity(shape)
    values: list[Plane] = []
    integers = np.zeros(scaled.shape, dtype=np.int64)
    symbols = []
    bits = 0.0
    matter = np.float32(1) if weights is None or (weights == 1).all() else weights
    for channel, part in enumerate(dither):
        target: Latent = scaled[channel] - part.astype(np.float32) / np.float32(UNIT)
        nearest = np.rint(np.clip(target, -LARGEST_VALUE, LARGEST_VALUE)).astype(np.int64)
        predictor, own = predictor_of(components, channel), weights_of(channel)
        lower, base = from_lower(predictor, values, shape), activity.base(own)
        chosen = nearest
        predicted = predictor.own or bool(predictor.lower)
        for last in (False, False, True) if price > 0 else (True,):
            if not predicted and not chosen.any():
                break
            prediction = lower + from_own(predictor, chosen * UNIT + part)
            shift, left = shift_of(prediction, part)
            coded = chosen + shift
            sizes = np.minimum(np.abs(coded), LARGEST)
            contexts = contexts_of(base + own_part(own, sizes))
            if not last:
                chosen = _cheapest(target, nearest, shift, left, contexts, price, matter)
        integers[channel] = chosen
        values.append(chosen * UNIT + part)
        if not predicted and not chosen.any():
            # a plane of zeros is coded as such
            symbols.append(PlaneSymbols(chosen, part, chosen))
            activity.update(chosen)
            continue
        symbols.append(PlaneSymbols(coded, left, contexts))
        bits += float(_bits(coded, left, _SCALES[contexts]).sum(dtype=np.float64))
        activity.update(sizes)
    return Quantised(integers, symbols, bits)


def _cheapest(
    target: Latent,
    nearest: Plane,
    shift: Plane,
    left: Plane,
    contexts: Plane,
    price: float,
    matter: Latent | np.float32,
) -> Plane:
    """Return of each nearest integer and others towards zero the one of the least cost."""
    scales = _SCALES[contexts]
    coded = nearest + shift
    towards = np.sign(coded)
    best = _bits(coded, left, scales) * np.float32(price)
    best += matter * np.square(target - nearest)
    chosen = nearest
    # one that hardly matters may go all the way
    largest = int(np.abs(coded).max())
    for steps in (1, 2) if isinstance(matter, np.float32) else (1, 2, largest):
        if steps > largest:
            break
        candidate = nearest - towards * np.minimum(steps, np.abs(coded))
        cost = _bits(candidate + shift, left, scales) * np.float32(price)
        cost += matter * np.square(target - candidate)
        chosen = np.where(cost < best, candidate, chosen)
        best = np.minimum(cost, best)
    return chosen


def _bits(coded: Plane, left: Plane, scales: Latent) -> Latent:
    """Return what integers cost under a Laplace distribution over their cells."""
    centre = coded.astype(np.float32) + left.astype(np.float32) / np.float32(UNIT)
    half = np.float32(0.5)
    share: Latent = _below(centre + half, scales)
    share -= _below(centre - half, scales)
    bits: Latent = -np.log2(np.maximum(share, np.float32(0)) + _LEAST)
    return bits


def _below(value: Latent, scales: Latent) -> Latent:
    tail = np.float32(0.5) * np.exp(-np.minimum(np.abs(value) / scales, np.float32(40)))
    below: Latent = np.where(value < 0, tail, 1 - tail)
    return below


def read_latent(
    coded: Coded, parameters: DitherParameters, shape: tuple[int, int, int]
) -> torch.Tensor:
    """Return the dequantised latent of a file, (1, channels, rows, columns), float32.

    Parameters
    ----------
    coded : Coded
        The file.
    parameters : DitherParameters
        Its own.
    shape : tuple of int
        Channels, rows, columns.

    Raises
    ------
    FileError
        If the payload ends long before its planes.
    """
    dither = shared_dither(parameters.seed, shape, parameters.dithered)
    latent = np.zeros(shape, dtype=np.float32)
    planes = decode_planes(
        coded.payload, dither, components=parameters.components, truncated=coded.truncated
    )
    try:
        for channel, integers in enumerate(planes):
            latent[channel] = dequantise(integers, dither[channel], step_of(parameters.step))
    except ValueError as error:
        raise FileError(f"{error}") from error
    return torch.from_numpy(latent)[None]
