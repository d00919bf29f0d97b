"""Pictures of text, interfaces and flat graphics, drawn with free fonts: glyphs have to stay glyphs."""

from __future__ import annotations

import random
import string
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = Path("/usr/share/fonts/truetype")
_WORDS = [
    "light",
    "river",
    "stone",
    "open",
    "field",
    "window",
    "letter",
    "garden",
    "market",
    "number",
    "second",
    "orange",
    "paper",
    "silver",
    "train",
    "winter",
    "bridge",
    "coffee",
    "signal",
    "morning",
    "travel",
    "harbour",
    "forest",
    "village",
    "kitchen",
    "music",
    "yellow",
    "engine",
    "Berlin",
    "Tokyo",
    "Lagos",
    "Quito",
    "Oslo",
    "Prices",
    "from",
    "to",
    "and",
    "the",
    "of",
    "with",
    "until",
    "daily",
    "No.",
    "please",
    "turn",
    "left",
    "exit",
    "gate",
    "platform",
    "street",
]


def draw(chooser: random.Random, size: tuple[int, int]) -> Image.Image:
    """Return a drawn picture (RGB): a page, an interface, or shapes with labels."""
    ground = _color(chooser, light=chooser.random() < 0.7)
    picture = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(picture)
    kind = chooser.choice(("page", "interface", "shapes", "poster"))
    if kind == "page":
        _lines(
            pen,
            chooser,
            (20, 15, size[0] - 20, size[1] - 10),
            chooser.randint(9, 26),
            _against(ground, chooser),
        )
    elif kind == "interface":
        for _ in range(chooser.randint(6, 14)):
            box = _box(chooser, size)
            fill = _color(chooser, light=chooser.random() < 0.7)
            pen.rounded_rectangle(
                box,
                chooser.randint(0, 12),
                fill=fill,
                outline=_color(chooser),
                width=chooser.randint(1, 2),
            )
            _lines(pen, chooser, box, chooser.randint(9, 20), _against(fill, chooser))
    elif kind == "shapes":
        for _ in range(chooser.randint(8, 30)):
            box = _box(chooser, size)
            fill = _color(chooser)
            shape = chooser.choice((pen.ellipse, pen.rectangle))
            shape(box, fill=fill, outline=_color(chooser), width=chooser.randint(1, 4))
            if chooser.random() < 0.5:
                _lines(pen, chooser, box, chooser.randint(10, 40), _against(fill, chooser))
        for _ in range(chooser.randint(3, 20)):
            ends = [chooser.randrange(side) for side in size * 2]
            pen.line(ends, fill=_color(chooser), width=chooser.randint(1, 5))
    else:
        top = 0
        while top < size[1]:
            height = chooser.randint(18, 90)
            _lines(
                pen,
                chooser,
                (chooser.randint(5, 120), top, size[0], top + height),
                round(0.8 * height),
                _against(ground, chooser),
            )
            top += height
    return picture


def _font(chooser: random.Random, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    files = sorted(_FONTS.glob("**/*.ttf"))
    if files and chooser.random() < 0.7:
        return ImageFont.truetype(str(chooser.choice(files)), size)
    return ImageFont.load_default(size)


def _lines(
    pen: ImageDraw.ImageDraw,
    chooser: random.Random,
    box: tuple[int, int, int, int],
    size: int,
    fill: tuple[int, int, int],
) -> None:
    font = _font(chooser, size)
    left, top, right, bottom = box
    while top + size < bottom:
        line = ""
        while pen.textlength(line, font=font) < right - left:
            word = chooser.choice(_WORDS)
            if chooser.random() < 0.15:
                word = "".join(chooser.choices(string.digits + ".,:/%", k=chooser.randint(1, 6)))
            line = f"{line} {word}".strip()
        pen.text((left + 3, top + 2), line.rpartition(" ")[0], font=font, fill=fill)
        top += round(1.3 * size)


def _box(chooser: random.Random, size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = chooser.randint(40, size[0] // 2), chooser.randint(24, size[1] // 2)
    left, top = chooser.randrange(size[0] - width), chooser.randrange(size[1] - height)
    return left, top, left + width, top + height


def _color(chooser: random.Random, light: bool | None = None) -> tuple[int, int, int]:
    low, high = {None: (0, 255), True: (190, 255), False: (0, 70)}[light]
    if chooser.random() < 0.4:
        grey = chooser.randint(low, high)
        return grey, grey, grey
    return chooser.randint(low, high), chooser.randint(low, high), chooser.randint(low, high)


def _against(ground: tuple[int, int, int], chooser: random.Random) -> tuple[int, int, int]:
    """Return a colour that is read on the ground."""
    return _color(chooser, light=sum(ground) < 384)
