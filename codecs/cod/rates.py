"""Which CoD models there are to choose from, and how many bytes a picture takes with each.

A model has one rate.  The caller names one, or several that are kept together; left out, all that
are here are chosen from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from diffc.codec import DecodeOptions, Rate
from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.folder import read_config
from diffc.codecs.shared.cod.folder import KIND
from diffc.codecs.shared.cod.sizes import VelocityConfig
from diffc.codecs.shared.models import fingerprint, folder_of, folder_with, kind_of
from diffc.codecs.shared.tokens.fixed_length import payload_length
from diffc.errors import OptionError, RateError
from diffc.models import lookup, store
from diffc.models.names import may_be_path

PARAMETER_BYTES = 1


@dataclass(frozen=True)
class Choice:
    """A model and the payload that a picture takes with it."""

    folder: Path
    config: CodConfig | VelocityConfig
    length: int


def grid_of(config: CodConfig | VelocityConfig, size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of tokens of a picture, given its width and height."""
    width, height = size
    multiple = config.multiple
    rows, columns = (-(-side // multiple) * multiple for side in (height, width))
    return rows // config.stride, columns // config.stride


def choices(model: str | None, size: tuple[int, int]) -> list[Choice]:
    """Return the models that the caller names, that of the fewest bytes first.

    Raises
    ------
    OptionError
        If there is no model here, or what is named is none.
    OSError
        If a model's configuration cannot be read.
    """
    if model is None:
        folders = list(dict.fromkeys(lookup.folders_of([KIND])))
    else:
        folders = _members(model) or [folder_of(model, KIND)]
    if not folders:
        raise OptionError(
            "codec 'cod' has no model of its own: fetch one of 'diffc models list' with 'diffc "
            "models fetch', or convert a released checkpoint"
        )
    found = []
    for folder in folders:
        config = read_config(folder)
        rows, columns = grid_of(config, size)
        found.append(Choice(folder, config, payload_length(rows * columns, config.bits)))
    return sorted(found, key=_order)


def _order(choice: Choice) -> tuple[int, float, str]:
    """By bytes; a small picture may take as many with several, and then by bits for each pixel."""
    config = choice.config
    return choice.length, config.bits / config.stride**2, choice.folder.name


def _members(model: str) -> list[Path]:
    """Return the folders of several models under one name.

    That is a directory of models which is not one itself, or what the names of models of the store
    begin with, such as ``cod-lite`` for ``cod-lite-0.0312`` and others.
    """
    if store.find(model) is not None:
        return []
    records = (each for each in store.records() if each.here and each.kind == KIND)
    found = [Path(each.folder) for each in records if each.name.startswith(f"{model}-")]
    if found or not may_be_path(model):
        return found
    directory = Path(model)
    try:
        inside = [path.parent for path in sorted(directory.glob("*/config.json"))]
        alone = kind_of(directory) is not None
    except OSError:
        return []
    return [] if alone else [folder for folder in inside if kind_of(folder) == KIND]


def chosen(found: list[Choice], rate: Rate) -> Choice:
    """Return the model for a rate: the largest that fits, or that of the quality.

    Raises
    ------
    RateError
        If none fits.
    """
    if not rate.bounded:
        return found[min(int(rate.quality / 100 * len(found)), len(found) - 1)]
    room = rate.room(PARAMETER_BYTES)
    fitting = [each for each in found if each.length <= room]
    if not fitting:
        raise RateError(PARAMETER_BYTES + found[0].length, PARAMETER_BYTES + found[-1].length)
    return fitting[-1]


def folder_for(wanted: bytes | None, options: DecodeOptions) -> Path:
    """Return the folder of the model that a file was made with.

    Raises
    ------
    ModelNotAvailableError
        If it is not here.
    """
    members = _members(options.model) if options.model is not None else []
    for folder in members:
        if fingerprint(folder) == wanted:
            return folder
    if members:
        options = replace(options, model=None)
    return folder_with(wanted, options, KIND)
