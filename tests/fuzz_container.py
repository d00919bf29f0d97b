"""Make files that are nearly right; run as a script, feed them to the parser until it breaks.

python tests/fuzz_container.py --executions 10000000 --seed 1
"""

import argparse
import binascii
import random
import sys
import time
import traceback
import zlib
from collections.abc import Iterator

from diffc.container import caption_words, diagnose, open_body, parse_header
from diffc.errors import FileError

MAGIC = b"\xd1\xfc\r\n"
NUMBERS = (0, 1, 2, 14, 15, 127, 128, 255, 4096, 16384, 1 << 20, 1 << 31, (1 << 32) - 1)
CODECS = (b"a", b"relay", b"ddcm", b"x" * 64, b"a.b_c-d9")
BAD_CODECS = (b"Relay", b"-a", b"a b", b"a\n", b"caf\xc3\xa9", b"\xff", b"a/b")
DEFLATED_TEXT = zlib.compress(b"a red door, " * 9, 9)
DEFLATED_BOMB = zlib.compress(bytes((1 << 20) + 1), 9)
DEFLATED_CAPTION = caption_words.deflate(b"a red door in front of a wall")
CAPTION_BOMB = caption_words.deflate(bytes((1 << 20) + 1))


def number(value: int, random: random.Random) -> bytes:
    """Encode a varint; now and then as it should not be, or another."""
    if random.random() < 0.02:
        value = random.choice((*NUMBERS, 1 << 32, (1 << 40) - 1, 1 << 40))
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    if random.random() < 0.01:
        encoded[-1] |= 128
        encoded += bytes([128] * random.randrange(4)) + b"\0"
    return bytes(encoded)


def chunks(mode: int, random: random.Random) -> tuple[bytes, bytes, bytes]:
    """Return a table and the data for header and body."""
    kinds = random.sample(range(32), random.choice((0, 1, 2, 5)))
    kinds = [random.randrange(1, 6) if random.random() < 0.6 else kind for kind in kinds]
    kinds = list(dict.fromkeys(kind for kind in kinds if kind != 6))
    if mode & 1:
        kinds.insert(random.randrange(len(kinds) + 1), 6)
    if kinds and random.random() < 0.03:
        kinds.append(random.choice((6, kinds[0])))
    table, in_header, in_body = number(len(kinds), random), b"", b""
    for kind in kinds:
        data = random.randbytes(random.choice((0, 1, 5, 30)))
        if kind == 6:
            flags = 0xC0
        elif kind == 4 and random.random() < 0.7:
            flags, data = 0, "eine rote Tür".encode()
        elif 1 <= kind <= 5:
            flags = random.choice((0, 0x20))
        else:
            flags = random.choice((0, 0x20, 0x40, 0x60))
        if flags == 0x20 and random.random() < 0.9:
            bomb = DEFLATED_BOMB
            if kind == 4 and random.random() < 0.9:
                data, bomb = DEFLATED_CAPTION, CAPTION_BOMB
            else:
                data = random.choice((DEFLATED_TEXT, zlib.compress(data)))
            if random.random() < 0.1:
                bad = (data[:-1], data + b"\0", data + data, data[1:], bomb)
                data = random.choice(bad)
        if random.random() < 0.03:
            flags = random.choice(range(0, 256, 32))
        table += bytes([flags | kind]) + number(len(data), random)
        if flags & 0x40:
            in_body += data
        else:
            in_header += data
    return (table if kinds or random.random() < 0.05 else b""), in_header, in_body


def draw(random: random.Random) -> tuple[bytes, bytes]:
    """Return a header without its checks, and a body; each rule is broken now and then."""
    mode = random.randrange(4)
    codec = random.choice(BAD_CODECS if random.random() < 0.03 else CODECS)
    version = random.choice((1, 2, 14, 15, 16, 300, 65535))
    if random.random() < 0.03:
        version = random.choice((0, 65536, 70000))
    parameters = random.randbytes(random.choice((0, 1, 3, 14, 15, 16, 40)))
    if random.random() < 0.01:
        parameters = bytes(random.choice((4095, 4096, 4097)))
    table, in_header, in_body = chunks(mode, random)
    fingerprint = random.choice((b"", random.randbytes(4)))
    flags = 1 | (0x10 if table else 0) | (0x20 if fingerprint else 0)
    if random.random() < 0.03:
        flags = random.randrange(256)
    payload = random.randbytes(random.choice((0, 1, 20, 64, 200)))
    header = MAGIC + bytes([flags, mode << 6 | len(codec) - 1])
    header += bytes([min(len(parameters), 15) << 4 | min(version, 15)])
    header += number(version - 15, random) if version >= 15 else b""
    header += number(len(parameters) - 15, random) if len(parameters) >= 15 else b""
    header += codec + parameters + fingerprint
    for _ in range(2):
        header += number(random.choice((1, 7, 200, 20000, 1 << 31)), random)
    header += number(len(payload), random) + table + in_header
    return header, in_body + payload


def seal(header: bytes, body: bytes) -> bytes:
    """Put the right checks between header and body."""
    header += zlib.crc32(body, zlib.crc32(header)).to_bytes(4, "big")
    return header + binascii.crc_hqx(header, 0xFFFF).to_bytes(2, "big") + body


def mutate(data: bytes, random: random.Random) -> bytes:
    """Change bytes anywhere: flip, set, insert, delete, repeat, cut."""
    if not data:
        return data
    at = random.randrange(len(data))
    end = at + random.choice((1, 1, 2, 4, 16))
    match random.randrange(7):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + random.choice((b"\0", b"\x7f", b"\x80", b"\xff")) + data[at + 1 :]
        case 2:
            return data[:at] + random.randbytes(end - at) + data[at:]
        case 3:
            return data[:at] + data[end:]
        case 4:
            return data[:end] + data[at:]
        case 5:
            return data[:at]
        case _:
            return data[:at] + random.randbytes(end - at) + data[end:]


def files(count: int, seed: int) -> Iterator[bytes]:
    """Yield files: sound ones, ones with sound checks over a mutation, and mutations of all."""
    rng = random.Random(seed)
    for _ in range(count):
        header, body = draw(rng)
        way = rng.random()
        if way < 0.3:
            header = mutate(header, rng)
        data = seal(header, body)
        if way > 0.75:
            data = mutate(data, rng)
        if way > 0.95:
            data = rng.choice((b"", data[:5])) + rng.randbytes(rng.randrange(64))
        yield data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=20_000, help="files (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the files (default: 0)")
    arguments = parser.parse_args()
    accepted = unexpected = 0
    started = time.monotonic()
    for data in files(arguments.executions, arguments.seed):
        try:
            diagnose(data[:16])
            header = parse_header(data)
            open_body(header, data[header.header_length :], allow_truncated=True)
            accepted += 1
        except FileError:
            pass
        except Exception:  # noqa: BLE001 - those are what it looks for
            unexpected += 1
            print(f"unexpected exception for {data.hex()}", file=sys.stderr)
            traceback.print_exc()
    print(
        f"{arguments.executions} executions, {accepted} files accepted, "
        f"{unexpected} unexpected exceptions, {time.monotonic() - started:.0f} s"
    )
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
