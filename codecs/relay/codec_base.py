"""Bases by any codec of the registry: what it made of the small picture stands in ours, with its name.

A learned base is one: a codec of its own, or a model that such a codec reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image

from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Picture, Rate, no_progress
from diffc.codecs.relay.codec import RESTORING, SCALES, RelayCodec
from diffc.codecs.relay.rate_search import base_size
from diffc.codecs.shared.models import folder_of
from diffc.container.layout import FINGERPRINT_LENGTH, HIGHEST_BITSTREAM_VERSION, LONGEST_PARAMETERS
from diffc.container.writer import build
from diffc.entropy import varint
from diffc.errors import FileError, OptionError, RateError
from diffc.parameters import ByteReader, ByteWriter
from diffc.pictures import pixels
from diffc.reconstruction import decode_inside
from diffc.values import is_plain_name

# in the first byte, above the length of the name less 1
_FINGERPRINTED = 0x40


@dataclass(frozen=True)
class CodedBase:
    """A codec's picture, and what its decoder has to be told but for the size.

    Parameters
    ----------
    codec : str
        The codec's name.
    bitstream_version : int
        Of the codec.
    encoded : Encoded
        What it made.
    """

    codec: str
    bitstream_version: int
    encoded: Encoded

    def pack(self) -> bytes:
        """Return the bytes of the base."""
        made = self.encoded
        marked = _FINGERPRINTED if made.fingerprint is not None else 0
        writer = ByteWriter().number(len(self.codec) - 1 | marked, 1).data(self.codec.encode())
        writer.varint(self.bitstream_version).data(made.fingerprint or b"")
        writer.varint(len(made.parameters)).data(made.parameters)
        return writer.done() + made.payload

    @classmethod
    def unpack(cls, data: bytes) -> CodedBase:
        """Read them.

        Raises
        ------
        FileError
            If the bytes are none that `pack` writes.
        """
        reader = ByteReader(data)
        first = reader.number(1)
        name = reader.data((first & (_FINGERPRINTED - 1)) + 1).decode("ascii", "replace")
        if first >= 2 * _FINGERPRINTED or not is_plain_name(name):
            raise FileError(
                f"a base begins with the name of its codec, not with {data[:8].hex(' ')}: the file is "
                "damaged"
            )
        if name == RelayCodec.name:
            raise FileError(f"a base of relay is none of {name!r} itself: the file is damaged")
        version = reader.varint(HIGHEST_BITSTREAM_VERSION + 1)
        mark = reader.data(FINGERPRINT_LENGTH) if first & _FINGERPRINTED else None
        parameters = reader.data(reader.varint(LONGEST_PARAMETERS + 1))
        payload = data[len(data) - reader.left :]
        return cls(name, version, Encoded(payload, parameters, mark))


@dataclass(frozen=True)
class CodecBase:
    """Decodes such bases, in the place of a standard's coder.

    Parameters
    ----------
    options : DecodeOptions
        For the base's codec; of them count model, device and what may be fetched.
    """

    options: DecodeOptions

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture of exactly `size`; see `BaseCoder`."""
        base = CodedBase.unpack(coded)
        made = base.encoded
        # the error that the file tells is that of the base as the codec shows it by itself
        options = replace(
            self.options, steps=None, realism=None, guidance=None, progress=no_progress
        )
        found = decode_inside(
            base.codec,
            Coded(made.payload, made.parameters, size, base.bitstream_version, made.fingerprint),
            options,
        )
        return pixels.to_pillow(found, "L" if grey else "RGB")

    def family(self, coded: bytes) -> str:
        """Return what its errors are like; see `BaseCoder`."""
        return "other"

    def file_of(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
        """Return the base as a DIFFC file; see `BaseCoder`."""
        base = CodedBase.unpack(coded)
        return build(
            codec=base.codec,
            bitstream_version=base.bitstream_version,
            mode="L" if grey else "RGB",
            size=size,
            fingerprint=base.encoded.fingerprint,
            parameters=base.encoded.parameters,
            payload=base.encoded.payload,
        )


def encode_base(
    codec: Codec,
    original: Image.Image,
    rate: Rate,
    parameters: int,
    scale: float | None,
) -> tuple[float, bytes]:
    """Code a base by a codec within a rate.

    A limit is met at the least reduction at which the codec reaches it; a quality is the codec's
    own.

    Parameters
    ----------
    codec : Codec
        What codes the base.
    original : PIL.Image.Image
        The photograph, RGB or L.
    rate : Rate
        Of payload and parameters of relay.
    parameters : int
        Bytes of relay's.
    scale : float, optional
        The only one to use.

    Returns
    -------
    scale : float
        How many times smaller than the picture the base is.
    coded : bytes
        The base.

    Raises
    ------
    RateError
        If the codec reaches the limit at no scale.
    """
    scales = SCALES if scale is None else (scale,)
    if not rate.bounded:
        scales = scales[:1]
    lowest: list[int] = []
    highest: list[Callable[[], int]] = []
    for each in scales:
        small = original.resize(base_size(original.size, each), Image.Resampling.LANCZOS)
        mode = small.mode
        picture = Picture(pixels.to_tensor(pixels.Picture(mode, small, None)), mode == "L")
        room = _Room(codec, rate.room(parameters) if rate.bounded else 0)
        try:
            made = codec.encode(picture, room.rate(rate))
        except RateError as error:
            inside = room.around(room.asked) - room.asked
            lowest.append(parameters + inside + error.lowest)
            highest.append(partial(_highest, parameters + inside, error))
            if inside + error.lowest <= room.bytes:
                # the limit is above what the codec reaches, and less pixels do not help
                break
            continue
        return each, CodedBase(codec.name, codec.bitstream_version, made).pack()
    raise RateError(min(lowest), highest[0])


def _highest(around: int, error: RateError) -> int:
    return around + error.highest


@dataclass
class _Room:
    """What is left for the payload of a base, beside its parameters and the codec's name."""

    codec: Codec
    bytes: int
    # the length of parameters that the codec has last asked for
    asked: int = 0

    def around(self, parameters: int) -> int:
        """Return the bytes of a base beside its payload."""
        mark = FINGERPRINT_LENGTH if self.codec.kinds else 0
        version = varint.length(self.codec.bitstream_version)
        return 1 + len(self.codec.name) + version + mark + varint.length(parameters) + parameters

    def rate(self, rate: Rate) -> Rate:
        """Return the rate that the base's codec is given."""
        return replace(rate, limit=self._left) if rate.bounded else rate

    def _left(self, parameters: int) -> int:
        self.asked = parameters
        return self.bytes - self.around(parameters)


def options_of_both(options: DecodeOptions) -> tuple[DecodeOptions, DecodeOptions]:
    """Return the options for relay and for the base's codec: a named model is the one's it is for."""
    if options.model is None:
        return options, options
    try:
        folder_of(options.model, RESTORING.name, allow_download=False)
    except OptionError:
        return replace(options, model=None), options
    return options, replace(options, model=None)
