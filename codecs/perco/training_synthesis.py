"""What decoders of tokens end with, for training the synthesis of ``perco``."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch

from diffc.codec import DecodeOptions
from diffc.codecs.perco.decoder import DEFAULT_STEPS, estimate
from diffc.codecs.perco.model import TokenModel
from diffc.codecs.perco.training_prefixes import random_prefixes
from diffc.codecs.shared.latents.training_estimates import Estimate
from diffc.codecs.training.photos import Crops

# the mean, what is drawn, and what lies between
_REALISMS, _OFTEN = (0.0, 1.0, None), (0.2, 0.6, 0.2)
_ONE_STEP = 0.25
_SEEDS = 1 << 16


def estimates(
    model: TokenModel, crops: Crops, chances: Sequence[float], seed: int
) -> Iterator[Estimate]:
    """Yield estimates of crops of photographs, at all rates.

    Parameters
    ----------
    model : TokenModel
        Whose tokens they are drawn from.
    crops : Crops
        Sides multiples of the model's.
    chances : sequence of float
        See `random_prefixes`.
    seed : int
        Of rates, steps, realisms and noise.
    """
    chooser = random.Random(seed)
    while True:
        photo = crops.batch(1)
        chosen = chooser.choices(_REALISMS, _OFTEN)[0]
        options = DecodeOptions(
            steps=1 if chooser.random() < _ONE_STEP else DEFAULT_STEPS,
            realism=chooser.random() if chosen is None else chosen,
        )
        with torch.inference_mode():
            tokens = model.analyse(photo.add(1).div(2).to(model.device))
            present = random_prefixes(tokens, chances, crops.generator)
            latent, level = estimate(model, tokens, present, chooser.randrange(_SEEDS), options)
        pixels = photo[0].add(1).mul(127.5).round().byte()
        yield Estimate(pixels, latent[0].cpu(), level)
