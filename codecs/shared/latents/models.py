"""The models that a latent codec can walk in, behind one interface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from diffc.codec import Codec, Coded, DecodeOptions, Picture
from diffc.codecs.shared import models
from diffc.codecs.shared.cod import latent_model as cod
from diffc.codecs.shared.declarations import COD
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.pictures import check_padded_size, pad_picture
from diffc.codecs.shared.region_of_interest import position_weights
from diffc.codecs.shared.stable_diffusion import pipeline
from diffc.devices import device_of
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models.identity import kind_of

KINDS = (patch_model.KIND, pipeline.KIND)

DEFAULT_REALISM = 0.7
"""Of the detail that is drawn: chosen by looking, and by the measures of docs/ddcm.md."""


def realism_of(options: DecodeOptions) -> float:
    """Return the realism that is asked for."""
    return DEFAULT_REALISM if options.realism is None else options.realism


class LatentModel(Protocol):
    """Pixels to latent, latent to pixels, and a denoiser between."""

    fingerprint: bytes
    device: str
    """Where it runs."""
    channels: int
    """Of the latent."""
    multiple: int
    """Pixels that sides are padded to multiples of."""
    positions: int
    """Positions of the latent along a side, for so many pixels."""
    keeps_lengths: bool
    """Whether a squared error in the latent is that for pixels in [-1, 1]."""
    draws: bool
    """Whether realism makes a difference to its pixels."""
    sigmas: list[float]
    """Noise levels to walk along, rising."""

    @property
    def denoiser(self) -> Denoiser:
        """``denoised = denoiser(x, sigma)`` at the levels of `sigmas`."""

    def walker(self, cache: int) -> Denoiser:
        """Return a denoiser for the steps of one walk, asked in their order.

        The network runs whole at every ``cache``-th of them, see `FeatureReuse`; 1 is `denoiser`.
        """

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of ``multiple``, to a latent."""

    def synthesise(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1].

        Parameters
        ----------
        latent : Tensor
            The estimate.
        sigma : float
            The noise level that its bits ended at.
        realism : float
            From 0, as faithful as it can be, to 1, the most natural picture, for models that know
            such a difference.
        seed : int
            Of noise that detail is drawn from.
        """

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to the pixels that it says, without what a network would add."""

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left."""


def takes_prompts(folder: Path) -> bool:
    """Tell whether a folder's model has a text encoder."""
    return kind_of(folder) == pipeline.KIND


def load(folder: Path, device: str, prompt: str, precision: str | None = None) -> LatentModel:
    """Return the model of a folder, read once in a process; see the modules of its kind."""
    if takes_prompts(folder):
        return pipeline.load(folder, device, prompt, precision)
    if kind_of(folder) == COD.name:
        return cod.load(folder, device)
    return patch_model.load(folder, device)


def chosen(codec: Codec, prompt: str = "", precision: str | None = None) -> LatentModel:
    """Return the model that an encoder's options name; see `diffc.codecs.shared.models.chosen`.

    Parameters
    ----------
    codec : Codec
        Its options ``model`` and ``device`` count.
    prompt : str
        What the picture shows; empty for nothing.
    precision : str, optional
        Of its weights, see `diffc.codecs.shared.acceleration`.

    Raises
    ------
    OptionError
        If it is none that the codec can use, takes no prompt or precision, or needs packages that
        are not installed.
    """
    folder = models.folder_of(codec.model, *models.names_of(codec))
    if prompt and not takes_prompts(folder):
        raise OptionError(
            f"the model {folder.name!r} takes no prompt: leave prompt out, or name a model of "
            "diffusers"
        )
    if precision is not None and not takes_prompts(folder):
        raise OptionError(
            f"the model {folder.name!r} is none of diffusers, and precision={precision!r} is for models "
            "of diffusers: leave it out"
        )
    try:
        return load(folder, device_of(codec.device), prompt, precision)
    except ModelNotAvailableError as error:
        raise OptionError(str(error)) from error


