"""The contract between the core and a codec: everything a codec has to offer, in one file.

A codec is one frozen dataclass.  Its fields are the options of its encoder, declared with `option`;
it turns pixels into a payload and back.  The core does the rest: modes, alpha, metadata, colour, the
container, checksums, keywords, the command line and the lists that name the codec.

Two classes may share a name only if each decodes the other's data; a change of the bitstream is a
new `Codec.bitstream_version`, and versions once released decode for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from diffc.errors import FileError, OptionError
from diffc.option import option, options_of
from diffc.progress import Progress, no_progress, part_of
from diffc.rate import Rate

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

__all__ = [
    "Codec",
    "Coded",
    "DecodeOptions",
    "Degraded",
    "Encoded",
    "ModelKind",
    "Picture",
    "Progress",
    "Rate",
    "Traits",
    "no_progress",
    "option",
    "options_of",
]


@dataclass(frozen=True)
class Traits:
    """What a codec is like besides coding a picture at some rate; the conformance kit tries it.

    Parameters
    ----------
    generative : bool
        Decoding may show detail that was not in the picture; files say so.
    lossless : bool
        At quality 100 the decoded picture has the pixels that were encoded.
    continuous_rate : bool
        Byte targets are met with at most 5 % unused.
    progressive : bool
        A prefix of the payload decodes to a coarser picture.
    region_of_interest : bool
        There is an option ``roi``, a map of weights.
    caption : bool
        There is an option ``caption``, a text that the file stores.
    """

    generative: bool = True
    lossless: bool = False
    continuous_rate: bool = False
    progressive: bool = False
    region_of_interest: bool = False
    caption: bool = False


@dataclass(frozen=True)
class ModelKind:
    """A kind of models that a codec can use.

    Parameters
    ----------
    name : str
        As ``kind`` in a model's config.json says.
    embedded : mapping
        Names for ``model=`` to where these models lie, ``"package:folder/inside"``; the default
        comes first.
    mark : str
        For directories of others, whose config.json does not say a kind: the file that tells them.
    parts : tuple of tuple of str
        Of such a directory, the subfolders whose weights count; of alternatives, the first there is.
    texts : bool
        Its text encoders count always, not only where there is a prompt.
    converter : str
        ``"package.module:function"`` that makes a model's folder of a released checkpoint, from
        (weights, the network's arguments, folder) and, if it has a parameter ``vae``, the directory
        of an autoencoder or None; empty if there is none.
    published : str
        ``"package:folder/models.json"``, the models of this kind that others publish, in the form
        of `diffc.models.table`; empty if none are known.
    """

    name: str
    embedded: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""
    parts: tuple[tuple[str, ...], ...] = ()
    texts: bool = False
    converter: str = ""
    published: str = ""


@dataclass(frozen=True)
class Picture:
    """What an encoder is given.

    Parameters
    ----------
    pixels : Tensor
        (3, height, width), float32 in [0, 1], sRGB, on the CPU, in any memory order.  They stay as
        they are.
    grey : bool
        Whether the file is of mode L or LA: all channels are the same, and one is kept.
    source : bytes, optional
        For codecs that ask for it (`Codec.takes_source`): the file that the picture was opened
        from, if its pixels are still these.
    """

    pixels: Tensor
    grey: bool = False
    source: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.pixels.shape[1:]
        return width, height


@dataclass(frozen=True)
class Degraded:
    """A picture to restore, and what is known of how it was coded.

    Parameters
    ----------
    color : PIL.Image.Image
        Its pixels as they were decoded, mode L or RGB.
    data : bytes, optional
        The file that they were decoded from.
    format : str
        Pillow's name of its format; empty if there is no file.
    strength : float, optional
        Root mean square error in grey levels of 255; None if it is to be estimated.
    consistent : bool, optional
        Whether to move what comes out to where the file's own data allow it; None: if they are
        known.
    """

    color: Image
    data: bytes | None
    format: str
    strength: float | None = None
    consistent: bool | None = None


@dataclass(frozen=True)
class Encoded:
    """What an encoder returns: a payload, and what decoding it needs to be told.

    Parameters
    ----------
    payload : bytes
        The picture.
    parameters : bytes
        Up to 4096 bytes, meant for a few; see `diffc.parameters`.
    fingerprint : bytes, optional
        Of the model: four bytes if the codec has `Codec.kinds`, and None if it has none.
    """

    payload: bytes
    parameters: bytes = b""
    fingerprint: bytes | None = None

    @property
    def length(self) -> int:
        """Bytes of payload and parameters."""
        return len(self.payload) + len(self.parameters)


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

    @staticmethod
    def require(holds: bool, sentence: str) -> None:
        """Raise `FileError` unless something holds that it does for all files of the codec.

        Parameters
        ----------
        holds : bool
            Whether it does.
        sentence : str
            The rule and the value, such as ``"a copy has 1 to 64 pixels, not 70"``; that the file
            is damaged is added.
        """
        if not holds:
            raise FileError(f"{sentence}: the file is damaged")


@dataclass(frozen=True)
class DecodeOptions:
    """Choices at decoding; none of them changes what a file means, only how it is rendered.

    Parameters
    ----------
    device : str, optional
        A torch device; None is the environment's DIFFC_DEVICE, else the CPU.
    steps : int, optional
        Denoising evaluations after the coded ones (or in all, where none is coded); 0 only for a
        codec that can show what was coded without any, see `at_least_one_step`.
    realism : float, optional
        0 to 1, how much generated detail is added to what was coded; None is the codec's own
        choice.
    guidance : float, optional
        0 to 20, how far a generated picture is moved away from what the model would make without
        the file (classifier-free guidance); 1 is not at all, None the codec's own choice.
    cache : int, optional
        1 to 16: the network runs whole at every so many steps without bits, and its outer layers
        between them; None is what the file says, or every step.
    precision : str, optional
        ``int8`` or ``fp8`` for the weights of a large network's linear layers; None is what the file
        says, or none of both.
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
    cache: int | None = None
    precision: str | None = None
    model: str | None = None
    allow_download: bool = False
    progress: Progress = field(default=no_progress, compare=False)

    def at_least_one_step(self, default: int) -> int:
        """Return the number of evaluations for a codec that needs one.

        Parameters
        ----------
        default : int
            What holds if the caller says nothing.

        Raises
        ------
        OptionError
            If the caller wants none.
        """
        if self.steps == 0:
            raise OptionError("this codec decodes in at least 1 step, not 0: choose more")
        return default if self.steps is None else self.steps


@dataclass(frozen=True)
class Codec(ABC):
    """One compression method, and the options of its encoder.

    Class attributes say what the codec is; fields declared with `option` are its options, which are
    checked when an instance is made.  `diffc.testing.check_codec` tries what is promised here.

    Raises
    ------
    ValueError
        If an option has a wrong type or range.
    """

    name: ClassVar[str]
    """Stands in every file: ``[a-z0-9][a-z0-9._-]{0,63}``."""
    bitstream_version: ClassVar[int] = 1
    """The newest this class writes, 1 to 65535; it decodes all older ones too."""
    description: ClassVar[str] = ""
    """One line for lists."""
    traits: ClassVar[Traits] = Traits()
    kinds: ClassVar[tuple[ModelKind, ...]] = ()
    """Of the models that it uses; files of a codec that has any hold a fingerprint."""
    weights_licence: ClassVar[str | None] = None
    """Of the weights that come with the codec; None if there are none."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Packages that it imports, besides its own."""
    extra: ClassVar[str] = ""
    """Extra of diffc that has these packages, for ``pip install``; empty if they are its own."""
    rates: ClassVar[tuple[float, float] | None] = None
    """Bits per pixel that it reaches on photographs, as measured; None if nobody has."""
    number: ClassVar[int | None] = None
    """Stands for the codec where only numbers can, such as in OpenCV's lists; never changes."""

    model: str | None = option(
        None, help="name of a model, or a directory; left out, the codec's own choice"
    )
    device: str | None = option(
        None, help="torch device, such as cuda; left out, that of DIFFC_DEVICE, else the CPU"
    )

    def __post_init__(self) -> None:
        """Check types and ranges; what options ask of each other is checked after this."""
        for each in options_of(type(self)):
            each.check(getattr(self, each.name))

    @abstractmethod
    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Code a picture; the same one with the same options and model gives the same bytes.

        Parameters
        ----------
        picture : Picture
            The pixels, and what else is known.
        rate : Rate
            The size allowed.
        progress : callable
            Called with the step that is done and the number of steps.

        Raises
        ------
        diffc.errors.RateError
            If no payload of this codec fits the rate.
        ValueError
            If an option cannot hold for this picture.
        """

    @classmethod
    @abstractmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Return pixels (3, height, width), float32 in [0, 1], on the CPU.

        Raises
        ------
        OSError
            If the payload or parameters cannot have come from this codec, or its model is missing.
        diffc.errors.OptionError
            If an option cannot hold here; the core takes other `ValueError` for damage.
        """

    @property
    def takes_source(self) -> bool:
        """Whether `Picture.source` is looked for, which takes as long as opening that file."""
        return False

    @classmethod
    def file_inside(cls, coded: Coded) -> bytes:
        """Return the file of another format that the payload holds, for those that hold one.

        Raises
        ------
        OSError
            If this one holds none.
        """
        raise FileError(f"a file of codec {cls.name!r} holds no file of another format: decode it")

    @classmethod
    def decode_batch(cls, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        """Return the pictures of several files, in order; see `decode`.

        One by one, unless a codec can do better; pixels may differ from those of `decode` by
        rounding.  Progress is one count over all of them.
        """
        return [
            cls.decode(
                each,
                replace(options, progress=part_of(options.progress, number, 1, len(coded))),
            )
            for number, each in enumerate(coded)
        ]

    @classmethod
    def model_names(cls) -> tuple[str, ...]:
        """Return the names of embedded models, the default first."""
        return tuple(dict.fromkeys(name for kind in cls.kinds for name in kind.embedded))
