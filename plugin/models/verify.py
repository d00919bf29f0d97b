"""Whether a model's files are what they were when they came."""

from __future__ import annotations

from pathlib import Path

from diffc.models.hash_cache import hash_anew
from diffc.models.store import Record
from diffc.progress import Progress


def verify(record: Record, progress: Progress | None = None) -> None:
    """Hash all files of a model anew.

    Parameters
    ----------
    record : Record
        What the store knows of it.
    progress : callable, optional
        Called with the bytes that are done and their sum.

    Raises
    ------
    OSError
        If a file is missing or has changed; the sentence names it and both hashes.
    """
    folder = Path(record.folder)
    total, done = sum(each.size for each in record.files.values()), 0
    for name, known in sorted(record.files.items()):
        path = folder / name
        if not path.is_file():
            raise OSError(f"{path} is missing: {_remedy(record)}")
        found = hash_anew(path)
        if found != known.sha256:
            raise OSError(
                f"{path} had the SHA-256 {known.sha256} and has {found} now: {_remedy(record)}"
            )
        done += known.size
        if progress is not None:
            progress(done, total)


def _remedy(record: Record) -> str:
    """Say how to get a model whole again."""
    if record.place is not None:
        return f"run 'diffc models remove {record.name}', then 'diffc models fetch {record.name}'"
    return f"bring the file back, or run 'diffc models add {record.folder}'"
