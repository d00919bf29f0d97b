"""Damage DIFFC files and open them with Pillow until anything but an `OSError` comes out.

python tests/fuzz_pillow.py --executions 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from unittest import mock

from codecs_for_tests import PlanesCodec
from fuzz_container import files as strange_files
from fuzz_container import mutate, seal
from PIL import Image, ImageFile

import diffc
from diffc.adapters.pillow import DiffcImageFile
from diffc.container import parse_header

CHECKS = 6  # bytes at the end of a header
# what is larger is refused before it costs time
PIXELS = 1 << 14


def sound_files() -> list[bytes]:
    """Return files of every mode, with and without metadata."""
    gradient = Image.radial_gradient("L").resize((9, 7))
    picture = Image.merge("RGBA", [gradient.rotate(90 * turn) for turn in range(4)])
    made = []
    for mode in ("L", "LA", "RGB", "RGBA"):
        image = picture.convert(mode)
        made.append(diffc.encode(image, backend=PlanesCodec.name, quality=60))
        metadata = {"exif": bytes(40), "xmp": "<x/>", "caption": "a red door"}
        made.append(diffc.encode(image, backend=PlanesCodec.name, quality=20, **metadata))
    return made


def damaged_files(count: int, seed: int) -> Iterator[tuple[bytes, bool]]:
    """Yield files, and whether their checks are right (or may be)."""
    rng = random.Random(seed)
    bases = sound_files()
    strange = strange_files(count, seed)
    for _ in range(count):
        way, data = rng.random(), rng.choice(bases)
        if way < 0.2:
            yield next(strange), True
        elif way < 0.6:
            yield mutate(data, rng), False
        else:
            length = parse_header(data).header_length
            header, body = data[: length - CHECKS], data[length:]
            if way < 0.8:
                header = mutate(header, rng)
            if way > 0.7:
                body = mutate(body, rng)
            yield seal(header, body), True


def execute(data: bytes, way: int) -> bytes | None:
    """Open a file in one of several ways; return pixels if it has any."""
    if way == 0:
        parser = ImageFile.Parser()
        parser.feed(data[: len(data) // 2])
        parser.feed(data[len(data) // 2 :])
        return parser.close().tobytes()
    if way == 5:
        # where Image.open would hide an OSError
        try:
            opened = DiffcImageFile(io.BytesIO(data))
        except OSError as error:
            raise AssertionError("a header is refused by another exception") from error
        except SyntaxError:
            return None
        return opened.tobytes() if opened.width * opened.height <= 2 * PIXELS else None
    if way == 1:
        diffc.info(data)
        return diffc.decode(data).tobytes()
    with Image.open(io.BytesIO(data), formats=["DIFFC"]) as image:
        if way == 2:
            image.verify()
            return None
        with mock.patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", way == 3):
            return image.tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=20_000, help="files (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the files (default: 0)")
    arguments = parser.parse_args()
    sound = set(sound_files())
    rng = random.Random(arguments.seed)
    pictures = unexpected = 0
    started = time.monotonic()
    with warnings.catch_warnings(), mock.patch.object(Image, "MAX_IMAGE_PIXELS", PIXELS):
        warnings.simplefilter("ignore")
        for data, may_be_right in damaged_files(arguments.executions, arguments.seed):
            way = rng.randrange(6)
            try:
                pixels = execute(data, way)
                if pixels is None:
                    continue
                pictures += 1
                if not may_be_right and data not in sound and way != 3:
                    raise AssertionError("a damaged file gave a picture")
            except (OSError, Image.DecompressionBombError):
                pass
            except Exception:  # noqa: BLE001 - those are what it looks for
                unexpected += 1
                print(f"unexpected exception, way {way}, for {data.hex()}", file=sys.stderr)
                traceback.print_exc()
    print(
        f"{arguments.executions} executions, {pictures} pictures, "
        f"{unexpected} unexpected exceptions, {time.monotonic() - started:.0f} s"
    )
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
