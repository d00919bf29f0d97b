"""DIFFC as an image format of Pillow."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image, ImageFile

from diffc.adapters.pillow_options import options_of_call
from diffc.api import UNCHANGED_ONLY, info_of, original_file
from diffc.codec import DecodeOptions
from diffc.container.header import Header
from diffc.container.reader import Body, read_body, read_header
from diffc.decode_options import decode_options, options_in_force
from diffc.errors import FileError
from diffc.registration import FORMAT
from diffc.threads import ForkSafeLock

_DECODER = "diffc"


@dataclass
class _Origin:
    """Where an image's pixels come from; shared by the image and its decoder."""

    header: Header
    options: DecodeOptions | None = None  # in force when it was opened
    stream: bytes | None = None  # the file, once its pixels have been decoded
    pixels: tuple[str, tuple[int, int], int] | None = None  # what they were then


class DiffcImageFile(ImageFile.ImageFile):
    """A DIFFC file: opened by its header, decoded when pixels are first touched."""

    format = FORMAT
    format_description = "Diffusion image codecs"
    is_animated = False
    n_frames = 1

    # class-level defaults, because unpickled and copied images have no file
    _origin: _Origin | None = None
    _lock: ForkSafeLock | None = None

    def _open(self) -> None:
        assert self.fp is not None
        try:
            header = read_header(self.fp.read)
        except FileError as error:
            raise SyntaxError(str(error)) from error
        self._size = header.size
        self._mode = header.mode
        self._origin = _Origin(header, options_in_force())
        self._lock = ForkSafeLock()
        self.info.update(info_of(header))
        extents = (0, 0, *header.size)
        self.tile = [
            ImageFile._Tile(_DECODER, extents, header.header_length, (self._origin,)),
        ]

    def load(self) -> Image.core.PixelAccess | None:  # type: ignore[name-defined]
        """Decode the pixels, once, whichever thread comes first.

        Raises
        ------
        OSError
            If the file is damaged or truncated, or its codec or model is missing.
        ValueError
            If the file was closed before.
        """
        if not self.tile or self._lock is None:
            return super().load()
        with self._lock:
            if self.tile and self.fp is None:
                raise ValueError(
                    "the image was closed before its pixels were loaded: load it first"
                )
            return super().load()

    def load_seek(self, pos: int) -> None:
        """Go to a position in the file; being defined makes `PIL.ImageFile.Parser` wait for all."""
        assert self.fp is not None
        self.fp.seek(pos)

    def verify(self) -> None:
        """Check the whole file's checksum without decoding; the image must be reopened after.

        Raises
        ------
        OSError
            If the file is damaged or truncated.
        """
        if self._origin is None or not self.tile or self.fp is None:
            raise RuntimeError("verify must be called directly after open")
        try:
            _read_whole(self.fp, self._origin.header)
        finally:
            super().verify()

    def original(self) -> bytes:
        """Return the file's bytes, for ``quality="keep"``.

        Raises
        ------
        OSError
            If the file is damaged or truncated.
        ValueError
            If the pixels are not the file's any more.
        """
        origin, lock = self._origin, self._lock
        if origin is None or lock is None:
            raise ValueError(UNCHANGED_ONLY)
        with lock:
            if self.tile and self.fp is not None:
                # never decoded, so never changed
                return _read_whole(self.fp, origin.header)[1]
        if origin.stream is None or _pixels(self, self.tobytes()) != origin.pixels:
            raise ValueError(UNCHANGED_ONLY)
        return origin.stream


def _pixels(image: Image.Image, data: bytes) -> tuple[str, tuple[int, int], int]:
    """Return what tells whether pixels, ``data``, were changed."""
    return image.mode, image.size, zlib.crc32(data)


class _Decoder(ImageFile.PyDecoder):
    """Decodes a whole file; Pillow calls it from `DiffcImageFile.load`."""

    _pulls_fd = True

    # the type of the buffer differs among the versions of Pillow, and it is empty here
    def decode(self, buffer: Any) -> tuple[int, int]:
        """Decode from ``self.fd``."""
        from diffc.reconstruction import decode_body

        assert self.fd is not None
        origin: _Origin = self.args[0]
        body, stream = _read_whole(
            self.fd, origin.header, allow_truncated=ImageFile.LOAD_TRUNCATED_IMAGES
        )
        picture = decode_body(origin.header, body, decode_options(origin.options))
        data = picture.tobytes()
        self.set_as_raw(data, picture.mode)
        if not body.truncated:
            origin.stream, origin.pixels = stream, _pixels(picture, data)
        return -1, 0


def _read_whole(
    file: IO[bytes], expected: Header, *, allow_truncated: bool = False
) -> tuple[Body, bytes]:
    """Read and check a file from its start; return also its bytes, which are few."""
    pieces = []
    read_next = _reader(file)

    def read(count: int) -> bytes:
        pieces.append(read_next(count))
        return pieces[-1]

    header = read_header(read)
    if header != expected:
        raise FileError("the file is not the one that was opened: open it again")
    body = read_body(header, read, allow_truncated=allow_truncated)
    return body, b"".join(pieces)


def _reader(file: IO[bytes]) -> Callable[[int], bytes]:
    """Return what reads a file from its start."""
    if (
        not isinstance(file, io.BufferedReader)
        or type(file.raw) is not io.FileIO
        or not hasattr(os, "pread")
    ):
        file.seek(0)
        return file.read
    # not by the file's position, which forked processes have in common
    descriptor, position = file.fileno(), 0

    def read(count: int) -> bytes:
        nonlocal position
        piece = os.pread(descriptor, count, position)
        position += len(piece)
        return piece

    return read


def save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write a picture with the options of the call of `PIL.Image.Image.save`."""
    with options_of_call(image, FORMAT) as options:
        data = _encoded(image, options)
    fp.write(data)


def save_all(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write the one picture that a file holds; refuse several."""
    with options_of_call(image, FORMAT) as options:
        frames = getattr(image, "n_frames", 1) + len(list(options.get("append_images") or []))
        if frames > 1:
            raise ValueError(
                f"a DIFFC file holds one picture, not {frames}: save each to its own file"
            )
        data = _encoded(image, options)
    fp.write(data)


def _encoded(image: Image.Image, options: dict[str, Any]) -> bytes:
    data = original_file(image, options, strict=False)
    if data is not None:
        return data
    from diffc.encoding import encode_image

    return encode_image(image, options, strict=False)


Image.register_decoder(_DECODER, _Decoder)
