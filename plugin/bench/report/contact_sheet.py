"""A picture to look at: crops of every codec's result, pixel for pixel, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_MARGIN, _GAP, _LABEL_WIDTH = 20, 10, 230
_GROUND, _INK, _SOFT = (250, 250, 248), (26, 27, 30), (87, 91, 99)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Entry:
    """One row of the sheet.

    Parameters
    ----------
    title : str
        The codec.
    lines : sequence of str
        What stands under it: bytes, bits per pixel, a measure.
    picture : PIL.Image.Image, optional
        RGB, of the size of all others; without one the row says only its lines.
    """

    title: str
    lines: Sequence[str]
    picture: Image.Image | None


def contact_sheet(original: Image.Image, entries: Sequence[Entry], crop: int = 256) -> Image.Image:
    """Return a sheet with a row for each entry and a column for each region of the picture.

    Nothing is scaled: a pixel of a picture is a pixel of the sheet.

    Parameters
    ----------
    original : PIL.Image.Image
        RGB; it chooses the regions, see `regions`.
    entries : sequence of Entry
        From top to bottom.
    crop : int
        Width and height of a region in pixels, at most the picture's.

    Raises
    ------
    ValueError
        If a picture is not of the original's size.
    """
    boxes = regions(original, crop)
    # those that share a size do not need a column each of the widest
    widths = [right - left for left, _, right, _ in boxes]
    height = max(lower - upper for _, upper, _, lower in boxes)
    row_height = max(height, 24 + 19 * max(len(each.lines) for each in entries))
    size = (
        2 * _MARGIN + _LABEL_WIDTH + sum(widths) + _GAP * (len(boxes) - 1),
        2 * _MARGIN + row_height * len(entries) + _GAP * (len(entries) - 1),
    )
    sheet = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(sheet)
    title_font, font = ImageFont.load_default(18), ImageFont.load_default(14)
    for number, entry in enumerate(entries):
        top = _MARGIN + number * (row_height + _GAP)
        width = _LABEL_WIDTH - _GAP
        draw.text((_MARGIN, top), _fitted(entry.title, title_font, width), _INK, title_font)
        for place, line in enumerate(entry.lines):
            where = (_MARGIN, top + 26 + 19 * place)
            draw.text(where, _fitted(line, font, width), _SOFT, font)
        if entry.picture is None:
            continue
        if entry.picture.size != original.size:
            raise ValueError(
                f"the picture of {entry.title} is {_size(entry.picture)}, and the original "
                f"{_size(original)}: all pictures of a sheet are of one size"
            )
        left = _MARGIN + _LABEL_WIDTH
        for box, width in zip(boxes, widths, strict=True):
            sheet.paste(entry.picture.crop(box), (left, top))
            left += width + _GAP
    return sheet


def _size(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a text, shortened at its end to a width in pixels."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    short = plain
    while font.getlength(short) > width and len(short) > 1:
        plain = plain[:-1]
        short = plain + "..."
    return short


def regions(picture: Image.Image, crop: int = 256, count: int = 3) -> list[Box]:
    """Return the regions that a sheet shows: the centre, and where there is most detail.

    Detail is the sum of the squared differences of neighbouring luma values, over all places of
    the region on a grid of an eighth of its width; of two equal ones the upper and left one wins.
    No region overlaps another.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode.
    crop : int
        Width and height of a region in pixels; less where the picture is smaller.
    count : int
        Most regions; a small picture has room for fewer.

    Returns
    -------
    list of tuple
        Left, upper, right and lower edge in pixels, from left to right.
    """
    width, height = min(crop, picture.width), min(crop, picture.height)
    left, upper = (picture.width - width) // 2, (picture.height - height) // 2
    chosen = [(left, upper, left + width, upper + height)]
    sums = _running_sums(_gradient_energy(picture))
    candidates: list[tuple[float, Box]] = []
    for y in _grid(picture.height - height, height):
        for x in _grid(picture.width - width, width):
            energy = sums[y + height, x + width] - sums[y, x + width]
            energy += sums[y, x] - sums[y + height, x]
            candidates.append((float(energy), (x, y, x + width, y + height)))
    for _, box in sorted(candidates, key=lambda each: (-each[0], each[1][1], each[1][0])):
        if len(chosen) == count:
            break
        if not any(_overlap(box, other) for other in chosen):
            chosen.append(box)
    return sorted(chosen)


def _grid(last: int, length: int) -> list[int]:
    return sorted({*range(0, last + 1, max(1, length // 8)), last})


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _gradient_energy(picture: Image.Image) -> NDArray[np.float64]:
    luma = np.asarray(picture.convert("L"), dtype=np.float64)
    energy = np.zeros_like(luma)
    energy[:, 1:] += np.diff(luma, axis=1) ** 2
    energy[1:] += np.diff(luma, axis=0) ** 2
    return energy


def _running_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over everything above and to the left, with a first row and column of 0."""
    return np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def write_sheet(path: Path, original: Image.Image, entries: Sequence[Entry]) -> None:
    """Write a sheet as a PNG file, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import io

    from diffc.file_io import write_whole

    out = io.BytesIO()
    contact_sheet(original, entries).save(out, "PNG", optimize=True)
    write_whole(path, out.getvalue())
