"""The contract between the core and a codec: everything a codec has to offer, in one file.

A codec turns pixels into a payload and back.  The core does the rest: modes, alpha, metadata,
colour, the container, checksums and the search for a codec by its name.

Two classes may share a name only if each decodes the other's data; a change of the bitstream is a
new `Codec.bitstream_version`, and versions once released decode for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from diffc.progress import part_of

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]


def no_progress(step: int, total: int) -> None:
    """Report nothing: the default progress function."""


@dataclass(frozen=True)
class Capabilities:
    """What a codec can do besides coding a picture at some rate.

    Parameters
    ----------
    continuous_rate : bool
        Byte targets are met with at most 5 % unused.
    progressive : bool
        A prefix of the payload decodes to a coarser picture.
    region_of_interest : bool
        Settings has a field ``roi``, a map of weights.
    caption : bool
        Settings has a field ``caption``, a text.
    """

    continuous_rate: bool = False
    progressive: bool = False
    region_of_interest: bool = False
    caption: bool = False


@dataclass(frozen=True)
class Settings:
    """Options of a codec's encoder.

    Subclasses are frozen dataclasses too.  They add fields, each with a default, and check types
    and ranges in a ``__post_init__`` that calls this one; what is wrong is a `ValueError`, before
    any work is done.

    Parameters
    ----------
    model : str, optional
        Name of an embedded model, or a directory; None is the codec's own choice.
    device : str, optional
        A torch device; None is the environment's DIFFC_DEVICE, else the CPU.
    """

    model: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        """Check types."""
        for name in ("model", "device"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ValueError(f"{name} is a text, not {value!r}: pass a str, or leave it out")


@dataclass(frozen=True)
class Rate:
    """How large the coded picture may be.

    Parameters
    ----------
    room : callable, optional
        Maps (number of parameter bytes, whether there is a fingerprint) to the largest payload in
        bytes that keeps the file within its target; negative if none does.  None when the caller
        gave a quality instead.
    quality : float
        0 to 100, where larger is never smaller in bytes.  Holds if ``room`` is None.
    asked : bool
        Whether the caller gave a rate at all; if not, a codec's own aim (such as a PSNR) holds.
    """

    room: Callable[[int, bool], int] | None = None
    quality: float = 50.0
    asked: bool = True


@dataclass(frozen=True)
class Encoded:
    """What an encoder returns: a payload, and what decoding it needs to be told."""

    payload: bytes
    parameters: bytes = b""
    fingerprint: bytes | None = None


@dataclass(frozen=True)
class Coded:
    """What a decoder is given.

    Parameters
    ----------
    payload, parameters, fingerprint
        As they were encoded; the container's checksum over them has been verified.
    size : tuple of int
        Width and height of the picture in pixels.
    bitstream_version : int
        Version of the codec that wrote the payload.
    truncated : bool
        The payload is a prefix, and the caller asks for as much of the picture as it holds.
    caption : str, optional
        What the file says that the picture shows, for models with a text encoder.
    """

    payload: bytes
    parameters: bytes
    size: tuple[int, int]
    bitstream_version: int
    fingerprint: bytes | None = None
    truncated: bool = False
    caption: str | None = None


@dataclass(frozen=True)
class DecodeOptions:
    """Choices at decoding; none of them changes what a file means, only how it is rendered.

    Parameters
    ----------
    device : str, optional
        A torch device; None is the environment's DIFFC_DEVICE, else the CPU.
    steps : int, optional
        Denoising evaluations after the coded ones (or in all, where none is coded).
    realism : float, optional
        0 to 1, how much generated detail is added to what was coded; None is the codec's own
        choice.
    guidance : float, optional
        0 to 20, how far a generated picture is moved away from what the model would make without
        the file (classifier-free guidance); 1 is not at all, None the codec's own choice.
    model : str, optional
        A directory to look for the file's model in, before the usual places.
    allow_download : bool
        Whether missing weights may be fetched.
    progress : callable
        Called with the step that is done and the number of steps.
    """

    device: str | None = None
    steps: int | None = None
    realism: float | None = None
    guidance: float | None = None
    model: str | None = None
    allow_download: bool = False
    progress: Progress = field(default=no_progress, compare=False)


class Codec(ABC):
    """One compression method.

    Class attributes say what the codec is.  An instance is made without arguments for every
    picture, and holds no state that changes a result.  `diffc.testing.check_codec` tries what is
    promised here.
    """

    name: ClassVar[str]
    """Stands in every file: ``[a-z0-9][a-z0-9._-]{0,63}``."""
    bitstream_version: ClassVar[int] = 1
    """The newest this class writes, 1 to 65535; it decodes all older ones too."""
    description: ClassVar[str] = ""
    """One line for lists."""
    models: ClassVar[tuple[str, ...]] = ()
    """Names for ``model=``, the default first."""
    weights_licence: ClassVar[str | None] = None
    """Of the weights that come with the codec; None if there are none."""
    capabilities: ClassVar[Capabilities] = Capabilities()
    settings_type: ClassVar[type[Settings]] = Settings

    @abstractmethod
    def encode(
        self, image: Tensor, settings: Any, rate: Rate, progress: Progress = no_progress
    ) -> Encoded:
        """Code a picture.

        Parameters
        ----------
        image : Tensor
            Pixels (3, height, width), float32 in [0, 1], sRGB, on the CPU, in any memory order.
            They stay as they are.
        settings : Settings
            An instance of ``settings_type``.
        rate : Rate
            The size allowed.
        progress : callable
            Called with the step that is done and the number of steps.

        Raises
        ------
        diffc.errors.RateError
            If no payload of this codec fits the rate.
        ValueError
            If a setting cannot hold for this picture.
        """

    @abstractmethod
    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Return pixels (3, height, width), float32 in [0, 1], on the CPU.

        Raises
        ------
        OSError
            If the payload or parameters cannot have come from this codec, or its model is missing.
        diffc.errors.OptionError
            If an option cannot hold here; the core takes other `ValueError` for damage.
        """

    def decode_batch(self, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        """Return the pictures of several files, in order; see `decode`.

        One by one, unless a codec can do better; pixels may differ from those of `decode` by
        rounding.  Progress is one count over all of them.
        """
        return [
            self.decode(
                each,
                replace(options, progress=part_of(options.progress, number, 1, len(coded))),
            )
            for number, each in enumerate(coded)
        ]
