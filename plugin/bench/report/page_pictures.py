"""Which pictures a page carries, and how they get into it: lossless, and under a limit."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from diffc.bench.report.results import Results
from diffc.bench.run.records import Row
from diffc.bench.run.run_file import Places
from diffc.progress import Progress, no_progress

Paths = Sequence[Path]
# pixels a side
_LONGEST_WEBP = 16383


@dataclass
class Embedded:
    """Pictures as base64 of lossless WebP, and where each file of the run went.

    Those that are too long for WebP are PNG.

    Parameters
    ----------
    texts : list of str
        The pictures.
    places : dict
        Index into ``texts`` by path of the file.
    images : list of str
        Names of the images that have all their pictures here, in the order of the run.
    """

    texts: list[str] = field(default_factory=list)
    places: dict[Path, int] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Characters of all pictures."""
        return sum(map(len, self.texts))


def embed(
    pictures: dict[str, Paths],
    limit: int,
    progress: Progress = no_progress,
) -> Embedded:
    """Encode the pictures of as many images as fit, taken evenly from the list.

    The images are tried in the order of `spread`; the first whose pictures do not fit ends it, so
    that which images are there depends on nothing but the run.  The first image is always there.

    Parameters
    ----------
    pictures : dict
        Files of an image's pictures by its name; a file may come several times.
    limit : int
        Most characters of all pictures, unless those of the first image are more.
    progress : callable
        Called with the number of images that are done, and of all.

    Raises
    ------
    OSError
        If a picture cannot be read.
    """
    names = list(pictures)
    found = Embedded()
    for step, place in enumerate(spread(len(names))):
        name = names[place]
        texts: dict[Path, str] = {}
        room = limit - found.size
        for path in dict.fromkeys(pictures[name]):
            texts[path] = _encoded(path)
            if found.images and sum(map(len, texts.values())) > room:
                break
        else:
            for path, text in texts.items():
                found.places[path] = len(found.texts)
                found.texts.append(text)
            found.images.append(name)
            progress(step + 1, len(names))
            continue
        break
    found.images.sort(key=names.index)
    return found


def spread(count: int) -> Iterable[int]:
    """Return 0 to ``count`` - 1 in an order whose every beginning is spread over the whole.

    The first, then the middle, then the quarters and so on: the van der Corput sequence.
    """
    bits = max(count - 1, 0).bit_length()
    reversed_ = (int(f"{number:0{bits}b}"[::-1], 2) if bits else 0 for number in range(1 << bits))
    return [place for place in reversed_ if place < count]


def _encoded(path: Path) -> str:
    out = io.BytesIO()
    with Image.open(path) as picture:
        if max(picture.size) <= _LONGEST_WEBP:
            picture.convert("RGB").save(out, "WEBP", lossless=True, method=4, quality=50)
        else:
            picture.convert("RGB").save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def picture_paths(results: Results, image: str) -> list[Path]:
    """Return the files of an image's pictures, the original first.

    Raises
    ------
    ValueError
        If one is not in the run's folder.
    """
    rows = (
        results.rows.get((image, codec, t))
        for t in results.run_file.targets
        for codec in results.run_file.codecs
    )
    decoded = (results.folder / row.picture for row in rows if row is not None and row.picture)
    paths = [Places(results.folder).original(image), *decoded]
    root = results.folder.resolve()
    for path in paths:
        # a page may go to others, and a folder may come from them
        if not path.resolve().is_relative_to(root):
            raise ValueError(
                f"{results.folder} names a picture outside the folder of the run: run the bench again"
            )
    return paths


def image_table(
    results: Results, shown: list[str], places: dict[Path, int]
) -> list[dict[str, Any]]:
    """Return what the viewer says of each image that it shows."""
    sizes = {each["name"]: each for each in results.run_file.images}
    return [
        {
            "name": image,
            "width": sizes[image]["width"],
            "height": sizes[image]["height"],
            "original": places[Places(results.folder).original(image)],
            "rows": [
                [
                    _shown_row(results, results.rows.get((image, codec, target)), places)
                    for codec in results.run_file.codecs
                ]
                for target in results.run_file.targets
            ],
        }
        for image in shown
    ]


def _shown_row(results: Results, row: Row | None, places: dict[Path, int]) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "bytes": row.bytes,
        "bpp": row.bpp,
        "reached": row.reached,
        "setting": row.setting,
        "measures": row.measures,
        "error": row.error,
        "picture": places.get(results.folder / row.picture) if row.picture else None,
    }
