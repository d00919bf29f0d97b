"""Codecs of Pillow under test, at the picture's own scale or "shrink, code, enlarge".

What people do below a codec's lowest rate is to code a smaller picture.  A shrunk file holds no
more than its own picture; the size to enlarge to is what a web page, for one, states, and is not
counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image

from diffc.bench.contenders.contender import Attempt
from diffc.bench.contenders.host_codecs import HostCodec

Distance = Callable[[Image.Image, Image.Image], float]

SCALES = {"1": 1.0, "1/1.5": 1.5, "1/2": 2.0, "1/3": 3.0}


class EncodedLevels:
    """The files that a codec makes of one picture, by level, each made once."""

    def __init__(self, codec: HostCodec, picture: Image.Image) -> None:
        self._codec = codec
        self._picture = picture
        self._files: dict[int, bytes] = {}

    def file(self, level: int) -> bytes:
        """Return the file at a level from 0 to the codec's highest."""
        if level not in self._files:
            self._files[level] = self._codec.encode(self._picture, self._codec.value_of(level))
        return self._files[level]

    def size(self, level: int) -> int:
        """Return the file's bytes at a level."""
        return len(self.file(level))


class LevelCache:
    """The encoded levels of the picture at hand, which codecs share; another picture clears it."""

    def __init__(self) -> None:
        self._image: Image.Image | None = None
        self._made: dict[tuple[str, tuple[int, int]], EncodedLevels] = {}

    def levels(self, codec: HostCodec, image: Image.Image, size: tuple[int, int]) -> EncodedLevels:
        """Return the levels of a codec for an image at a size."""
        if image is not self._image:
            self._image, self._made = image, {}
        key = codec.name, size
        if key not in self._made:
            self._made[key] = EncodedLevels(codec, resized(image, size))
        return self._made[key]


class HostContender:
    """The highest quality whose file fits; at several scales, the best of them by a distance.

    Parameters
    ----------
    spec : str
        As asked.
    codec : HostCodec
        Ready to be used.
    cache : LevelCache
        Shared with other contenders for the same pictures.
    distance : callable, optional
        Of two RGB pictures of one size, smaller for better; needed if there are several scales.
    scales : sequence of str
        Keys of `SCALES`.
    """

    def __init__(
        self,
        spec: str,
        codec: HostCodec,
        cache: LevelCache,
        distance: Distance | None = None,
        scales: Sequence[str] = ("1",),
    ) -> None:
        if len(scales) > 1 and distance is None:
            raise ValueError(
                f"codec {spec!r} chooses its scale by a distance, and there is none: drop it"
            )
        self.spec = spec
        self.label = codec.label if len(scales) == 1 else f"{codec.label}-ds"
        self.extension = codec.extension
        self._codec = codec
        self._cache = cache
        self._distance = distance
        self._scales = scales
        self._last: tuple[bytes, tuple[int, int]] | None = None

    def identity(self) -> str:
        """Return the versions of what makes its files."""
        return self._codec.identity()

    def encode(self, image: Image.Image, limit: int) -> Attempt:
        """Return the best file of at most ``limit`` bytes, or the smallest one."""
        by_size: dict[tuple[int, int], tuple[str, EncodedLevels]] = {}
        for scale in self._scales:
            size = shrunk_size(image.size, scale)
            # small pictures have the same size at several scales
            by_size.setdefault(size, (scale, self._cache.levels(self._codec, image, size)))
        fitting: list[Attempt] = []
        lowest: list[Attempt] = []
        for scale, levels in by_size.values():
            level = highest_fitting(levels.size, self._codec.highest, limit, self._codec.tolerance)
            chosen = fitting if level is not None else lowest
            chosen.append(self._attempt(levels, scale, level or 0))
        best = self._best(image, fitting) if fitting else min(lowest, key=lambda a: len(a.data))
        self._last = best.data, image.size
        return best

    def _attempt(self, levels: EncodedLevels, scale: str, level: int) -> Attempt:
        value = self._codec.value_of(level)
        setting = f"{self._codec.setting}={value:.10g}"
        if len(self._scales) > 1:
            setting += f" scale={scale}"
        return Attempt(levels.file(level), setting)

    def _best(self, image: Image.Image, attempts: list[Attempt]) -> Attempt:
        if len(attempts) == 1 or self._distance is None:
            return attempts[0]
        distances = [self._distance(image, self.decode(a.data, image.size)) for a in attempts]
        return attempts[distances.index(min(distances))]

    def decode(self, data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
        """Return the RGB picture of a file, enlarged to a size.

        Parameters
        ----------
        data : bytes
            The file.
        size : tuple of int, optional
            Width and height of the original; may be left out for the file that was made last.
        """
        if size is None and self._last is not None and self._last[0] == data:
            size = self._last[1]
        picture = self._codec.decode(data)
        if size is None and len(self._scales) > 1:
            raise ValueError("a shrunk file does not say how large its picture was: pass the size")
        return picture if size is None else resized(picture, size)

    def encode_again(self, image: Image.Image, setting: str) -> bytes:
        """Return the file that `encode` found, at its setting and without the search."""
        values = dict(part.split("=", 1) for part in setting.split())
        size = shrunk_size(image.size, values.get("scale", "1"))
        value = float(values[self._codec.setting])
        # some encoders want whole numbers as such
        value = int(value) if value.is_integer() else value
        return self._codec.encode(resized(image, size), value)


def shrunk_size(size: tuple[int, int], scale: str) -> tuple[int, int]:
    """Return width and height at a scale of `SCALES`, rounded, at least 1."""
    width, height = (max(1, round(side / SCALES[scale])) for side in size)
    return width, height


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image at a size, the same one if it has it."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


# sizes over all levels of a codec grow about so much, for the first guess
_WHOLE_GROWTH = math.log(100)


def highest_fitting(
    size: Callable[[int], int], highest: int, limit: int, tolerance: float = 0.0
) -> int | None:
    """Return the largest level from 0 that was seen to fit.

    The search guesses from the logarithm of the sizes, which is nearly straight for all codecs,
    and halves the interval now and then, so that no curve makes it slow.  It tries the same levels
    whatever was tried for other limits, so its result does not depend on the order of the work.

    Parameters
    ----------
    size : callable
        Bytes at a level; larger levels should not be smaller, but may be.
    highest : int
        The largest level.
    limit : int
        Most bytes.
    tolerance : float
        Stop where at most this part of the limit is unused; with 0 the next level was seen not to
        fit, or there is none.

    Returns
    -------
    int or None
        None if level 0 does not fit.
    """
    low, low_size = 0, size(0)
    if low_size > limit:
        return None
    high, high_size = highest + 1, 0
    growth, least_step, turn = _WHOLE_GROWTH / max(highest, 1), 1, 0
    while high - low > 1 and (tolerance == 0 or low_size < (1 - tolerance) * limit):
        turn += 1
        if high_size == 0:
            # no upper end yet
            step = math.ceil(math.log(limit / low_size) / growth)
            guess, least_step = low + max(step, least_step), 2 * least_step
        elif turn % 3 == 0:
            guess = (low + high) // 2
        else:
            part = math.log(limit / low_size) / math.log(high_size / low_size)
            guess = low + math.floor(part * (high - low))
        guess = min(max(guess, low + 1), high - 1)
        found = size(guess)
        if found > limit:
            high, high_size = guess, found
            continue
        if found > low_size:
            growth = math.log(found / low_size) / (guess - low)
        low, low_size = guess, found
    return low
