"""One timing, in its own process: ``python -m diffc.bench.run.speed_child`` with a job on stdin.

The first call includes what it has to import and load; memory is that of this process alone.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    """Read a job as JSON from standard input, do it, and print what was measured as JSON."""
    job = json.load(sys.stdin)
    from diffc.bench.run.pictures import read_rgb

    image = read_rgb(Path(job["original"]))
    resident = _status("VmRSS")
    started = time.perf_counter()
    call = _call(job, image)
    call()
    first = time.perf_counter() - started
    warm = []
    for _ in range(job["repeats"]):
        started = time.perf_counter()
        call()
        warm.append(time.perf_counter() - started)
    found = {
        "first_seconds": first,
        "warm_seconds": statistics.median(warm),
        "resident_before_bytes": resident,
        "peak_bytes": _peak(),
        "peak_device_bytes": _peak_device(),
    }
    print(json.dumps(found))


def _call(job: dict[str, Any], image: Any) -> Callable[[], object]:
    """Return what is timed; only the imports of the codec itself are done here."""
    from diffc.bench.contenders.contender import Repeatable
    from diffc.bench.contenders.lookup import contender

    # -ds codecs need a distance to be made, but none to repeat what was found
    made = contender(job["codec"], lambda original, decoded: 0.0, job["device"])
    if job["operation"] == "decode":
        data = Path(job["file_without_extension"] + made.extension).read_bytes()
        return lambda: made.decode(data, image.size)
    if isinstance(made, Repeatable):
        return lambda: made.encode_again(image, job["setting"])
    return lambda: made.encode(image, job["limit"])


def _peak() -> int | None:
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:  # on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int | None:
    """Return a line of /proc/self/status in bytes, where there is one.

    Linux's getrusage would report the memory of the process that started this one, if that was
    more (getrusage(2), `ru_maxrss`: what is inherited over execve).
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _peak_device() -> int | None:
    """Return the most memory that torch had allocated on a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main()
