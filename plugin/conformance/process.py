"""Decoding in a new Python process, which remembers nothing of this one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from diffc.codec import Codec, Coded, DecodeOptions, no_progress

if TYPE_CHECKING:
    from torch import Tensor


def decode_elsewhere(codec: type[Codec], coded: Coded, options: DecodeOptions) -> Tensor:
    """Decode in a new process.

    Raises
    ------
    AssertionError
        If the process fails; its error output is the message.
    """
    import torch

    chosen = asdict(replace(options, progress=no_progress))
    # a function cannot travel
    del chosen["progress"]
    request = {
        "path": sys.path,
        "codec": f"{codec.__module__}:{codec.__qualname__}",
        "coded": asdict(coded),
        "options": chosen,
    }
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(request, default=bytes.hex).encode(),
        capture_output=True,
        check=False,
    )
    if process.returncode:
        raise AssertionError(f"decoding works in another process, but: {process.stderr.decode()}")
    width, height = coded.size
    return torch.frombuffer(bytearray(process.stdout), dtype=torch.float32).view(3, height, width)


def main() -> None:
    """Decode what standard input asks for; write float32 values to standard output."""
    request: dict[str, Any] = json.load(sys.stdin)
    sys.path[:] = request["path"]
    fields = dict(request["coded"], size=tuple(request["coded"]["size"]))
    for name in ("payload", "parameters", "fingerprint"):
        fields[name] = None if fields[name] is None else bytes.fromhex(fields[name])
    codec = resolve_name(request["codec"])
    made = codec.decode(Coded(**fields), DecodeOptions(**request["options"]))
    sys.stdout.buffer.write(made.contiguous().numpy().tobytes())


if __name__ == "__main__":
    main()
