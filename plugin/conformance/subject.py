"""What the checks of the conformance kit have in common: a codec on trial, and pictures to try."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Picture, Progress, Rate, no_progress

if TYPE_CHECKING:
    from torch import Tensor

Result = TypeVar("Result")

SIZES = ((1, 1), (3, 5), (17, 31), (64, 96))
KINDS = ("black", "white", "noise", "scene")


def require(holds: bool, sentence: str) -> None:
    """Raise `AssertionError` with a sentence unless a rule holds."""
    if not holds:
        raise AssertionError(sentence)


@dataclass(frozen=True)
class Subject:
    """A codec on trial, and how it is tried.

    Parameters
    ----------
    codec : Codec
        With options for its encoder.
    options : DecodeOptions
        For its decoder.
    sizes : tuple
        Widths and heights of the pictures; the last is the one for rates.
    thread_counts : bool
        Whether ``torch.set_num_threads`` may not change the encoder's bytes.
    other_process : bool
        Whether a payload is also decoded in a new process.
    time_limit : float
        Seconds after which decoding a small picture counts as endless.
    """

    codec: Codec
    options: DecodeOptions = field(default_factory=DecodeOptions)
    sizes: tuple[tuple[int, int], ...] = SIZES
    thread_counts: bool = False
    other_process: bool = False
    time_limit: float = 60.0

    def encode(
        self,
        image: Tensor,
        rate: Rate | None = None,
        progress: Progress = no_progress,
        **changes: Any,
    ) -> Encoded:
        """Encode a copy of a picture in a new instance, some of whose options are changed."""
        codec = replace(self.codec, **changes)
        # clone() keeps the order in memory, as the core's tensors have it
        return codec.encode(Picture(image.clone()), rate or Rate(), progress)

    def coded(self, encoded: Encoded, size: tuple[int, int]) -> Coded:
        """Return what the decoder would be given."""
        return Coded(
            encoded.payload,
            encoded.parameters,
            size,
            self.codec.bitstream_version,
            encoded.fingerprint,
        )

    def decode(self, coded: Coded, progress: Progress = no_progress) -> Tensor:
        """Decode."""
        return self.codec.decode(coded, replace(self.options, progress=progress))


def picture(kind: str, size: tuple[int, int]) -> Tensor:
    """Return a picture (3, height, width) of one of `KINDS`, of 8-bit values, as the core does."""
    import torch

    width, height = size
    seed = hashlib.sha256(f"{kind} {width} {height}".encode()).digest()[:4]
    generator = torch.Generator().manual_seed(int.from_bytes(seed, "big"))
    noise = torch.rand(height, width, 3, generator=generator)
    row = torch.linspace(0, 1, height)[:, None, None]
    column = torch.linspace(0, 1, width)[None, :, None]
    disc = ((row - 0.4).square() + (column - 0.6).square() < 0.06).float()
    scene = (0.6 * row + 0.3 * column * torch.tensor([1.0, 0.5, 0.0]) + 0.1 * noise) * (1 - disc)
    scene = scene + disc * torch.tensor([0.8, 0.2, 0.3])
    chosen = {
        "black": torch.zeros_like(noise),
        "white": torch.ones_like(noise),
        "noise": noise,
        "scene": scene,
    }[kind]
    return chosen.mul(255).round().div(255).permute(2, 0, 1)


def require_picture(tensor: object, size: tuple[int, int], source: str) -> None:
    """Require what the contract says of a decoded picture."""
    import torch

    width, height = size
    require(isinstance(tensor, torch.Tensor), f"decode returns a Tensor, not {tensor!r} {source}")
    assert isinstance(tensor, torch.Tensor)  # for type checkers
    shape = tuple(tensor.shape)
    require(
        shape == (3, height, width),
        f"a decoded picture has the shape {(3, height, width)}, not {shape}, {source}",
    )
    require(
        tensor.dtype == torch.float32,
        f"a decoded picture is of float32, not of {tensor.dtype}, {source}",
    )
    require(
        tensor.device.type == "cpu",
        f"a decoded picture is on the CPU, not on {tensor.device}, {source}",
    )
    require(
        not tensor.requires_grad,
        f"a decoded picture needs no gradient, but this one requires it, {source}",
    )
    require(
        bool(torch.isfinite(tensor).all()),
        f"a decoded picture has finite values only, but this one has others, {source}",
    )
    low, high = (float(value) for value in tensor.aminmax())
    require(
        low >= 0 and high <= 1,
        f"a decoded picture has values in [0, 1], not {low:.4g} to {high:.4g}, {source}",
    )


def in_thread(
    function: Callable[[], Result], limit: float | None = None, sentence: str = ""
) -> Result:
    """Call a function in a new thread and return its result, or raise what it raises.

    If it takes more than ``limit`` seconds, `AssertionError` has the sentence.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    # a thread that never ends must not keep the process from ending
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(limit)
    require(not thread.is_alive(), sentence)
    if errors:
        raise errors[0]
    return results[0]
