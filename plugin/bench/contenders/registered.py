"""Codecs of diffc's registry under test, third parties' included, with options."""

from __future__ import annotations

import warnings
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import Image

from diffc.bench.contenders.contender import Attempt
from diffc.bench.contenders.specs import label_of
from diffc.codec import DecodeOptions
from diffc.errors import CodecNotAvailableError, RateError

_DECODE = "decode."
# what else there is holds for a whole process, not for a codec under test
_DECODE_OPTIONS = tuple(
    each.name for each in fields(DecodeOptions) if each.name not in ("allow_download", "progress")
)
# stands for a model's fingerprint where only its length counts
_ANY_FINGERPRINT = bytes(4)
_PROBE_SIDE = 64


class RegisteredContender:
    """A codec by its name in the registry.

    An option is the encoder's; those of `diffc.decoding` are written ``decode.steps=4``.  ``device``
    holds for both, and so does a ``model`` that is a folder.

    Parameters
    ----------
    spec : str
        As asked.
    name : str
        The codec's.
    options : dict
        Those of the spec.
    device : str, optional
        Where networks run, unless an option says so.

    Raises
    ------
    ValueError
        If the codec cannot be imported, or an option is unknown or wrong.
    """

    extension = ".diffc"

    def __init__(self, spec: str, name: str, options: dict[str, Any], device: str | None) -> None:
        from diffc.decode_options import with_changes
        from diffc.options import codec_options, take_codec
        from diffc.registry import load_codec

        self.spec = spec
        self.label = label_of(spec)
        try:
            self._codec = load_codec(name)
        except CodecNotAvailableError as error:
            raise ValueError(str(error)) from error
        self._options = {k: v for k, v in options.items() if not k.startswith(_DECODE)}
        decode = {k[len(_DECODE) :]: v for k, v in options.items() if k.startswith(_DECODE)}
        for key in decode:
            if key not in _DECODE_OPTIONS:
                raise ValueError(
                    f"{_DECODE}{key} is no option of decoding: there are "
                    f"{', '.join(_DECODE + each for each in _DECODE_OPTIONS)}"
                )
        if device is not None and "device" in codec_options(self._codec):
            self._options.setdefault("device", device)
        shared = {"device": self._options.get("device", device)}
        model = self._options.get("model")
        if isinstance(model, str) and Path(model).is_dir():
            shared["model"] = model
        self._decode_options: dict[str, Any] = shared | decode
        self._made = take_codec(dict(self._options), self._codec, strict=True)
        with_changes(**self._decode_options)

    def identity(self) -> str:
        """Return the package, the bitstream's version and the fingerprint of the model.

        The model is that of a small file, which is made for this.  A codec that cannot make it, as
        with options for pictures of one size, is identified without.
        """
        from diffc.api import info
        from diffc.encoding import encode_image

        told = [
            self._codec.name,
            f"bitstream {self._codec.bitstream_version}",
            *_package(self._codec.name),
        ]
        gradient = Image.linear_gradient("L").resize((_PROBE_SIDE, _PROBE_SIDE)).convert("RGB")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options = self._options | {"backend": self._codec.name}
                model = info(encode_image(gradient, options, strict=True)).model
        # what is wrong will be told of the pictures
        except Exception:  # noqa: BLE001
            model = None
        if model is not None:
            told.append(f"model {model}")
        return ", ".join(told)

    def encode(self, image: Image.Image, limit: int) -> Attempt:
        """Return the file for a limit, or for the nearest that the codec can reach."""
        size = max(limit, 1)
        try:
            return Attempt(self._coded(image, size), f"target_size={size}")
        except ValueError as error:
            if not isinstance(error.__cause__, RateError):
                raise
            nearest = self._nearest(image, size, error.__cause__)
        return Attempt(self._coded(image, nearest), f"target_size={nearest}")

    def _coded(self, image: Image.Image, target_size: int) -> bytes:
        from diffc.encoding import encode_image

        options = self._options | {"backend": self._codec.name, "target_size": target_size}
        return encode_image(image, options, strict=True)

    def _nearest(self, image: Image.Image, size: int, error: RateError) -> int:
        """Return the bytes of a file that a codec can make, from those of its payload."""
        from diffc.captions import caption_metadata, captioned
        from diffc.container.writer import Envelope
        from diffc.pictures.pixels import from_pillow

        picture = from_pillow(image, keep_alpha=False, convert_color=True)
        envelope = Envelope(
            codec=self._codec.name,
            bitstream_version=self._codec.bitstream_version,
            mode="RGB",
            size=image.size,
            fingerprint=_ANY_FINGERPRINT if self._codec.kinds else None,
            metadata=caption_metadata(captioned(self._made, picture)),
        )
        lowest = error.lowest + envelope.overhead(error.lowest)
        highest = error.highest + envelope.overhead(error.highest)
        return lowest if size < lowest else highest

    def decode(self, data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
        """Return the RGB picture of a file, which says its size itself."""
        from diffc.api import decode

        picture: Image.Image = decode(data, to="pil", **self._decode_options)
        return picture.convert("RGB")


def _package(codec: str) -> list[str]:
    """Return the distribution of another package's codec with its version; diffc's is known."""
    from diffc.registry import known_codecs

    origin = known_codecs()[codec].origin
    try:
        return [f"{origin} {metadata.version(origin)}"]
    # built in, or registered by a call
    except (metadata.PackageNotFoundError, ValueError):
        return []
