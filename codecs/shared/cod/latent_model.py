"""CoD's models as those of a codec that walks from noise: one model for any rate.

Noise levels and the times that the network is asked at are those of the public DiffC on CoD: step k of
1000 is at s = (k - 1) / 1000 on the straight path, and the network is asked at t = 1 - k / 1000, which is
0.001 less than 1 - s.  What lies below k = 2 has no noise there, and no level here.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from diffc.codecs.shared.cod.folder import has_velocity_network, read_velocity_config
from diffc.codecs.shared.cod.sizes import PIXEL
from diffc.codecs.shared.cod.velocity_model import VelocityModel, read_model
from diffc.codecs.shared.diffusion.denoisers import Denoiser, flow_sigma, guided
from diffc.codecs.shared.models import load_once
from diffc.codecs.shared.tokens.fixed_length import pack, payload_length, unpack
from diffc.errors import OptionError
from diffc.models.identity import fingerprint

_COUNT = 1000
_TIMES = [(k - 1) / _COUNT for k in range(2, _COUNT + 1)]

# the least evaluations after the coded steps
_SHORTEST_TAIL = 2


class CodLatents:
    """Pixels to what a CoD network denoises and back, and a denoiser between.

    A file of it begins with a description of its picture, CoD's tokens, and the denoiser is that
    under them; without one it is that of no picture.

    Parameters
    ----------
    model : VelocityModel
        Of many steps.
    mark : bytes
        Its fingerprint.
    condition : Tensor, optional
        Of a described picture.
    guidance : float
        How far estimates are moved away from those for no picture; 1 is not at all.
    """

    draws = False

    def __init__(
        self,
        model: VelocityModel,
        mark: bytes,
        condition: Tensor | None = None,
        guidance: float = 1.0,
    ) -> None:
        self._model, self._condition, self._guidance = model, condition, guidance
        config = model.config
        self.fingerprint, self.device = mark, model.device
        self.channels, self.multiple = config.channels, config.multiple
        self.positions = config.multiple // model.factor
        self.keeps_lengths = config.space == PIXEL
        self.sigmas = [flow_sigma(s) for s in _TIMES]

    @property
    def denoiser(self) -> Denoiser:
        """``denoised = denoiser(x, sigma)`` at the levels of `sigmas`."""
        return self.walker(1)

    def walker(self, cache: int) -> Denoiser:
        """Return a denoiser for the steps of one walk, asked in their order.

        The network runs whole at every ``cache``-th of them.
        """
        nothing = self._denoiser_of_nothing(cache)
        if self._condition is None:
            return nothing
        return guided(self._under(self._condition, cache), nothing, self._guidance)

    def _under(self, condition: Tensor, cache: int) -> Denoiser:
        return self._model.denoiser(condition, _TIMES, lambda s: (_COUNT - 1) / _COUNT - s, cache)

    def _denoiser_of_nothing(self, cache: int) -> Denoiser:
        stride = self._model.config.stride // self._model.factor
        # one for each size: made when it is asked, for most walks never ask
        made: dict[tuple[int, int], Denoiser] = {}

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            grid = x.shape[2] // stride, x.shape[3] // stride
            if grid not in made:
                made[grid] = self._under(self._model.no_condition(grid), cache)
            return made[grid](x, sigma)

        return denoise

    def describe(self, pixels: Tensor) -> bytes:
        """Return CoD's tokens of pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`."""
        return pack(self._model.tokens(pixels), self._model.config.bits)

    def description_length(self, size: tuple[int, int]) -> int:
        """Return the bytes of the description of a picture of some width and height."""
        rows, columns = self._grid(size)
        return payload_length(rows * columns, self._model.config.bits)

    def under(self, description: bytes, size: tuple[int, int]) -> CodLatents:
        """Return the model of a described picture.

        Parameters
        ----------
        description : bytes
            See `describe`.
        size : tuple of int
            Width and height of the picture.

        Raises
        ------
        OSError
            If it is no description of such a picture.
        """
        tokens = unpack(description, self._grid(size), self._model.config.bits)
        return CodLatents(self._model, self.fingerprint, self._model.condition(tokens))

    def guided(self, guidance: float | None) -> CodLatents:
        """Return the model with guidance; None is what its configuration says."""
        chosen = self._model.config.guidance if guidance is None else guidance
        return CodLatents(self._model, self.fingerprint, self._condition, chosen)

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = (-(-side // self.multiple) * self.multiple for side in size)
        return height // self._model.config.stride, width // self._model.config.stride

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to a latent."""
        return self._model.analyse(pixels)

    def synthesise(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1]; nothing else matters."""
        return self._model.synthesise(latent)

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to pixels: there is one way."""
        return self._model.synthesise(latent)

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left: all of them."""
        return max(_SHORTEST_TAIL, left)


def load(folder: Path, device: str) -> CodLatents:
    """Return the model of a folder; the network is read once in a process.

    Raises
    ------
    OptionError
        If it takes one step only.
    OSError
        If the folder holds no model that can be used here.
    ModelNotAvailableError
        If its autoencoder needs a package that is not installed.
    """
    if not has_velocity_network(folder) or read_velocity_config(folder).one_step:
        raise OptionError(
            f"{folder.name} makes pictures in one step, and has no noise levels to walk along: name "
            "a CoD model of many steps"
        )
    return CodLatents(load_once(read_model, folder, device), fingerprint(folder))
