"""Captions of pictures, by a captioner of others that transformers reads.

BLIP and Florence-2 can be used, networks that transformers has the code of.  Weights are
safetensors; neither code nor pickles that lie beside them are looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from diffc.captions import clean_caption
from diffc.codecs.shared.models import load_once
from diffc.devices import device_of
from diffc.errors import OptionError
from diffc.models import store
from diffc.models.identity import config_of
from diffc.models.lookup import named_folder
from diffc.optional_packages import silent
from diffc.pictures.pixels import to_pillow
from diffc.threads import ForkSafeLock

KIND = "captioner"
# fetched where that is allowed and no captioner is here; a name of `diffc models list`
DEFAULT = "blip-large"
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
# more than the characters that a caption may have
_MOST_TOKENS = 64


@dataclass(frozen=True)
class _Family:
    """The class that transformers has for a ``model_type``, and what is asked of it."""

    network: str
    prompt: str | None = None


_FAMILIES = {
    "blip": _Family("BlipForConditionalGeneration"),
    "florence2": _Family("Florence2ForConditionalGeneration", "<CAPTION>"),
}


def caption_of(image: Tensor, *, device: str | None = None) -> str:
    """Return a sentence that says what a picture shows, the same one every time.

    Parameters
    ----------
    image : Tensor
        Pixels (3, height, width), floats in [0, 1], sRGB.
    device : str, optional
        Where the captioner runs; None is the environment's DIFFC_DEVICE, else the CPU.

    Returns
    -------
    str
        One line of at most 200 characters; may be empty.

    Raises
    ------
    ValueError
        If transformers or a captioner is not here.
    OSError
        If the captioner cannot be read, or may be fetched and cannot.
    """
    _transformers()
    captioner = load_once(_Captioner, captioner_folder(), device_of(device))
    return clean_caption(captioner.describe(to_pillow(image, "RGB")))


def captioner_folder() -> Path:
    """Return the captioner's directory.

    That is the directory or the model of the store that DIFFC_CAPTIONER names, else a captioner
    of the store, else one that is fetched, if that is allowed.

    Raises
    ------
    OptionError
        If there is none.
    OSError
        If it may be fetched, and cannot.
    """
    named = os.environ.get("DIFFC_CAPTIONER")
    if not named:
        for record in store.records():
            if record.kind == KIND and record.here:
                return Path(record.folder)
    try:
        folder = named_folder(named or DEFAULT, [KIND])
    # it says that a known model is not here
    except OptionError:
        folder = None
    if folder is None:
        missing = f"{named!r}, which DIFFC_CAPTIONER names, is none" if named else "none is here"
        raise OptionError(
            f"caption='auto' needs a captioner, and {missing}: set DIFFC_CAPTIONER to the "
            f"directory of one, such as BLIP, or run 'diffc models fetch {DEFAULT}', or allow "
            "that with DIFFC_ALLOW_DOWNLOAD=1"
        )
    return folder


def _transformers() -> Any:
    try:
        return import_module("transformers")
    except ImportError as error:
        raise OptionError(
            f"caption='auto' needs {error.name or 'transformers'}, which is not installed: "
            'pip install "diffc[caption]", or write a caption'
        ) from error


class _Captioner:
    """A network, and what makes its input and reads its output."""

    def __init__(self, folder: Path, device: str) -> None:
        library = _transformers()
        kind = config_of(folder).get("model_type")
        family = _FAMILIES.get(kind) if isinstance(kind, str) else None
        if family is None:
            raise OSError(
                f"a captioner's model_type is one of {', '.join(_FAMILIES)}, and that of {folder} "
                f"is {kind!r}: set DIFFC_CAPTIONER to another directory"
            )
        self._folder, self._device, self._prompt = folder, device, family.prompt
        # a tokenizer serves one thread at a time
        self._lock = ForkSafeLock()
        with _plain_errors(folder), silent(library):
            # without one it is made of its special tokens alone
            if not any((folder / name).is_file() for name in _VOCABULARIES):
                raise ValueError(f"it has none of {', '.join(_VOCABULARIES)}")
            self._processor = library.AutoProcessor.from_pretrained(folder, local_files_only=True)
            network, found = getattr(library, family.network).from_pretrained(
                folder, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
            if wrong := [*found["missing_keys"], *found["mismatched_keys"]]:
                raise ValueError(
                    f"{len(wrong)} weights are missing, such as {min(map(str, wrong))}"
                )
            self._network = network.eval().requires_grad_(False).float().to(device)

    def describe(self, image: Image.Image) -> str:
        """Return the likeliest words, each chosen after those before it."""
        texts = {} if self._prompt is None else {"text": self._prompt}
        with self._lock, _plain_errors(self._folder), torch.inference_mode():
            inputs = self._processor(images=image, return_tensors="pt", **texts).to(self._device)
            tokens = self._network.generate(
                **inputs, max_new_tokens=_MOST_TOKENS, do_sample=False, num_beams=1
            )
            (text,) = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return str(text)


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    # a directory that does not fit together can raise anything
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise OSError(
            f"{folder} cannot be used as a captioner ({reason}): fetch it anew, or set "
            "DIFFC_CAPTIONER to another directory"
        ) from error
