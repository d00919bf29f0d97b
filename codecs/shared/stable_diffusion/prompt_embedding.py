"""What the text encoders of a pipeline say of a prompt, computed once.

The encoders are read when a prompt is first seen, and freed when it is embedded.  For the empty
prompt they need not be there at all if the directory has ``empty_prompt.safetensors``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.shared.stable_diffusion.folder import Pipeline, read_pipeline
from diffc.codecs.shared.stable_diffusion.parts import read_text_encoder, read_tokenizer
from diffc.models.identity import fingerprint
from diffc.threads import ForkSafeLock

EMPTY_PROMPT = "empty_prompt.safetensors"
# tokens of a text in CLIP, to which every prompt is filled up
TOKENS = 77


@dataclass(frozen=True)
class Embedding:
    """What conditions a network on a text.

    Parameters
    ----------
    hidden : Tensor
        For cross-attention, (1, tokens, width), float32.
    pooled : Tensor, optional
        For the embedding of the time, (1, width), float32; None where the network takes none.
    """

    hidden: Tensor
    pooled: Tensor | None

    def to(self, device: str, dtype: torch.dtype) -> Embedding:
        """Return it elsewhere."""
        pooled = None if self.pooled is None else self.pooled.to(device, dtype)
        return Embedding(self.hidden.to(device, dtype), pooled)


@dataclass(frozen=True)
class Widths:
    """What a network takes: elements of a token, of the pooled vector (0 for none)."""

    hidden: int
    pooled: int


_embedding_lock = ForkSafeLock()


def embedding_of(folder: Path, prompt: str, widths: Widths) -> Embedding:
    """Embed a prompt for the network of a pipeline's directory.

    Parameters
    ----------
    folder : Path
        The directory.
    prompt : str
        Any text; empty for none.
    widths : Widths
        Of the network.

    Raises
    ------
    ValueError
        If the prompt has more tokens than the encoders read.
    OSError
        If the encoders are missing, or made for another network.
    """
    mark = fingerprint(folder, prompted=bool(prompt))
    with _embedding_lock, torch.inference_mode(False), torch.no_grad():
        return _embedding(folder.resolve(), prompt, widths, mark)


@lru_cache(maxsize=32)
def _embedding(folder: Path, prompt: str, widths: Widths, mark: bytes) -> Embedding:
    pipeline = read_pipeline(folder)
    if not prompt and pipeline.index.get("force_zeros_for_empty_prompt") is True:
        pooled = torch.zeros(1, widths.pooled) if widths.pooled else None
        return Embedding(torch.zeros(1, TOKENS, widths.hidden), pooled)
    if not prompt and (folder / EMPTY_PROMPT).is_file():
        made = _read_empty(folder, mark)
    else:
        made = _computed(pipeline, prompt, widths)
    pooled_width = 0 if made.pooled is None else made.pooled.shape[-1]
    if (made.hidden.shape[-1], pooled_width) != (widths.hidden, widths.pooled):
        raise OSError(
            f"the network of {folder} takes texts of widths {widths.hidden} and {widths.pooled}, "
            f"not {made.hidden.shape[-1]} and {pooled_width} as its text encoders make them: fetch "
            "the model anew"
        )
    return made


def _computed(pipeline: Pipeline, prompt: str, widths: Widths) -> Embedding:
    components = [name for name in ("text_encoder", "text_encoder_2") if name in pipeline.classes]
    if not components:
        raise OSError(
            f"{pipeline.folder} has neither a text encoder nor {EMPTY_PROMPT}: fetch the model anew"
        )
    encoded = [_encoded(pipeline, component, prompt) for component in components]
    if not widths.pooled:
        # Stable Diffusion 1 and 2: the last layer of the only encoder
        return Embedding(encoded[0].last, None)
    hidden = torch.cat([each.last_but_one for each in encoded], dim=-1)
    if pipeline.network == "unet":
        # Stable Diffusion XL: the second encoder's summary
        return Embedding(hidden, encoded[-1].summary)
    # Stable Diffusion 3: both summaries; where T5's tokens would be are zeros, as for its authors
    # without T5, which is several times as large as the network
    filled = torch.zeros(1, 2 * hidden.shape[1], widths.hidden)
    filled[:, : hidden.shape[1], : hidden.shape[2]] = hidden
    summaries = [each.summary for each in encoded if each.summary is not None]
    return Embedding(filled, torch.cat(summaries, dim=-1))


@dataclass(frozen=True)
class _Encoded:
    last: Tensor
    last_but_one: Tensor
    summary: Tensor | None


def _encoded(pipeline: Pipeline, component: str, prompt: str) -> _Encoded:
    tokenizer = read_tokenizer(pipeline, component.replace("text_encoder", "tokenizer"))
    encoder: Any = read_text_encoder(pipeline, component)
    length = min(TOKENS, encoder.config.max_position_embeddings)
    tokens = len(tokenizer(prompt).input_ids)
    if tokens > length:
        raise ValueError(
            f"the model reads prompts of up to {length} tokens, not {tokens}: shorten the prompt"
        )
    filled = tokenizer(prompt, padding="max_length", max_length=length, return_tensors="pt")
    made = encoder(filled.input_ids, output_hidden_states=True)
    summary = getattr(made, "text_embeds", None)
    return _Encoded(made.last_hidden_state, made.hidden_states[-2], summary)


def write_empty_prompt(folder: Path, widths: Widths) -> Path:
    """Write what the empty prompt means into a directory, which then needs no text encoder for it.

    Returns
    -------
    Path
        The file written.
    """
    made = embedding_of(folder, "", widths)
    tensors = {"hidden": made.hidden.contiguous()}
    if made.pooled is not None:
        tensors["pooled"] = made.pooled.contiguous()
    path = folder / EMPTY_PROMPT
    save_file(tensors, path, metadata={"fingerprint": fingerprint(folder).hex()})
    return path


def _read_empty(folder: Path, mark: bytes) -> Embedding:
    path = folder / EMPTY_PROMPT
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get("fingerprint")
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise OSError(f"{path} is no safetensors file ({error}): delete it") from error
    if found != mark.hex():
        raise OSError(
            f"{path} was made for the model {found}, and this is {mark.hex()}: delete it, or write "
            "it anew"
        )
    if "hidden" not in tensors or tensors["hidden"].ndim != 3:
        raise OSError(f"{path} holds no text: delete it, or write it anew")
    return Embedding(tensors["hidden"], tensors.get("pooled"))
