"""The encoder's attempts at a latent: quantised with one step or another, and coded."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from diffc.codecs.dither.bitstream import ALL_CHANNELS, MASKED, NO_CHANNELS, step_of
from diffc.codecs.dither.coding import SymbolModel
from diffc.codecs.dither.decoder import default_steps, denoise
from diffc.codecs.dither.prediction import SMOOTH_COMPONENTS, Plane
from diffc.codecs.dither.quantiser import Quantised, dequantise, quantise, shared_dither
from diffc.codecs.dither.rates import Attempt
from diffc.codecs.shared.latents.models import LatentModel
from diffc.entropy.range_coder import RangeEncoder

# channels of a root mean square above so many steps may have dither: it costs others too much
_STRONG = 0.25
# noise levels that are tried, as parts of that of dither throughout
_LEVELS = (0.25, 0.35, 0.42, 0.5, 0.6, 0.71, 0.84, 1.0, 1.19)
_FIRST_LEVEL = 3


class LatentCoder:
    """A latent, and how it is quantised with steps of any size.

    Parameters
    ----------
    latent : Tensor
        (1, channels, rows, columns).
    weights : Tensor
        What an error matters at each position, (1, 1, rows, columns), in [0, 1].
    components : bool
        See `diffc.codecs.dither.prediction.predictor_of`.
    dither : str
        Which channels have any: smooth, all or none.
    price : float
        See `diffc.codecs.dither.quantiser.quantise`.
    seed : int
        Of the dither.
    """

    def __init__(
        self,
        latent: Tensor,
        weights: Tensor,
        *,
        components: bool,
        dither: str,
        price: float,
        seed: int,
    ) -> None:
        self.latent = latent
        self._values = latent[0].float().cpu().numpy()
        self._weights = weights[0, 0].cpu().numpy()
        self._components, self._choice, self._price = components, dither, price
        self._seed = seed
        # summed in double precision by numpy: the same on any number of threads
        squares = np.square(self._values, dtype=np.float64)
        self._strengths = np.sqrt(squares.reshape(len(squares), -1).mean(1))
        channels, rows, columns = self._values.shape
        self._shape = (channels, rows, columns)
        self._last: tuple[int, Quantised] | None = None

    def dithered(self, index: int) -> int:
        """Return which channels have dither with a step, as `shared_dither` takes it."""
        if self._choice != "smooth":
            return NO_CHANNELS if self._choice == "none" else ALL_CHANNELS
        candidates = SMOOTH_COMPONENTS if self._components else range(MASKED)
        strong = self._strengths > _STRONG * step_of(index)
        return sum(1 << each for each in candidates if each < len(strong) and strong[each])

    def quantised(self, index: int) -> Quantised:
        """Return the latent quantised with the step of an index."""
        if self._last is None or self._last[0] != index:
            scaled = (self._values / step_of(index)).astype(np.float32)
            made = quantise(
                scaled,
                self._dither_of(index),
                components=self._components,
                price=self._price,
                weights=self._weights,
            )
            self._last = index, made
        return self._last[1]

    def attempt(self, index: int) -> Attempt:
        """Quantise with the step of an index; the payload is coded when it is asked for."""
        return Attempt(index, self.quantised(index).bits / 8, partial(self._payload, index))

    def matching_time(self, model: LatentModel, index: int) -> int:
        """Return the place of the noise level from which denoising comes nearest to the latent.

        Neighbouring levels are tried as long as they are better.
        """
        step = step_of(index)
        integers = self.quantised(index).integers
        values = dequantise(integers, self._dither_of(index), step)
        start = torch.from_numpy(values)[None].to(self.latent.device)
        errors: dict[int, float] = {}

        def time_of(level: int) -> int:
            wanted = step / 12**0.5 * _LEVELS[level]
            return min(range(len(model.sigmas)), key=lambda i: abs(model.sigmas[i] - wanted))

        def error(level: int) -> float:
            if level not in errors:
                steps = default_steps(model)
                estimate, _ = denoise(model, start, time_of(level), steps)
                difference = (estimate - self.latent)[0].float().cpu().numpy()
                errors[level] = float(np.square(difference, dtype=np.float64).sum())
            return errors[level]

        best = len(_LEVELS) - 2 if self._choice == "all" else _FIRST_LEVEL
        for direction in (1, -1):
            while 0 <= best + direction < len(_LEVELS) and error(best + direction) < error(best):
                best += direction
        return time_of(best)

    def _payload(self, index: int) -> bytes:
        encoder, model = RangeEncoder(), SymbolModel()
        for symbols in self.quantised(index).symbols:
            model.encode_plane(encoder, symbols)
        return encoder.finish()

    def _dither_of(self, index: int) -> Plane:
        return shared_dither(self._seed, self._shape, self.dithered(index))
