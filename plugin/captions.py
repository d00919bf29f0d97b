"""Captions that callers ask for: a text of theirs, or one that is made of the picture."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from diffc.option import Option

if TYPE_CHECKING:
    from diffc.codec import Codec
    from diffc.pictures.pixels import Picture

MOST_CHARACTERS = 200
AUTO = "auto"
CAPTION = Option("caption", str, longest=MOST_CHARACTERS)


def check_caption(caption: object) -> None:
    """Check the option ``caption`` of a codec's encoder.

    Parameters
    ----------
    caption : str or None
        A text of up to 200 characters (code points), "auto" for one that is made, or None.

    Raises
    ------
    ValueError
        If it is anything else, or UTF-8 cannot hold it.
    """
    if caption is None:
        return
    CAPTION.check(caption)


def captioned(codec: Codec, picture: Picture) -> Codec:
    """Return a codec whose caption is a text or None: "auto" gives way to one that is made.

    Raises
    ------
    ValueError
        If one has to be made and no captioner can be used here.
    """
    if getattr(codec, "caption", None) != AUTO:
        return codec
    from diffc.pictures.pixels import to_tensor

    # loads the packages of the extra "caption", which nothing else here needs
    captioner = import_module("diffc.codecs.shared.captioner")
    text = captioner.caption_of(to_tensor(picture), device=codec.device)
    changes: dict[str, Any] = {"caption": text or None}
    return replace(codec, **changes)


def caption_metadata(codec: Codec) -> dict[str, bytes]:
    """Return what a file stores for a codec's caption; nothing for an empty one."""
    caption = getattr(codec, "caption", None)
    return {"caption": caption.encode()} if isinstance(caption, str) and caption else {}


def clean_caption(text: str) -> str:
    """Return a text of any origin as a caption: one line, no control characters, not too long.

    What is too long is cut between words, where there are any.
    """
    visible = (" " if unicodedata.category(each)[0] == "C" else each for each in text)
    line = " ".join("".join(visible).split())
    if len(line) <= MOST_CHARACTERS:
        return line
    start, space, _ = line[: MOST_CHARACTERS + 1].rpartition(" ")
    return start.rstrip(" ,;:-") if space else line[:MOST_CHARACTERS]
