"""Options of the ``ddcm`` encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffc.codec import Settings
from diffc.codecs.ddcm.bitstream import MOST_CHARACTERS


@dataclass(frozen=True)
class DdcmSettings(Settings):
    """Options of the ``ddcm`` encoder.

    Parameters
    ----------
    steps : int
        Steps of a walk over all noise levels, 1 to 255; a file codes as many as its bytes allow.
    atoms : int, optional
        Atoms a step, 1 or more (1 is DDCM).  None takes what the posterior asks for, block by
        block, which is better at every rate.
    seed : int
        Of the codebook, 0 to 2**32 - 1; 0 costs no bytes.
    roi : image or array, optional
        Weights of the picture's size in [0, 1] (or 0 to 255): bytes go where they are high.
    target_psnr : float, optional
        Stop as soon as the decoded picture has this PSNR in dB, 5 to 60; it is an error if ``bpp``
        or ``target_size``, given with it, does not allow so much.
    prompt : str, optional
        What the picture shows, up to 200 characters, for models with a text encoder.  It is kept
        in the file, for decoding needs it, and counts as bytes.
    """

    steps: int = 30
    atoms: int | None = None
    seed: int = 0
    roi: Any = None
    target_psnr: float | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        _check_integer("steps", self.steps, 1, 255)
        _check_integer("seed", self.seed, 0, 2**32 - 1)
        if self.atoms is not None:
            _check_integer("atoms", self.atoms, 1, 10**6)
        psnr = self.target_psnr
        if psnr is not None and (
            isinstance(psnr, bool) or not isinstance(psnr, int | float) or not 5 <= psnr <= 60
        ):
            raise ValueError(f"target_psnr is 5 to 60 dB, not {psnr!r}: choose one in that range")
        if self.prompt is not None:
            _check_prompt(self.prompt)


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str) or len(prompt) > MOST_CHARACTERS:
        given = f"{len(prompt)} characters" if isinstance(prompt, str) else repr(prompt)
        raise ValueError(
            f"prompt is a text of at most {MOST_CHARACTERS} characters, not {given}: shorten it"
        )
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"prompt is text that UTF-8 can hold ({error}): drop the rest") from error


def _check_integer(name: str, value: object, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(
            f"{name} is a whole number from {lowest} to {highest}, not {value!r}: "
            "choose one in that range"
        )
