"""From a picture and options to the bytes of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from PIL import Image

from diffc.builtin_codecs import BY_RATE, DEFAULT_CODEC
from diffc.captions import caption_metadata, captioned
from diffc.codec import Codec, Picture, Rate, no_progress
from diffc.container.writer import Envelope
from diffc.decode_options import check_allow_download, decoding
from diffc.errors import CodecNotAvailableError, RateError, warn_caller
from diffc.options import check_requests, codec_options, take_codec
from diffc.pictures import pixels
from diffc.pictures.alpha import encode_alpha
from diffc.pictures.metadata import orientation_of, profile_fits, space_of, take_metadata
from diffc.pictures.source import source_of
from diffc.progress import Progress
from diffc.rate import Target, take_target
from diffc.registry import check_name, declaration, load_codec
from diffc.threads import ready_to_fork
from diffc.values import plain_value

# stands for a model's fingerprint where only its length counts
_ANY_FINGERPRINT = bytes(4)
# of the photographs that codecs' rates were measured on
_MEASURED_PIXELS = 768 * 512


@dataclass(frozen=True)
class _Job:
    codec: Codec
    target: Target
    picture: pixels.Picture
    source: bytes | None
    metadata: dict[str, bytes]
    alpha: bytes | None
    progress: Progress
    allow_download: bool | None
    # bytes of parameters that the codec has last asked the room for
    asked: list[int] = field(default_factory=list)

    @cached_property
    def envelope(self) -> Envelope:
        """The file but for parameters and payload; any fingerprint stands for the model's."""
        return Envelope(
            codec=self.codec.name,
            bitstream_version=self.codec.bitstream_version,
            mode=self.picture.mode,
            size=self.picture.size,
            fingerprint=_ANY_FINGERPRINT if self.codec.kinds else None,
            metadata=self.metadata,
            alpha=self.alpha,
        )


def encode_image(image: Image.Image, options: dict[str, Any], *, strict: bool) -> bytes:
    """Return the bytes of a file; all options are checked before any work is done.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture.
    options : dict
        Keywords of `diffc.encode`.
    strict : bool
        Refuse unknown keywords.
    """
    with ready_to_fork():
        return _encoded(image, options, strict=strict)


def _encoded(image: Image.Image, options: dict[str, Any], *, strict: bool) -> bytes:
    options = {name: plain_value(value) for name, value in options.items()}
    free = options.get("backend") is None
    job = _prepare(image, options, strict=strict)
    from diffc.torch_state import undisturbed_torch

    try:
        return _coded(job)
    except RateError as error:
        unreached = error
    # what is left of the options is the codec's
    for kind in _codecs_below(options) if free and _is_below(job, unreached) else ():
        job = replace(job, codec=take_codec(options, kind, strict=False), asked=[])
        try:
            return _coded(job)
        except RateError as error:
            unreached = error
    # to know the reach may take another encode
    with undisturbed_torch():
        raise ValueError(_out_of_reach(job, unreached)) from unreached


def _is_below(job: _Job, error: RateError) -> bool:
    """Return whether a codec could not make so small a file."""
    parameters = job.asked[-1] if job.asked else 0
    assert job.target.file_bytes is not None  # or nothing would be out of reach
    return job.envelope.room(job.target.file_bytes, parameters) + parameters < error.lowest


def _codecs_below(options: dict[str, Any]) -> Iterator[type[Codec]]:
    """Yield the codecs for what the default one does not reach, if they know all the options."""
    given = {name for name, value in options.items() if value is not None}
    # a model is one codec's; what nobody's option is was passed on to every format
    first = set(codec_options(load_codec(BY_RATE[0])))
    for name in BY_RATE[1:]:
        kind = load_codec(name)
        if not given & first - (set(codec_options(kind)) - {"model"}):
            yield kind


def _coded(job: _Job) -> bytes:
    from diffc.torch_state import lacks_memory, too_little_memory, undisturbed_torch

    try:
        with undisturbed_torch(), decoding(allow_download=job.allow_download):
            picture = Picture(
                pixels.to_tensor(job.picture), job.picture.color.mode == "L", job.source
            )
            encoded = job.codec.encode(picture, _rate(job), job.progress)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        size, device = job.picture.size, job.codec.device
        raise MemoryError(too_little_memory("encode", job.codec.name, size, device)) from error
    envelope = replace(job.envelope, fingerprint=encoded.fingerprint)
    data = envelope.build(encoded.parameters, encoded.payload)
    if job.target.file_bytes is not None and len(data) > job.target.file_bytes:
        job.asked[:] = [len(encoded.parameters)]
        raise RateError(encoded.length, encoded.length)
    return data


@dataclass(frozen=True)
class _Requests:
    codec: Codec
    target: Target
    metadata: dict[str, bytes]
    progress: Progress
    keep_alpha: bool
    allow_download: bool | None


def check_options(options: Mapping[str, Any]) -> None:
    """Check the keywords of `diffc.encode` as far as they can be without a picture.

    Raises
    ------
    ValueError
        If one is unknown, or has a wrong type or range.
    """
    _requests({name: plain_value(value) for name, value in options.items()}, (1, 1), strict=True)


