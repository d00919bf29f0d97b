"""DIFFC as an image format of Pillow."""

from __future__ import annotations

import threading
import weakref
import zlib
from typing import IO, Any, ClassVar

from PIL import Image, ImageFile

from diffc.api import info_of
from diffc.body import Body, read_body
from diffc.context import decode_options
from diffc.diagnosis import diagnose
from diffc.errors import FileError
from diffc.header import Header
from diffc.header_reader import read_header
from diffc.layout import MAGIC

FORMAT = "DIFFC"
MIME = "image/x-diffc"
EXTENSION = ".diffc"
_DECODER = "diffc"


def _accept(prefix: bytes) -> bool | str:
    # a text is Pillow's way to say "mine, but unreadable, because"; it becomes a warning
    reason = diagnose(prefix)
    return reason if reason is not None else prefix.startswith(MAGIC)


class DiffcImageFile(ImageFile.ImageFile):
    """A DIFFC file: opened by its header, decoded when pixels are first touched."""

    format: ClassVar[str] = FORMAT
    format_description: ClassVar[str] = "Diffusion image codecs"

    # class-level defaults, so that unpickled and copied images have them too
    _header: Header | None = None
    _stream: bytes | None = None
    _pixels_crc: int | None = None
    _lock: threading.RLock | None = None

    def _open(self) -> None:
        assert self.fp is not None
        try:
            header = read_header(self.fp.read)
        except FileError as error:
            raise SyntaxError(str(error)) from error
        self._size = header.size
        self._mode = header.mode
        self._header = header
        self.info.update(info_of(header))
        self._lock = threading.RLock()
        self.tile = [ImageFile._Tile(_DECODER, (0, 0, *header.size), header.header_length, (weakref.ref(self),))]

    def load(self) -> Image.core.PixelAccess | None:  # type: ignore[name-defined]
        """Decode the pixels, once, whichever thread comes first."""
        if not self.tile or self._lock is None:
            return super().load()
        with self._lock:
            return super().load()

    def load_seek(self, pos: int) -> None:
        """Go to a position in the file; being defined makes `PIL.ImageFile.Parser` wait for all."""
        assert self.fp is not None
        self.fp.seek(pos)

    def load_end(self) -> None:
        """Remember what the pixels were, to tell whether they still are the file's."""
        if self._stream is not None:
            self._pixels_crc = zlib.crc32(self.tobytes())

    def verify(self) -> None:
        """Check the whole file's checksum without decoding; the image must be reopened after."""
        if self._header is None or self.fp is None:
            raise RuntimeError("verify must be called directly after open")
        self.fp.seek(self._header.header_length)
        read_body(self._header, self.fp.read)
        if self._exclusive_fp:
            self.fp.close()
        self.fp = None

    def original(self) -> bytes:
        """Return the file's bytes, for ``quality="keep"``.

        Raises
        ------
        ValueError
            If the pixels are not the file's any more.
        """
        if self.tile and self.fp is not None:
            # never decoded, so never changed
            return _verified(self.fp)[2]
        if self._stream is None or zlib.crc32(self.tobytes()) != self._pixels_crc:
            raise ValueError(_KEEP)
        return self._stream

    def __getstate__(self) -> list[Any]:
        # locks and open files do not travel; pixels do
        self.load()
        return super().__getstate__()

    def __copy__(self) -> Image.Image:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Image.Image:
        return self.copy()


_KEEP = "quality='keep' needs an unchanged image opened from a DIFFC file: give a bpp or a quality"


class _Decoder(ImageFile.PyDecoder):
    """Decodes a whole file; Pillow calls it from `DiffcImageFile.load`."""

    _pulls_fd = True

    def decode(self, buffer: bytes | Image.SupportsArrayInterface) -> tuple[int, int]:
        """Decode from ``self.fd``."""
        from diffc.decoding import decode_body

        assert self.fd is not None
        header, body, stream = _verified(
            self.fd, allow_truncated=bool(ImageFile.LOAD_TRUNCATED_IMAGES)
        )
        picture = decode_body(header, body, decode_options())
        self.set_as_raw(picture.tobytes(), picture.mode)
        image = self.args[0]()
        if image is not None and not body.truncated:
            image._stream = stream
        return -1, 0


def _verified(file: IO[bytes], *, allow_truncated: bool = False) -> tuple[Header, Body, bytes]:
    """Read a file from its start; return also its bytes, which are few."""
    file.seek(0)
    header = read_header(file.read)
    body = read_body(header, file.read, allow_truncated=allow_truncated)
    file.seek(0)
    stream = b"" if body.truncated else file.read(header.file_length)
    return header, body, stream


def _save(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    options = dict(image.encoderinfo)
    if options.get("quality") == "keep":
        if not isinstance(image, DiffcImageFile):
            raise ValueError(_KEEP)
        fp.write(image.original())
        return
    from diffc.encoding import encode_image

    fp.write(encode_image(image, options, strict=False))


def _save_all(image: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    appended = list(image.encoderinfo.get("append_images") or [])
    frames = getattr(image, "n_frames", 1) + len(appended)
    if frames > 1:
        raise ValueError(f"a DIFFC file holds one picture, not {frames}: save each to its own file")
    _save(image, fp, filename)


def register() -> None:
    """Make Pillow open and save DIFFC files; repeating it changes nothing."""
    Image.register_open(FORMAT, DiffcImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)
    Image.register_decoder(_DECODER, _Decoder)
