"""The run: every image, codec and target, from real files that are opened again.

A row is written when all that it speaks of is on the disk, so a run that is killed anywhere goes on
where it was.  One image is in memory at a time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffc.bench.contenders.contender import Contender
from diffc.bench.contenders.specs import target_text
from diffc.bench.measures.available import SET_MEASURES, Measurer
from diffc.bench.run.pictures import png_bytes, read_rgb, write_into
from diffc.bench.run.preparation import Complain, Run
from diffc.bench.run.records import Row, RowStore
from diffc.bench.run.run_file import Places
from diffc.errors import reason_of

ItemProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Result:
    """A file, its picture and what was measured of it."""

    data: bytes
    png: bytes
    measures: dict[str, float]
    features: dict[str, bytes]


class Decoder:
    """Decodes files of one image and measures the pictures.

    Below its lowest rate a codec makes the same file for several targets: the last one of each
    codec is kept.
    """

    def __init__(self, measurer: Measurer, original: Image.Image) -> None:
        self.original = original
        self._measurer = measurer
        self._last: dict[str, Result] = {}

    def result(self, contender: Contender, data: bytes) -> Result:
        """Return what comes of a file."""
        last = self._last.get(contender.spec)
        if last is None or last.data != data:
            last = self._last[contender.spec] = self._decoded(contender, data)
        return last

    def _decoded(self, contender: Contender, data: bytes) -> Result:
        size = self.original.size
        decoded = contender.decode(data, size)
        if decoded.mode != "RGB" or decoded.size != size:
            raise ValueError(
                f"the picture of the file is {decoded.mode} {decoded.width}x{decoded.height}, not "
                f"RGB {size[0]}x{size[1]}: the codec has to be corrected"
            )
        measures = self._measurer.measure(self.original, decoded)
        return Result(data, png_bytes(decoded), measures, _features(self._measurer, decoded))


def keep_original(places: Places, measurer: Measurer, name: str, image: Image.Image) -> None:
    """Write an image and its patch features, if they are not there."""
    path = places.original(name)
    if not path.exists():
        write_into(path, png_bytes(image))
    if all(places.original_features(each, name).exists() for each in SET_MEASURES):
        return
    for measure, features in _features(measurer, image).items():
        write_into(places.original_features(measure, name), features)


def make_row(
    places: Places, name: str, decoder: Decoder, contender: Contender, target: float
) -> Row:
    """Code an image, write the file, decode it and measure the picture.

    Parameters
    ----------
    places : Places
        The run's folder.
    name : str
        The image's.
    decoder : Decoder
        Of the image.
    contender : Contender
        The codec.
    target : float
        Bits per pixel.

    Returns
    -------
    Row
        With an error instead of results if the codec fails, however it does.
    """
    try:
        return _measured(places, name, decoder, contender, target)
    # a codec may raise anything, and the others go on
    except Exception as error:  # noqa: BLE001
        reason = reason_of(error) or "it gives no reason"
        if not isinstance(error, OSError | ValueError):
            reason = f"{type(error).__name__}: {reason}"
        size = decoder.original.size
        return Row(name, *size, contender.spec, target, error=reason)


def _measured(
    places: Places, name: str, decoder: Decoder, contender: Contender, target: float
) -> Row:
    image = decoder.original
    pixels = image.width * image.height
    limit = math.floor(target * pixels / 8)
    attempt = contender.encode(image, limit)
    coded = places.coded(contender.spec, target, name, contender.extension)
    write_into(coded, attempt.data)
    result = decoder.result(contender, coded.read_bytes())
    picture = places.picture(contender.spec, target, name)
    write_into(picture, result.png)
    for measure, features in result.features.items():
        write_into(places.features(measure, contender.spec, target, name), features)
    return Row(
        image=name,
        width=image.width,
        height=image.height,
        codec=contender.spec,
        target_bpp=target,
        reached=len(result.data) <= limit,
        bytes=len(result.data),
        bpp=8 * len(result.data) / pixels,
        setting=attempt.setting,
        measures=result.measures,
        picture=picture.relative_to(places.folder).as_posix(),
    )


def _features(measurer: Measurer, picture: Image.Image) -> dict[str, bytes]:
    """Return features of patches as files of float16, for the measures that the picture suits."""
    made = {}
    for measure, features in measurer.patch_features(picture).items():
        out = io.BytesIO()
        np.save(out, features.astype(np.float16))
        made[measure] = out.getvalue()
    return made


def run(
    prepared: Run,
    *,
    progress: ItemProgress = lambda name, done, total: None,
    complain: Complain = print,
) -> int:
    """Make all rows that are missing.

    Parameters
    ----------
    prepared : Run
        See `diffc.bench.run.preparation.prepare`.
    progress : callable
        Called with what comes next, how many rows are done, and of how many.
    complain : callable
        Told in one line of every row that fails.

    Returns
    -------
    int
        How many rows failed.
    """
    request, run_file = prepared.request, prepared.run_file
    store = RowStore(prepared.places.folder)
    total = len(prepared.sources) * len(request.codecs) * len(request.targets)
    done = failed = 0
    for source in prepared.sources:
        wanted = [
            (contender, target)
            for contender in prepared.contenders
            for target in request.targets
            if not store.done(source.name, contender.spec, target)
        ]
        done += len(request.codecs) * len(request.targets) - len(wanted)
        if not wanted:
            continue
        image = read_rgb(source.path)
        keep_original(prepared.places, prepared.measurer, source.name, image)
        decoder = Decoder(prepared.measurer, image)
        for contender, target in wanted:
            progress(f"{source.name} {contender.label} {target_text(target)}", done, total)
            row = make_row(prepared.places, source.name, decoder, contender, target)
            store.append(row)
            done += 1
            if row.error is not None:
                failed += 1
                where = f"{source.name}, {contender.spec} at {target_text(target)} bpp"
                complain(f"diffc: {where}: {row.error}")
    progress("", done, total)
    names = [each["name"] for each in run_file.images]
    store.sort(
        (n, codec, bpp) for n in names for codec in run_file.codecs for bpp in run_file.targets
    )
    store.write_csv()
    return failed
