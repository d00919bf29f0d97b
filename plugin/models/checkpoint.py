"""Reading a released checkpoint, of torch.save: the one place where that is done.

Only tensors are taken, by ``weights_only=True``, which runs nothing that the file says; and what
the file claims is held against its size before it is believed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffc.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

# under which training programs keep the weights
_NESTED = ("state_dict", "model_state_dict", "module", "model", "net")


def read_checkpoint(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, by name.

    Parameters
    ----------
    path : Path
        A file of ``torch.save``, of torch 1.6 or later.
    key : str, optional
        The entry that holds the weights, if there are several.

    Raises
    ------
    OptionError
        If there is no such entry, or it is not clear which one to take.
    OSError
        If it is no such file, holds anything but tensors and plain values, or claims more than it
        has.
    """
    import torch

    _check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    # whatever a hostile file makes the reader raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise OSError(
            f"{path} is refused: it holds more than tensors, or is damaged ({reason}); get it in "
            "safetensors"
        ) from error
    state = dict(_tensors(content, key))
    claimed = sum(each.numel() * each.element_size() for each in state.values())
    # tied weights are written once for each name
    if claimed > 2 * path.stat().st_size:
        raise OSError(
            f"{path} has {path.stat().st_size} bytes and claims {claimed} bytes of weights: it is "
            "damaged"
        )
    return state


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [each for each in archive.infolist() if each.compress_type]
            size = sum(each.file_size for each in archive.infolist())
    except zipfile.BadZipFile as error:
        raise OSError(
            f"{path} is no checkpoint of torch 1.6 or later: save it anew with torch.save"
        ) from error
    # torch stores without compression; anything else could be a bomb
    if packed or size > path.stat().st_size:
        raise OSError(f"{path} is compressed, as torch.save never does: save it anew")


def _tensors(content: object, key: str | None) -> Iterator[tuple[str, Tensor]]:
    import torch

    if not isinstance(content, Mapping):
        raise OptionError(
            "a checkpoint holds a dict of tensors, and this one does not: name another"
        )
    weights: Mapping[object, object] = content
    if key is not None:
        chosen = content.get(key)
        if not isinstance(chosen, Mapping):
            raise OptionError(f"{key!r} is no entry of weights: choose from {_names(content)}")
        weights = chosen
    elif not any(isinstance(each, torch.Tensor) for each in content.values()):
        nested = [name for name in _NESTED if isinstance(content.get(name), Mapping)]
        if len(nested) != 1:
            raise OptionError(
                f"which entry holds the weights is unclear: give --key, one of {_names(content)}"
            )
        weights = content[nested[0]]
    for name, value in weights.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            yield name, value


def _names(content: Mapping[Any, Any]) -> str:
    return ", ".join(str(name)[:60] for name in list(content)[:20])
