"""A codec's parameters as bytes: bits, numbers, an optional seed, bytes, text.

What `ByteWriter` writes, `ByteReader` reads in the same order; it never reads past the end, and what
no writer has made is a `FileError`.
"""

from __future__ import annotations

import io

from diffc.entropy import varint
from diffc.errors import FileError, TruncatedError

SEED_END = 1 << 32
_SEED_BYTES = 4
_SHORT = "the codec's parameters end too early: the file is damaged"


class ByteWriter:
    """Bytes, appended piece by piece; every method returns the writer."""

    def __init__(self) -> None:
        self._written = bytearray()
        self._bits = self._held = 0

    def bits(self, value: int, count: int) -> ByteWriter:
        """Append a number of ``count`` bits; the first one takes the lowest bits of a byte.

        Bits fill whole bytes before anything else is written.
        """
        if not 0 <= value < 1 << count:
            raise ValueError(f"a number of {count} bits is below {1 << count}, not {value}")
        self._bits |= value << self._held
        self._held += count
        while self._held >= 8:
            self._written.append(self._bits & 0xFF)
            self._bits >>= 8
            self._held -= 8
        return self

    def number(self, value: int, length: int) -> ByteWriter:
        """Append a number in so many bytes, the highest first."""
        return self._append(value.to_bytes(length, "big"))

    def varint(self, value: int) -> ByteWriter:
        """Append a number of 0 or more in as few bytes as it needs, seven bits in each."""
        return self._append(varint.encode(value))

    def seed(self, value: int) -> ByteWriter:
        """Append a seed of 0 to 2**32 - 1; 0 takes no bytes."""
        return self.number(value, _SEED_BYTES) if value else self

    def data(self, value: bytes) -> ByteWriter:
        """Append bytes whose number is known from elsewhere."""
        return self._append(value)

    def text(self, value: str) -> ByteWriter:
        """Append a text, which goes to the end of the parameters."""
        return self._append(value.encode())

    def done(self) -> bytes:
        """Return what was written."""
        self._require_whole()
        return bytes(self._written)

    def _append(self, data: bytes) -> ByteWriter:
        self._require_whole()
        self._written += data
        return self

    def _require_whole(self) -> None:
        if self._held:
            raise ValueError(f"bits fill whole bytes, not {self._held} more: write the rest as 0")


class ByteReader:
    """What a `ByteWriter` has written.

    Parameters
    ----------
    data : bytes
        Parameters of a file; anybody's bytes.

    Raises
    ------
    FileError
        By every method, if the bytes are none that a writer makes.
    """

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._length = len(data)
        self._bits = self._held = 0

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self._length - self._stream.tell()

    def bits(self, count: int) -> int:
        """Read a number of ``count`` bits."""
        while self._held < count:
            self._bits |= self._take(1)[0] << self._held
            self._held += 8
        value = self._bits & (1 << count) - 1
        self._bits >>= count
        self._held -= count
        return value

    def number(self, length: int) -> int:
        """Read a number of so many bytes."""
        return int.from_bytes(self._take(length), "big")

    def varint(self, end: int) -> int:
        """Read a number below ``end``."""
        try:
            return varint.read(self._stream.read, end)
        except TruncatedError as error:
            raise FileError(_SHORT) from error

    def seed(self, *, stored: bool) -> int:
        """Read a seed if one is ``stored``, which the file says elsewhere; else it is 0."""
        return self.number(_SEED_BYTES) if stored else 0

    def data(self, length: int) -> bytes:
        """Read so many bytes."""
        return self._take(length)

    def text(self, longest: int) -> str:
        """Read a text of at most so many characters, which is all that is left."""
        try:
            value = self._take(self.left).decode()
        except UnicodeDecodeError as error:
            raise FileError(f"a text is in UTF-8 ({error}): the file is damaged") from error
        if len(value) > longest:
            raise FileError(
                f"a text has at most {longest} characters here, not {len(value)}: the file is "
                "damaged"
            )
        return value

    def done(self) -> None:
        """Require that nothing is left."""
        if self.left or self._bits:
            raise FileError(
                f"the codec's parameters have {self.left} bytes too many, or bits that are not 0: "
                "the file is damaged, or update diffc"
            )

    def _take(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise FileError(_SHORT)
        return data
