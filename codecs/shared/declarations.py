"""What several codecs declare alike: kinds of models, and options.  Loads neither numpy nor torch."""

from __future__ import annotations

from typing import Any

from diffc.codec import ModelKind, option
from diffc.parameters import SEED_END

PATCH = ModelKind("patch", embedded={"tiny": "diffc.codecs:weights/tiny"})
DIFFUSERS = ModelKind(
    "diffusers",
    mark="model_index.json",
    parts=(("unet", "transformer"), ("vae",)),
    published="diffc.codecs.shared.stable_diffusion:models.json",
)
COD = ModelKind(
    "cod",
    converter="diffc.codecs.cod.convert:write_model",
    published="diffc.codecs.cod:models.json",
)


def seed_option(of: str) -> int:
    """Declare the option ``seed``.

    Parameters
    ----------
    of : str
        What it is of, such as ``"the noise"``.
    """
    return option(0, low=0, high=SEED_END - 1, help=f"of {of}; 0 costs no bytes")


def region_option() -> Any:
    """Declare the option ``roi``; see `diffc.codecs.shared.region_of_interest`."""
    return option(
        None,
        help="weights of the picture's size, an image or array, in [0, 1] or of bytes: bytes of the "
        "file go where they are high",
    )
