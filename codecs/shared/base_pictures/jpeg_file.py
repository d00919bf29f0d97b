"""The quantised coefficients of a JPEG file (ITU-T T.81), exactly, through any decoder of pixels.

Pixels are rounded and cut at black and white, so what a decoder shows does not tell the coefficients
for certain.  But the decoder multiplies by the tables that the file names, so of the same entropy-coded
data, under other tables, it shows other pictures: with the constant alone, times 8, each block is flat
and its grey is the constant; without the constant, and steps of 8 to 16 for the rest, nothing is cut,
and rounding is too little to mistake one multiple for another.  Every block is computed again from what
was found and compared with what was decoded, so doubt is known where it remains.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc.errors import FileError

_Any = TypeVar("_Any", bound=np.generic)
Floats = NDArray[np.float32]
Integers = NDArray[np.int16]
Bytes = NDArray[np.uint8]

_SOI, _SOS, _DQT = 0xD8, 0xDA, 0xDB
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_ALONE = {0x01, *range(0xD0, 0xD8)}
# T.81, figure A.6: place of each coefficient in a table, row by row
_ZIGZAG = sorted(
    range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8)
)
_LARGEST_STEP = 255
_STRIP = 512
# least and largest step of a trial
_REACHES = ((8, 16), (5, 5), (3, 3), (2, 2))


def dct_matrix() -> Floats:
    """Return the orthonormal cosine transform of 8 values (frequencies, places)."""
    frequency, place = np.arange(8)[:, None], np.arange(8)[None]
    rows = np.cos(np.pi * (2 * place + 1) * frequency / 16) / 2
    rows[0] /= math.sqrt(2)
    return rows.astype(np.float32)


_DCT = dct_matrix()


def to_blocks(plane: NDArray[_Any]) -> NDArray[_Any]:
    """Cut a plane, whose sides are multiples of 8, into blocks (rows, columns, 8, 8)."""
    height, width = plane.shape
    return plane.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)


def from_blocks(blocks: NDArray[_Any]) -> NDArray[_Any]:
    """Put blocks (rows, columns, 8, 8) together."""
    rows, columns = blocks.shape[:2]
    return blocks.swapaxes(1, 2).reshape(8 * rows, 8 * columns)


def transform(blocks: Floats) -> Floats:
    """Return the coefficients of blocks of pixels about 128; T.81, A.3.3."""
    return _twice(blocks - np.float32(128), _DCT.T)


def inverse(coefficients: Floats) -> Floats:
    """Return the pixels, not rounded, of coefficients; T.81, A.3.3."""
    return _twice(coefficients, _DCT) + np.float32(128)


def _twice(blocks: Floats, matrix: Floats) -> Floats:
    # one product of two matrices each, which is what is fast
    once = (blocks.reshape(-1, 8) @ matrix).reshape(blocks.shape).swapaxes(-1, -2)
    again = (np.ascontiguousarray(once).reshape(-1, 8) @ matrix).reshape(blocks.shape)
    return np.ascontiguousarray(again.swapaxes(-1, -2))


@dataclass(frozen=True)
class Component:
    """One component of a file: luma, or a colour difference.

    Parameters
    ----------
    steps : NDArray
        Its quantisation table (8, 8), rows of rising vertical frequency.
    levels : NDArray
        Quantised coefficients (rows, columns, 8, 8).
    certain : NDArray
        Of which blocks (rows, columns) they are known for certain.
    """

    steps: Floats
    levels: Integers
    certain: NDArray[np.bool_]


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG file says before its data."""

    size: tuple[int, int]
    sampling: tuple[tuple[int, int], ...]
    """Horizontal and vertical, of each component."""
    frame_start: int
    """Where the frame's height stands."""
    table_starts: dict[int, tuple[int, int]]
    """Where each table's 64 steps stand, and how many bytes each has."""
    tables: tuple[int, ...]
    """That of each component."""
    interleaved: bool
    """One scan holds all components."""
    luma_and_color: bool
    """Components are luma and colour differences, not RGB or CMYK."""

    @property
    def subsampled(self) -> bool:
        """Whether some components have fewer values than others."""
        return len(set(self.sampling)) > 1

    @property
    def subsampling(self) -> str:
        """One of "grey", "4:4:4", "4:2:0" and "other"."""
        kinds: dict[tuple[tuple[int, int], ...], str] = {
            ((1, 1), (1, 1), (1, 1)): "4:4:4",
            ((2, 2), (1, 1), (1, 1)): "4:2:0",
        }
        return "grey" if len(self.sampling) == 1 else kinds.get(self.sampling, "other")


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read the segments before a file's first scan.

    Raises
    ------
    FileError
        If it is no JPEG file of 8 bits a value with tables of steps before the first scan.
    """
    try:
        return _read_header(data)
    except (IndexError, KeyError, ValueError) as error:
        raise FileError(
            "the JPEG file is damaged, or of a kind that is not read here: convert it"
        ) from error


def _read_header(data: bytes) -> JpegHeader:
    if data[:2] != b"\xff\xd8":
        raise ValueError("no start")
    tables: dict[int, tuple[int, int]] = {}
    frame: tuple[int, int, tuple[int, int], list[tuple[int, int, int, int]]] | None = None
    adobe = None
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("no marker")
        marker = data[place + 1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        start, end = place + 4, place + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("a segment is cut")
        if marker == _DQT:
            while start < end:
                wide, number = data[start] >> 4, data[start] & 15
                tables[number] = (start + 1, 1 + wide)
                start += 1 + 64 * (1 + wide)
            if start != end or any(wide > 2 for _, wide in tables.values()):
                raise ValueError("a table is cut")
        elif marker in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            if data[start] != 8 or frame is not None:
                raise ValueError("not 8 bits, or a second frame")
            height, width = (int.from_bytes(data[start + n : start + n + 2], "big") for n in (1, 3))
            each = [data[start + 6 + 3 * n : start + 9 + 3 * n] for n in range(data[start + 5])]
            parts = [(part[0], part[1] >> 4, part[1] & 15, part[2]) for part in each]
            frame = (marker, start + 1, (width, height), parts)
        elif 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise ValueError("lossless, hierarchical or arithmetic")
        elif marker == 0xEE and data[start : start + 5] == b"Adobe":
            adobe = data[start + 11]
        elif marker == _SOS:
            break
        place = end
    if frame is None or not frame[3] or 0 in frame[2]:
        raise ValueError("no frame")
    kind, frame_start, size, parts = frame
    named = bytes(part[0] for part in parts)
    plain = len(parts) == 1 or (len(parts) == 3 and adobe in (None, 1) and named != b"RGB")
    # a table that comes between scans would have to be followed through them
    later = data.find(bytes([0xFF, _DQT]), place) >= 0
    return JpegHeader(
        size=size,
        # a single component is not interleaved, whatever it says
        sampling=((1, 1),) if len(parts) == 1 else tuple((h, v) for _, h, v, _ in parts),
        frame_start=frame_start,
        table_starts={number: tables[number] for *_, number in parts},
        tables=tuple(number for *_, number in parts),
        interleaved=kind != _PROGRESSIVE and data[start] == len(parts) and len(parts) > 1,
        luma_and_color=plain and not later,
    )


def read_coefficients(data: bytes, header: JpegHeader) -> list[Component]:
    """Return the components of a file, or luma alone where colour is sampled in another way.

    Parameters
    ----------
    data : bytes
        A whole file.
    header : JpegHeader
        Its own, with `luma_and_color`.

    Raises
    ------
    OSError
        If Pillow does not decode it.
    """
    halved = header.subsampling == "4:2:0"
    count = 3 if header.subsampling in ("4:4:4", "4:2:0") else 1
    # more pixels show whole blocks at the border; as many as leave each scan's count of blocks alone
    multiple = 16 if halved and header.interleaved else 8
    if count == 1 and len(header.sampling) > 1:
        multiple = 1
    shown = tuple(side + -side % multiple for side in header.size)
    steps = {n: _steps(data, *where) for n, where in header.table_starts.items()}
    flat = {n: _only_constant(8) for n in steps}
    # where strong edges are cut, in smaller steps
    finer = [
        {n: _without_constant(np.clip(each, *reach)) for n, each in steps.items()}
        for reach in _REACHES
    ]
    shown_steps = {n: np.minimum(each, _LARGEST_STEP) for n, each in steps.items()}
    trials = [
        _decoded(data, header, tables, shown, halved) for tables in (flat, *finer, shown_steps)
    ]
    found = []
    for index in range(count):
        number = header.tables[index]
        tables = [each[number] for each in finer]
        planes = [_framed(each[index]) for each in trials]
        parts = [
            _component(steps[number], tables, [to_blocks(plane[rows]) for plane in planes])
            for rows in strips(len(planes[0]))
        ]
        levels, certain = (np.concatenate(each) for each in zip(*parts, strict=True))
        found.append(Component(steps[number], levels, certain))
    return found


def strips(height: int) -> list[slice]:
    """Cut rows into strips of whole blocks, also of blocks of twice the height, for memory."""
    return [slice(top, min(top + _STRIP, height)) for top in range(0, height, _STRIP)]


def steps_of(data: bytes, header: JpegHeader) -> Floats:
    """Return the luma's quantisation table (8, 8), rows of rising vertical frequency.

    Raises
    ------
    FileError
        If a step is 0.
    """
    return _steps(data, *header.table_starts[header.tables[0]])


def _component(
    steps: Floats, tables: list[Floats], trials: list[NDArray[np.uint8]]
) -> tuple[Integers, NDArray[np.bool_]]:
    """Find levels: the constant from one picture, the rest from the first that shows it uncut."""
    constants, *others, whole = (each.astype(np.float32) for each in trials)
    middle = constants.mean((2, 3))
    cut = (middle <= 0) | (middle >= 255)
    # what no trial shows for certain is as the picture itself suggests
    levels = np.rint(transform(whole) / steps)
    certain = np.zeros(cut.shape, bool)
    for pixels, table in zip(others, tables, strict=True):
        tried = np.rint(transform(pixels) / np.where(table > 0, table, 1)) * (table > 0)
        agrees = (np.abs(inverse(tried * table) - pixels) < 1).all((2, 3))
        taken = agrees & ~certain & ~((pixels <= 0) | (pixels >= 255)).any((2, 3))
        tried[..., 0, 0] = levels[..., 0, 0]
        levels[taken] = tried[taken]
        certain |= taken
    levels[..., 0, 0] = np.where(cut, levels[..., 0, 0], np.rint(middle - 128))
    return levels.astype(np.int16), certain & ~cut


def _framed(plane: Bytes) -> Bytes:
    """Repeat the last row and column until both sides are multiples of 8."""
    height, width = plane.shape
    return np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge")


def _steps(data: bytes, start: int, width: int) -> Floats:
    kind = ">u2" if width == 2 else "u1"
    stored = np.frombuffer(data, kind, 64, start)
    table = np.zeros(64, np.float32)
    table[_ZIGZAG] = stored
    if not table.all():
        raise FileError("the JPEG file has a quantisation step of 0: it is damaged")
    return table.reshape(8, 8)


def _only_constant(step: int) -> Floats:
    table = np.zeros((8, 8), np.float32)
    table[0, 0] = step
    return table


def _without_constant(steps: Floats) -> Floats:
    table = steps.astype(np.float32).copy()
    table[0, 0] = 0
    return table


def _decoded(
    data: bytes,
    header: JpegHeader,
    tables: dict[int, Floats],
    size: tuple[int, ...],
    halved: bool,
) -> list[Bytes]:
    """Return the planes that Pillow decodes under other tables, each at its own size."""
    edited = bytearray(data)
    edited[header.frame_start : header.frame_start + 4] = b"".join(
        side.to_bytes(2, "big") for side in reversed(size)
    )
    for number, (start, width) in header.table_starts.items():
        stored = tables[number].reshape(64)[_ZIGZAG]
        edited[start : start + 64 * width] = stored.astype(">u2" if width == 2 else "u1").tobytes()
    full = _planes(bytes(edited), size)
    if not halved:
        return full
    # at half the size, the decoder shows colour as it is stored, and nothing is interpolated
    return [full[0], *_planes(bytes(edited), tuple(max(1, side // 2) for side in size))[1:]]


def _planes(data: bytes, size: tuple[int, ...]) -> list[Bytes]:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        grey = image.mode == "L"
        image.draft("L" if grey else "YCbCr", (size[0], size[1]))
        if image.mode != ("L" if grey else "YCbCr"):
            raise FileError(f"the JPEG file decodes to {image.mode}, not to luma and colour")
        image.load()
        pixels = np.asarray(image)
    return [pixels] if grey else [np.ascontiguousarray(pixels[:, :, n]) for n in range(3)]
