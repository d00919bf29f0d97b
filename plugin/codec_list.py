"""All codecs, with what each of them lacks before it can be used here: packages, or a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from diffc.codec import ModelKind
from diffc.models import lookup, table
from diffc.registry import CodecInfo, declarations, known_codecs


def codecs_available() -> dict[str, CodecInfo]:
    """Return what is known of every codec, by name, loading nothing heavy."""
    declared = declarations()
    found = {}
    for name, info in known_codecs().items():
        if name in declared and not info.needs:
            info = replace(info, needs=_missing_model(declared[name].kinds))
        found[name] = info
    return found


def _missing_model(kinds: Sequence[ModelKind]) -> str:
    """Say how to get a model of these kinds; empty if there is one here, or none is needed."""
    names = [each.name for each in kinds]
    if not kinds or any(each.embedded for each in kinds) or any(lookup.folders_of(names)):
        return ""
    known = [each for each in table.known_models().values() if each.kind in names]
    fetchable = [each.name for each in known if each.places]
    if fetchable:
        return f"a model: diffc models fetch {fetchable[0]}"
    by_hand = f", such as {known[0].name}" if known else ""
    return f"a model that is got by hand{by_hand}: diffc models add DIR"
