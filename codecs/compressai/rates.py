"""Which models there are to choose from, and the settings that a rate chooses among.

The zoo has a model for each of several qualities, whose names end in it: ``mbt2018-mean-4``.  Models
of one name but for the quality are a family; those of variable rate have many settings each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from diffc.codec import DecodeOptions
from diffc.codecs.compressai.config import ZooConfig
from diffc.codecs.compressai.folder import KIND, count_of_gains, read_config
from diffc.codecs.shared.models import fingerprint, folder_of, folder_with, kind_of
from diffc.errors import OptionError
from diffc.models import lookup, store
from diffc.models.names import may_be_path

_WITH_QUALITY = re.compile(r"([a-z0-9][a-z0-9._-]*):(\d{1,2})")
_ENDING = re.compile(r"(.+)-(\d{1,2})")


@dataclass(frozen=True)
class Setting:
    """One way to code a picture.

    Parameters
    ----------
    folder : Path
        Of the model.
    config : ZooConfig
        What it is.
    gain : int
        Which of the model's gains; 0 for a model of fixed rate.
    """

    folder: Path
    config: ZooConfig
    gain: int = 0


def settings(model: str | None) -> list[Setting]:
    """Return all settings of what the caller names, the one of the fewest bytes first.

    Parameters
    ----------
    model : str, optional
        ``family:quality``, the name of a family, of a model, or a directory of a model or of the
        models of a family; None is the only family that is here.

    Raises
    ------
    OptionError
        If there is no such model here, or several families are.
    OSError
        If a model cannot be read.
    """
    found = _named(model)
    families = sorted({_family(name) for name, _ in found})
    if not found:
        wanted = "has none" if model is None else f"{model[:100]!r} is not among them"
        raise OptionError(
            f"codec 'compressai' codes with models of CompressAI's zoo that are here, and {wanted}: "
            "convert a released checkpoint with 'diffc models convert FILE --kind compressai "
            "--name mbt2018-mean-4'"
        )
    if len(families) > 1:
        raise OptionError(
            f"one family of models sets the rate, and here are {', '.join(families)}: name one "
            "with model="
        )
    ladder = []
    for _, folder in sorted(found, key=lambda each: (_quality(each[0]), each[0])):
        config = read_config(folder)
        ladder += [Setting(folder, config, gain) for gain in range(count_of_gains(folder))]
    return ladder


def folder_for(wanted: bytes | None, options: DecodeOptions) -> Path:
    """Return the folder of the model that a file was made with.

    Raises
    ------
    ModelNotAvailableError
        If it is not here.
    """
    if options.model is not None:
        named = _named(options.model)
        for _, folder in named:
            if fingerprint(folder) == wanted:
                return folder
        if named:
            options = replace(options, model=None)
    return folder_with(wanted, options, KIND)


def _named(model: str | None) -> list[tuple[str, Path]]:
    """Return names and folders of the models that a caller means."""
    here = dict(_here())
    if model is None:
        return list(here.items())
    one = _WITH_QUALITY.fullmatch(model)
    name = model if one is None else f"{one[1]}-{one[2]}"
    if name in here:
        return [(name, here[name])]
    family = [(each, folder) for each, folder in here.items() if _family(each) == model]
    if family or one is not None:
        return family
    inside = _inside(model)
    return inside or [(model, folder_of(model, KIND))]


def _here() -> Iterator[tuple[str, Path]]:
    """Yield the models of the zoo that are in the store or in directories of the environment."""
    names = {Path(each.folder): each.name for each in store.records() if each.here}
    for folder in lookup.folders_of([KIND]):
        yield names.get(folder, folder.name), folder


def _inside(model: str) -> list[tuple[str, Path]]:
    """Return the models in a directory that is none itself."""
    if not may_be_path(model):
        return []
    try:
        folders = [each.parent for each in sorted(Path(model).glob("*/config.json"))]
        alone = kind_of(Path(model)) is not None
    except OSError:
        return []
    return [] if alone else [(each.name, each) for each in folders if kind_of(each) == KIND]


def _family(name: str) -> str:
    ending = _ENDING.fullmatch(name)
    return name if ending is None else ending[1]


def _quality(name: str) -> int:
    ending = _ENDING.fullmatch(name)
    return 0 if ending is None else int(ending[2])
