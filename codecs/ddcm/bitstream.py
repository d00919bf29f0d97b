"""What a ``ddcm`` file says besides its payload: 4 bytes, 8 with a seed, more with a prompt."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# steps of the whole walk, coded steps, time after them
_WALK = struct.Struct(">BBH")
_SEED = struct.Struct(">I")

MOST_CHARACTERS = 200


@dataclass(frozen=True)
class DdcmParameters:
    """Parameters of a file.

    Parameters
    ----------
    steps, coded_steps, time : int
        Steps of the whole walk, coded ones of these, and the time after them.
    seed : int
        Of the codebook.
    prompt : str
        What the model was told; empty for nothing.
    """

    steps: int
    coded_steps: int
    time: int
    seed: int
    prompt: str

    def pack(self) -> bytes:
        """Return the bytes in the file."""
        packed = _WALK.pack(self.steps, self.coded_steps, self.time)
        # a prompt is told from a seed by coming after one
        if self.seed or self.prompt:
            packed += _SEED.pack(self.seed)
        return packed + self.prompt.encode()


def packed_length(seed: int, prompt: str) -> int:
    """Return how many bytes the parameters take."""
    return len(DdcmParameters(1, 0, 0, seed, prompt).pack())


def unpack(data: bytes) -> DdcmParameters:
    """Read the parameters of a file.

    Raises
    ------
    OSError
        If no encoder wrote them.
    """
    shortest, seeded = _WALK.size, _WALK.size + _SEED.size
    if len(data) < seeded and len(data) != shortest:
        raise OSError(
            f"ddcm has 4, or 8 or more parameter bytes, not {len(data)}: the file is damaged"
        )
    steps, coded_steps, time = _WALK.unpack_from(data)
    seed = _SEED.unpack_from(data, shortest)[0] if len(data) >= seeded else 0
    if not coded_steps <= steps or steps == 0:
        raise OSError(f"ddcm codes at most {steps} steps, not {coded_steps}: the file is damaged")
    return DdcmParameters(steps, coded_steps, time, seed, _prompt(data[seeded:]))


def _prompt(data: bytes) -> str:
    try:
        prompt = data.decode()
    except UnicodeDecodeError as error:
        raise OSError(f"a prompt is text in UTF-8 ({error}): the file is damaged") from error
    if len(prompt) > MOST_CHARACTERS:
        raise OSError(
            f"a prompt has at most {MOST_CHARACTERS} characters, not {len(prompt)}: the file is "
            "damaged"
        )
    return prompt
