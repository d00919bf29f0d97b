"""PerCo (SD), arXiv 2409.20255: tokens and a caption, from which Stable Diffusion draws a picture.

The directory is one that ``save_pretrained`` of the public pipeline (Nikolai10/PerCo,
``pipeline_sd_perco.py``) writes: ``unet``, ``hyper_enc``, ``vae``, ``text_encoder``, ``tokenizer``,
``scheduler`` and ``model_index.json``.  That code says which classes and names there are; it samples
by DDIM in 20 steps with a guidance of 3, which are the defaults here.  Differences from it: latents
are the posterior's mode, not a draw from it; noise comes from the portable generator; pictures have
any size.  The released weights have not been read here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.perco_sd.codec import PERCO_SD
from diffc.codecs.perco_sd.hyper_encoder import read_hyper_encoder
from diffc.codecs.perco_sd.unet import TokenConditionedUNet, read_widened_unet
from diffc.codecs.shared.diffusion.samplers import initial_noise, sample_ddim
from diffc.codecs.shared.diffusion.schedules import (
    ddim_times,
    last_sigma,
    variance_preserving_wrap,
)
from diffc.codecs.shared.models import fast_dtype
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.stable_diffusion.autoencoder import autoencoder_of
from diffc.codecs.shared.stable_diffusion.folder import (
    BETA_SCHEDULERS,
    UNET,
    Pipeline,
    read_pipeline,
)
from diffc.codecs.shared.stable_diffusion.network import shape_of
from diffc.codecs.shared.stable_diffusion.parts import network_dtype
from diffc.codecs.shared.stable_diffusion.prompt_embedding import Embedding, embedding_of
from diffc.codecs.shared.stable_diffusion.quantised import quantise
from diffc.decode_options import PRECISIONS
from diffc.models.identity import fingerprint

KIND = PERCO_SD.name
DEFAULT_STEPS = 20
DEFAULT_GUIDANCE = 3.0


class PercoSdModel:
    """Pixels to tokens, and tokens under a caption to pixels.

    Parameters
    ----------
    folder : Path
        The directory.
    device : str
        Where it runs.
    precision : str, optional
        Of the UNet's linear layers, see `quantise`; None is as they are.

    Attributes
    ----------
    fingerprint : bytes
        Of all networks, the text encoder's included.
    multiple : int
        Sides of pictures are padded to multiples of it, in pixels.
    bits : int
        Of a token.
    words : int
        Tokens are below it; it is at most ``2**bits``.
    """

    def __init__(self, folder: Path, device: str, precision: str | None = None) -> None:
        pipeline = read_pipeline(folder)
        _check_classes(pipeline)
        self.fingerprint = fingerprint(folder)
        self._folder, self._device = folder, device
        shape = shape_of(UNET, pipeline.config("unet"))
        self._schedule = pipeline.config("scheduler")
        self._wrap = variance_preserving_wrap(self._schedule)
        self._autoencoder = autoencoder_of(pipeline, device)
        # in float32 everywhere: it is small, and rounding would choose other tokens
        self._encoder = to_device(read_hyper_encoder(folder / "hyper_enc"), device)
        sizes = self._encoder.config
        if not shape.channels == sizes.in_channels == self._autoencoder.channels:
            raise OSError(
                f"a UNet of {shape.channels} channels and a hyper-encoder of {sizes.in_channels} "
                f"for latents of {self._autoencoder.channels}, as in {folder}, do not go together: "
                "fetch the model anew"
            )
        self.bits, self.words = sizes.bits, sizes.cfg_cs
        self._table = self._encoder.words()
        self._stride, self._widths, self._tiling = sizes.stride, shape.widths, shape.tiling
        # both are powers of two
        positions = max(shape.tiling.multiple, sizes.stride)
        self.multiple = positions * self._autoencoder.factor
        self._dtype = network_dtype(device, fast_dtype(device))
        self._unet = to_device(read_widened_unet(pipeline, sizes.M, self._dtype), device)
        if precision is not None:
            quantise(self._unet, precision)
        if torch.device(device).type not in ("cpu", "cuda"):
            # where torch has no fused attention, its matrices of positions squared are cut up
            network: Any = self._unet
            network.set_attention_slice("auto")

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Return rows and columns of the tokens of a picture, any size in pixels."""
        pixels = self._autoencoder.factor * self._stride
        rows, columns = (-(-side // self.multiple) * self.multiple for side in (height, width))
        return rows // pixels, columns // pixels

    def tokens(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to tokens.

        Returns
        -------
        Tensor
            Indices, int64 (rows, columns), on the CPU.
        """
        found: Tensor = self._encoder(self._autoencoder.analyse(pixels.to(self._device)))
        return found[0].cpu()

    def check_caption(self, caption: str) -> None:
        """Require that the text encoder can read a caption, before it is written into a file.

        Raises
        ------
        ValueError
            If it has too many tokens of text.
        """
        self._embedding(caption)

    def render(self, tokens: Tensor, caption: str, seed: int, options: DecodeOptions) -> Tensor:
        """Draw a picture that tokens could have been taken from, and that a caption describes.

        Parameters
        ----------
        tokens : Tensor
            Integers (rows, columns) as in a file, on any device.
        caption : str
            Empty for none; then guidance has nothing to go by, and costs nothing.
        seed : int
            Of the noise, 0 to 2**32 - 1.
        options : DecodeOptions
            Of them count steps (`DEFAULT_STEPS`), guidance (`DEFAULT_GUIDANCE`), cache and progress.

        Returns
        -------
        Tensor
            Pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, on the model's device.

        Raises
        ------
        OSError
            If a token or the caption is none that the model could have been given.
        OptionError
            If the model has fewer noise levels than steps.
        """
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.words:
            raise OSError(
                f"tokens of this model are 0 to {self.words - 1}, not {int(tokens.min())} to "
                f"{int(tokens.max())}: the file is damaged"
            )
        times = ddim_times(self._schedule, options.at_least_one_step(DEFAULT_STEPS))
        guidance = DEFAULT_GUIDANCE if options.guidance is None else options.guidance
        network = self._unet_under(tokens, caption, guidance, options.cache or 1)
        return self._autoencoder.synthesise(self._drawn(network, times, seed, options))

    def _unet_under(
        self, tokens: Tensor, caption: str, guidance: float, cache: int
    ) -> TokenConditionedUNet:
        empty = self._embedding("")
        try:
            text = self._embedding(caption)
        except ValueError as error:
            raise OSError(f"the file's caption cannot be used: {error}") from error
        return TokenConditionedUNet(
            self._unet,
            self._table,
            tokens[None].to(self._device, torch.int64),
            self._stride,
            text,
            empty,
            guidance if caption else 1.0,
            self._tiling,
            cache,
        )

    def _drawn(
        self, network: TokenConditionedUNet, times: list[int], seed: int, options: DecodeOptions
    ) -> Tensor:
        """Walk from noise to a latent."""
        denoiser = self._wrap(network)
        table = denoiser.sigmas
        sigmas = [*(table[t] for t in times), last_sigma(self._schedule, table)]
        noise = initial_noise(seed, (self._autoencoder.channels, *network.size), self._device)
        # the network's first state, sqrt(ab) x, is noise alone, as in the public sampler
        x = math.hypot(1, sigmas[0]) * noise
        made = sample_ddim(denoiser, x, sigmas, options.progress)
        # where the last step leaves noise, that sampler returns its own state
        return made / math.hypot(1, sigmas[-1])

    def _embedding(self, caption: str) -> Embedding:
        made = embedding_of(self._folder, caption, self._widths)
        return made.to(self._device, self._dtype)


READERS: dict[str | None, Callable[[Path, str], PercoSdModel]] = {
    None: PercoSdModel,
    **{each: partial(PercoSdModel, precision=each) for each in PRECISIONS},
}
"""What reads a model in each precision; what one has read is not the other's."""


def _check_classes(pipeline: Pipeline) -> None:
    if pipeline.network != "unet" or pipeline.classes["scheduler"] not in BETA_SCHEDULERS:
        raise OSError(
            f"PerCo (SD) has a UNet and a table of betas, not a {pipeline.network} and a "
            f"{pipeline.classes['scheduler']} as {pipeline.folder}: fetch the model anew"
        )