def _requests(options: dict[str, Any], size: tuple[int, int], *, strict: bool) -> _Requests:
    """Take what an image of a size is to become out of options; the codec's own stay there."""
    name = options.pop("backend", None)
    try:
        kind = load_codec(check_name(DEFAULT_CODEC if name is None else name))
    except CodecNotAvailableError as error:
        raise ValueError(f"backend={name!r}: {error}") from error
    check_requests(options, kind)
    progress = options.pop("progress", None) or no_progress
    # "progress" may be somebody's keyword for another format
    if not callable(progress):
        raise ValueError(f"progress is a function of (step, total), not {progress!r}: pass one")
    keep_alpha = _keeps_alpha(options.pop("alpha", None))
    allow_download = options.pop("allow_download", None)
    check_allow_download(allow_download)
    metadata = take_metadata(options)
    target = take_target(options, size)
    codec = take_codec(options, kind, strict=strict)
    return _Requests(codec, target, metadata, progress, keep_alpha, allow_download)


def _prepare(image: Image.Image, options: dict[str, Any], *, strict: bool) -> _Job:
    convert = options.get("icc_profile") is None
    asked = _requests(options, image.size, strict=strict)
    codec, metadata, allow_download = asked.codec, asked.metadata, asked.allow_download
    profile = metadata.get("icc")
    if profile is not None and profile_fits(profile, image.mode):
        profile = None
    if profile is not None:
        del metadata["icc"]
        warn_caller(
            f"the ICC profile passed describes {space_of(profile)}, which the file of an image of "
            f"mode {image.mode!r} does not hold: its colours are converted to sRGB"
        )
    picture = pixels.from_pillow(
        image,
        keep_alpha=asked.keep_alpha,
        convert_color=convert or profile is not None,
        profile=profile,
    )
    turned = orientation_of(image)
    if turned != 1 and not metadata.keys() & {"exif", "xmp"}:
        warn_caller(
            f"the image is to be turned by its EXIF (orientation {turned}), and none is stored: "
            "pass exif=, or turn it by PIL.ImageOps.exif_transpose"
        )
    coded_alpha = None if picture.alpha is None else encode_alpha(picture.alpha)
    from diffc.torch_state import undisturbed_torch

    # last, as it may take seconds; now, as its bytes count towards the target
    with undisturbed_torch(), decoding(allow_download=allow_download):
        codec = captioned(codec, picture)
    metadata |= caption_metadata(codec)
    source = source_of(image, picture.color) if codec.takes_source else None
    return _Job(
        codec,
        asked.target,
        picture,
        source,
        metadata,
        coded_alpha,
        asked.progress,
        allow_download,
    )


def _keeps_alpha(alpha: object) -> bool:
    known = {None: True, "keep": True, True: True, "drop": False, False: False}
    if isinstance(alpha, str | bool | None) and alpha in known:
        return known[alpha]
    raise ValueError(f"alpha is 'keep' or 'drop', not {alpha!r}: choose one of them")


def _rate(job: _Job) -> Rate:
    limit = job.target.file_bytes
    if limit is None:
        return Rate(quality=job.target.quality, asked=bool(job.target.text))

    def room(parameters: int) -> int:
        job.asked[:] = [parameters]
        return job.envelope.room(limit, parameters)

    return Rate(limit=room)


def _out_of_reach(job: _Job, error: RateError) -> str:
    """Name the reachable range in bytes of the file, and what of them is metadata and alpha."""
    envelope = job.envelope
    parameters = job.asked[-1] if job.asked else 0
    # the payload's length field grows with the payload, that of the parameters with them
    lowest, highest = (
        each + envelope.overhead(max(0, each - parameters), parameters)
        for each in (error.lowest, error.highest)
    )
    pixels = job.picture.size[0] * job.picture.size[1]
    reach = f"{lowest} to {highest}" if highest > lowest else f"{lowest}"
    bits = " to ".join(f"{8 * each / pixels:.4g}" for each in dict.fromkeys((lowest, highest)))
    extra = []
    if job.metadata:
        bare = replace(envelope, metadata={})
        extra.append(f"{envelope.overhead() - bare.overhead()} of metadata")
    if job.alpha is not None:
        extra.append(f"{len(job.alpha)} of alpha")
    including = f", including {' and '.join(extra)}" if extra else ""
    asked = job.target.file_bytes
    return (
        f"codec {job.codec.name!r} makes files of {reach} bytes ({bits} bpp) of this image"
        f"{including}, and {job.target.text} allows {asked}: ask for a rate in that range"
        f"{_other_codec(job)}"
    )


def _other_codec(job: _Job) -> str:
    """Name a codec that is made for a rate which is out of reach, after "ask for another rate"."""
    asked = job.target.file_bytes or 0
    width, height = job.picture.size
    for name in BY_RATE:
        rates = declaration(name).rates
        if name == job.codec.name or rates is None:
            continue
        # at the low end it is bytes that a picture takes, whatever its size
        if rates[0] * _MEASURED_PIXELS <= 8 * asked <= rates[1] * width * height:
            low, high = rates
            return f", or choose backend={name!r}, for {low:g} to {high:g} bpp of photographs"
    return ""
