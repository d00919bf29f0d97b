"""Damage what relay files hold until anything but an `OSError` or a picture comes out.

python tests/fuzz_relay.py --executions 10000 --seed 1

It feeds the codec itself: the core around it would make an `OSError` of any exception.  A decoder
that hangs ends the run with a trace; the payload that it hung on, or that it crashed on, is the one
that was written to --last.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

# before the first look for a model
RELAY_MODEL = Path(__file__).parent / "data" / "relay-model"
os.environ["DIFFC_MODELS"] = str(RELAY_MODEL)

from fuzz_container import mutate
from photograph import drawn

import diffc
from diffc.codec import Coded, DecodeOptions
from diffc.codecs.relay.codec import RelayCodec
from diffc.container import open_body, parse_header

SIZES = [(48, 32), (17, 31), (1, 1), (96, 64), (64, 5)]
# seconds for one picture of a processor, and of a clock
SLOW, HANG = 5.0, 120.0
MOST_PIXELS = 1 << 14


def sound_files() -> list[Coded]:
    """Return what files of several sizes, modes, scales, rates and bases hold."""
    bases = ["av1", "jpeg", "perco"] + ["hevc"] * bool(importlib.util.find_spec("pillow_heif"))
    bases += ["jxl"] * bool(importlib.util.find_spec("pillow_jxl"))
    made = []
    for number, size in enumerate(SIZES):
        for mode in ("L", "RGB"):
            for base in bases:
                options = {"scale": (1.0, 1.5, 2.0, 3.0)[number % 4], "seed": number % 2}
                for quality in (5, 60):
                    data = diffc.encode(
                        drawn(size, mode),
                        backend="relay",
                        model=str(RELAY_MODEL),
                        base=base,
                        quality=quality,
                        **options,
                    )
                    header = parse_header(data)
                    body = open_body(header, data[header.header_length :])
                    made.append(Coded(body.payload, header.parameters, size, 1, header.fingerprint))
    return made


def damaged_files(count: int, seed: int) -> Iterator[Coded]:
    """Yield what a file with sound checks may hold."""
    rng = random.Random(seed)
    files = sound_files()
    for _ in range(count):
        file = rng.choice(files)
        payload, parameters, size = file.payload, file.parameters, file.size
        way = rng.random()
        if way < 0.85:
            for _ in range(rng.choice((1, 1, 2, 4))):
                payload = mutate(payload, rng)
        if 0.75 < way < 0.9:
            size = (rng.randint(1, 200), rng.randint(1, MOST_PIXELS // 200))
        if 0.8 < way < 0.95:
            parameters = mutate(parameters, rng)
        if way > 0.95:
            payload = rng.choice((rng.choice(files).payload, rng.randbytes(rng.randrange(200))))
        yield Coded(payload, parameters, size, 1, file.fingerprint)


def execute(coded: Coded, realism: float) -> bool:
    """Decode; return whether there was a picture, which is as large as the file says."""
    try:
        pixels = RelayCodec.decode(coded, DecodeOptions(steps=1, realism=realism))
    except OSError:
        return False
    if tuple(pixels.shape) != (3, coded.size[1], coded.size[0]):
        raise AssertionError(f"a picture of shape {tuple(pixels.shape)}, not {coded.size}")
    if not (float(pixels.min()) >= 0 and float(pixels.max()) <= 1):
        raise AssertionError("pixels outside 0 to 1")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=2_000, help="files (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the files (default: 0)")
    parser.add_argument("--last", type=Path, help="where the payload in work is kept")
    arguments = parser.parse_args()
    last = arguments.last or Path(tempfile.gettempdir()) / f"fuzz_relay_{os.getpid()}.payload"
    faulthandler.enable()
    pictures = unexpected = 0
    slowest = 0.0
    started = time.monotonic()
    for number, coded in enumerate(damaged_files(arguments.executions, arguments.seed)):
        last.write_bytes(coded.payload)
        faulthandler.dump_traceback_later(HANG, exit=True)
        before = time.process_time()
        try:
            pictures += execute(coded, realism=number % 2)
            spent = time.process_time() - before
            slowest = max(slowest, spent)
            if spent > SLOW:
                raise AssertionError(f"{spent:.1f} s for a picture of some pixels")
        except Exception:  # noqa: BLE001 - those are what it looks for
            unexpected += 1
            print(f"unexpected exception for {coded}", file=sys.stderr)
            traceback.print_exc()
        finally:
            faulthandler.cancel_dump_traceback_later()
    last.unlink(missing_ok=True)
    print(
        f"{arguments.executions} executions, {pictures} pictures, {unexpected} unexpected "
        f"exceptions, slowest {slowest:.2f} s, {time.monotonic() - started:.0f} s"
    )
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
