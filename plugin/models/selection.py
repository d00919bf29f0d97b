"""Which files of a repository make a model, and what they are called here.

Names come from a stranger's listing; only those of the forms below are ever used.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from diffc.models.hub import PlaceError
from diffc.models.identity import TEXT_PARTS
from diffc.registry import model_kinds

_WORDS = (
    r"(vocab\.json|vocab\.txt|merges\.txt|tokenizer\.json|tokenizer_config\.json"
    r"|special_tokens_map\.json|spiece\.model)"
)
_TOKENIZER = re.compile(rf"tokenizer(_2|_3)?/{_WORDS}")
# beside the weights of a captioner
_BESIDE = re.compile(rf"config\.json|preprocessor_config\.json|{_WORDS}")
_TERMS = re.compile(r"(LICENSE|LICENCE|README)(\.md|\.txt)?", re.IGNORECASE)
_OWN_WEIGHTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.safetensors")
_PIECE = re.compile(r"-\d{5}-of-\d{5}\.safetensors")


def select(names: Collection[str], variant: str | None = None) -> dict[str, str]:
    """Return the files to fetch: name at the place -> name here.

    Here, weights have the names without a variant, so that everything finds them.

    Parameters
    ----------
    names : collection of str
        What the place has.
    variant : {"fp16", "fp32"}, optional
        Of a pipeline's weights; by default fp16 if there is one, which is half as large.

    Raises
    ------
    PlaceError
        If they make no model that can be used here.
    """
    chosen = {name: name for name in names if _TERMS.fullmatch(name)}
    if "model_index.json" in names:
        chosen["model_index.json"] = "model_index.json"
        weighted = _weighted_parts()
        fixed = {"scheduler/scheduler_config.json", *(f"{part}/config.json" for part in weighted)}
        chosen |= {name: name for name in names if name in fixed or _TOKENIZER.fullmatch(name)}
        for part, stem in weighted.items():
            if f"{part}/config.json" in names:
                chosen |= _weights(part, stem, names, variant)
        return chosen
    if "config.json" in names:
        own = {name: name for name in names if _OWN_WEIGHTS.fullmatch(name)}
        if own:
            return {**chosen, **{name: name for name in names if _BESIDE.fullmatch(name)}, **own}
    raise PlaceError(
        "a model has a model_index.json or config.json and weights in safetensors, and this place "
        "lacks them: choose another, or convert a checkpoint"
    )


def _weighted_parts() -> dict[str, str]:
    """Return the subfolders with weights that codecs use, and what the weights are called there."""
    kinds = model_kinds().values()
    parts = (part for kind in kinds for alternatives in kind.parts for part in alternatives)
    return dict.fromkeys(parts, "diffusion_pytorch_model") | dict.fromkeys(TEXT_PARTS, "model")


def _weights(part: str, stem: str, names: Collection[str], variant: str | None) -> dict[str, str]:
    plain, half = f"{part}/{stem}.safetensors", f"{part}/{stem}.fp16.safetensors"
    if half in names and variant != "fp32":
        return {half: plain}
    if variant != "fp16" or not part.startswith(("unet", "transformer")):
        if plain in names:
            return {plain: plain}
        index = f"{part}/{stem}.safetensors.index.json"
        pieces = [
            name
            for name in names
            if name.startswith(f"{part}/{stem}-") and _PIECE.fullmatch(name, len(f"{part}/{stem}"))
        ]
        if index in names and pieces:
            return {name: name for name in (index, *pieces)}
    wanted = f"{variant} weights" if variant else "weights"
    raise PlaceError(f"{part} has no {wanted} in safetensors at this place: choose another")
