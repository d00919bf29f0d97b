"""What captions cost in bytes of the file, by coder.  The table behind the container's choice.

    pip install brotli zstandard
    python examples/compare_caption_coders.py [FILE]

FILE has a caption on each line, by default captions.txt beside this script.  Printed are the bytes
of captions with at least 60 characters cut there, and of all captions as they are; each with its
entry in the chunk table, and stored plainly where that is shorter.  A coder whose package is not
installed is left out.  The last 25 captions of captions.txt were written after our words were.
"""

from __future__ import annotations

import argparse
import statistics
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from diffc.container import Envelope, caption_words

CHARACTERS = 60
# the number of chunks, the type byte and the length
_ENTRY = 3

Coder = Callable[[bytes], bytes]


def coders() -> dict[str, Coder]:
    """Return what is installed here."""
    found: dict[str, Coder] = {
        "stored": bytes,
        "zlib": lambda text: zlib.compress(text, 9),
        "deflate": _raw_deflate,
        "deflate, our words": caption_words.deflate,
    }
    try:
        brotli = import_module("brotli")
        found["brotli"] = lambda text: min(
            (brotli.compress(text, mode=mode, lgwin=10) for mode in (0, 1)), key=len
        )
    except ImportError:
        print("brotli: not installed")
    try:
        zstd = import_module("zstandard")
    except ImportError:
        print("zstandard: not installed")
        return found
    words = caption_words.dictionary()
    raw = zstd.ZstdCompressionDict(words, dict_type=zstd.DICT_TYPE_RAWCONTENT)
    found["zstd, our words"] = _zstd(zstd, raw)
    split = words.split()
    samples = [b" ".join(split[start : start + 12]) for start in range(0, len(split), 2)]
    trained = zstd.train_dictionary(8192, samples, level=19)
    found["zstd, trained on our words"] = _zstd(zstd, trained)
    return found


def _raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush()


def _zstd(zstd: object, dictionary: object) -> Coder:
    # without magic, sizes and checksum, which the container has
    parameters = zstd.ZstdCompressionParameters.from_level(  # type: ignore[attr-defined]
        22,
        format=zstd.FORMAT_ZSTD1_MAGICLESS,  # type: ignore[attr-defined]
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    coder = zstd.ZstdCompressor(  # type: ignore[attr-defined]
        dict_data=dictionary, compression_params=parameters
    )
    return coder.compress  # type: ignore[no-any-return]


def file_bytes(caption: str) -> int:
    """Return what a caption adds to a file that diffc writes."""
    bare = Envelope(codec="perco", bitstream_version=1, mode="RGB", size=(768, 512))
    text = caption.encode()
    full = Envelope(
        codec="perco",
        bitstream_version=1,
        mode="RGB",
        size=(768, 512),
        metadata={"caption": text},
    )
    return full.overhead() - bare.overhead()


def main() -> None:
    """Print a line for each coder, and those of diffc's captions that cost the most."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).with_name("captions.txt")
    parser.add_argument("file", type=Path, nargs="?", default=default)
    captions = parser.parse_args().file.read_text(encoding="utf-8").splitlines()
    cut = [each[:CHARACTERS] for each in captions if len(each) >= CHARACTERS]
    print(f"{len(cut)} captions of {CHARACTERS} characters, {len(captions)} in all")
    print(f"{'coder':<28}{'mean of 60':>11}{'worst of 60':>13}{'<= 45':>7}{'mean of all':>13}")
    for name, coder in coders().items():
        some, every = (
            [_ENTRY + min(len(text), len(coder(text))) for text in map(str.encode, texts)]
            for texts in (cut, captions)
        )
        fitting = sum(size <= 45 for size in some) / len(some)
        print(
            f"{name:<28}{statistics.mean(some):>11.1f}{max(some):>13}{fitting:>7.0%}"
            f"{statistics.mean(every):>13.1f}"
        )
    print("\nbytes of the file for the dearest captions of 60 characters, and for other writing:")
    dearest = sorted(cut, key=file_bytes)[-3:]
    other = [each for each in captions if not each.isascii()]
    for caption in (*dearest, *other):
        print(f"{file_bytes(caption):>4} of {len(caption.encode()) + _ENTRY:>3}  {caption}")


if __name__ == "__main__":
    main()
