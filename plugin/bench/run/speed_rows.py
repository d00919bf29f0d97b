"""``speed.jsonl``: what encoding and decoding cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffc.bench.run.json_records import record
from diffc.bench.run.places import SPEED
from diffc.bench.run.rows import JsonLines

DESCRIPTION = {
    "device": "where the codec's networks ran",
    "encode_first_seconds": "first encode of a process: imports and loading of models included",
    "encode_seconds": "median of three further encodes; of codecs whose quality is searched for, "
    "one encode at the quality found, of others the whole call with its target",
    "decode_first_seconds": "first decode of a process: imports and loading of models included",
    "decode_seconds": "median of three further decodes",
    "encode_peak_bytes": "most memory of the encoding process, Python and the picture included",
    "decode_peak_bytes": "most memory of the decoding process, Python and the picture included",
    "resident_before_bytes": "memory of the process before its first call",
    "encode_peak_device_bytes": "most memory on the GPU while encoding",
    "decode_peak_device_bytes": "most memory on the GPU while decoding",
}


@dataclass(frozen=True)
class Speed:
    """What one image cost a codec at a target; a line of ``speed.jsonl``.

    Parameters
    ----------
    codec, target_bpp, image, width, height
        As in `diffc.bench.run.rows.Row`.
    device : str
        Torch's name of it.
    others
        See `DESCRIPTION`; None where the system does not say.
    """

    codec: str
    target_bpp: float
    device: str
    image: str
    width: int
    height: int
    encode_first_seconds: float
    encode_seconds: float
    decode_first_seconds: float
    decode_seconds: float
    resident_before_bytes: int | None
    encode_peak_bytes: int | None
    decode_peak_bytes: int | None
    encode_peak_device_bytes: int | None
    decode_peak_device_bytes: int | None


def read_speed(folder: Path) -> list[dict[str, Any]]:
    """Return what was measured of a run, each with the fields of `Speed`.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    found = []
    for value in JsonLines(folder / SPEED).objects():
        speed = record(Speed, value)
        if speed is None:
            raise ValueError(
                f"{SPEED} holds timings of another version of diffc: remove it, or name another "
                "folder with --out"
            )
        found.append(asdict(speed))
    return found