def recorded(
    codec: type[Codec],
    coded: Coded,
    options: DecodeOptions,
    prompt: str = "",
    precision: str | None = None,
) -> LatentModel:
    """Return the model that a file was made with; see `diffc.codecs.shared.models.recorded`.

    Parameters
    ----------
    codec : type
        The kinds that it uses count.
    coded : Coded
        Its fingerprint counts, and its size, which is checked.
    options : DecodeOptions
        ``model``, ``device`` and ``allow_download`` count; ``precision`` may say what the file does.
    prompt : str
        Of the file; empty for none.
    precision : str, optional
        Of the file.

    Raises
    ------
    ModelNotAvailableError
        If it is not here, or the package that makes the file's precision is not.
    OptionError
        If the caller asks for another precision: a walk with other weights leads elsewhere.
    OSError
        If the file's prompt or precision is not for it, or its picture has too many pixels.
    """
    if options.precision not in (None, precision):
        raise OptionError(
            f"the file was coded with {precision or 'unchanged'} weights, and with others its walk "
            f"leads elsewhere, so precision={options.precision!r} cannot hold: leave it out"
        )
    device = device_of(options.device)
    kinds = models.names_of(codec)
    folder = models.folder_with(coded.fingerprint, options, *kinds, prompted=bool(prompt))
    takes = not prompt or takes_prompts(folder)
    coded.require(takes, f"{folder.name} takes no prompt, and the file has one")
    byte_each = precision is None or takes_prompts(folder)
    coded.require(byte_each, f"the weights of {folder.name} are not converted to {precision}")
    model = load(folder, device, prompt, precision)
    check_padded_size(coded.size, model.multiple)
    return model


def analyse_picture(model: LatentModel, picture: Picture, roi: Any) -> tuple[Tensor, Tensor]:
    """Return a picture's latent, and what an error at each of its positions matters.

    Parameters
    ----------
    model : LatentModel
        Whose latent it is.
    picture : Picture
        What the encoder is given.
    roi : PIL image, array, tensor or None
        See `diffc.codecs.shared.region_of_interest.pixel_weights`.

    Returns
    -------
    tuple
        (1, channels, rows, columns), and weights in [0, 1], (1, 1, rows, columns).

    Raises
    ------
    ValueError
        If the picture is too large when padded, or the region is not one of it.
    """
    latent = model.analyse(pad_picture(picture, model.multiple).to(model.device))
    patch = model.multiple // model.positions
    weights = position_weights(roi, picture.pixels.shape[1:], latent.shape[2:], patch)
    return latent, weights.to(model.device)


def describe_picture(model: LatentModel, picture: Picture) -> tuple[bytes, LatentModel]:
    """Return what a file says of its picture before a walk, and the model that knows it.

    That is nothing for models that denoise all pictures alike, and CoD's tokens for its models.
    """
    if not isinstance(model, cod.CodLatents):
        return b"", model
    description = model.describe(pad_picture(picture, model.multiple))
    return description, model.under(description, picture.size)


def read_description(model: LatentModel, coded: Coded) -> tuple[LatentModel, Coded]:
    """Return the model that knows what a file says of its picture, and the file's walk.

    Of a prefix that ends before, the model is that of no picture.

    Raises
    ------
    OSError
        If the file is none of an encoder's.
    """
    if not isinstance(model, cod.CodLatents):
        return model, coded
    length = model.description_length(coded.size)
    description, rest = coded.payload[:length], coded.payload[length:]
    if len(description) < length and coded.truncated:
        return model, replace(coded, payload=b"")
    return model.under(description, coded.size), replace(coded, payload=rest)


def guided_model(model: LatentModel, guidance: float | None) -> LatentModel:
    """Return the model that finishes a walk; only CoD's have guidance."""
    return model.guided(guidance) if isinstance(model, cod.CodLatents) else model


def latent_shape(model: LatentModel, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return channels, rows and columns of the latent of a picture of some width and height."""
    width, height = size
    rows, columns = (-(-side // model.multiple) * model.positions for side in (height, width))
    return model.channels, rows, columns
