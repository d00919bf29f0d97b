"""DIFFC for Hugging Face datasets: importing this module makes ``load_dataset`` find such files.

That is, ``load_dataset("imagefolder", data_dir=...)`` and ``load_dataset("webdataset", ...)``.  Decoding
an ``Image`` column needs no more than ``import diffc``, in worker processes as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from PIL import Image

from diffc.api import encode
from diffc.encoding import check_options
from diffc.optional_packages import from_extra
from diffc.registration import EXTENSION

with from_extra("datasets"):
    import datasets  # type: ignore[import-untyped]
    from datasets.packaged_modules.imagefolder.imagefolder import (  # type: ignore[import-untyped]
        ImageFolder,
    )
    from datasets.packaged_modules.webdataset.webdataset import (  # type: ignore[import-untyped]
        WebDataset,
    )

AnyDataset = TypeVar("AnyDataset")


@dataclass(frozen=True)
class _Encoder:
    """Codes the pictures of one column; worker processes get a copy."""

    column: str
    options: Mapping[str, Any]
    opened: bool

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        image = row[self.column]
        if image is None:
            return {self.column: None}
        data = encode(image, **self.options)
        if self.opened:
            return {self.column: Image.open(io.BytesIO(data))}
        name = getattr(image, "filename", "")
        path = PurePath(name).with_suffix(EXTENSION).name if name else None
        return {self.column: {"bytes": data, "path": path}}


def to_diffc(
    dataset: AnyDataset, column: str = "image", *, num_proc: int | None = None, **options: Any
) -> AnyDataset:
    """Return a data set whose pictures are stored as DIFFC files inside of it.

    They are decoded when they are looked at; ``to_parquet`` and ``push_to_hub`` store the files' bytes.

    Parameters
    ----------
    dataset : Dataset, DatasetDict or their iterable kinds
        Stays as it is.
    column : str
        Of the feature ``Image``.
    num_proc : int, optional
        Worker processes; the files are the same for any number.
    **options
        Those of `diffc.encode`, such as ``bpp=0.1``.

    Raises
    ------
    ValueError
        If there is no such column of pictures, or an option cannot hold.
    """
    check_options(options)
    given: Any = dataset
    parts = list(given.values()) if isinstance(given, dict) else [given]
    found = [(each.features or {}).get(column) for each in parts]
    if not found or not all(isinstance(each, datasets.Image) and each.decode for each in found):
        raise ValueError(f"column {column!r} holds no pictures to decode: cast it to Image()")
    stored = datasets.Features({**parts[0].features, column: datasets.Image()})
    # what is passed on while it is iterated goes through no file, and so is not opened again
    encoder = _Encoder(column, options, opened=isinstance(parts[0], datasets.IterableDataset))
    workers = {} if num_proc is None else {"num_proc": num_proc}
    made: AnyDataset = given.map(encoder, features=stored, **workers)
    return made


def _register() -> None:
    """Add the extension to the lists that datasets finds pictures by."""
    folders, shards = ImageFolder.EXTENSIONS, WebDataset.IMAGE_EXTENSIONS
    if EXTENSION not in folders:
        folders.append(EXTENSION)
    if EXTENSION[1:] not in shards:
        shards.append(EXTENSION[1:])


_register()
