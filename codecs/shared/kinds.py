"""Kinds of models that several codecs use."""

from __future__ import annotations

from diffc.codec import ModelKind

PATCH = ModelKind("patch", embedded={"tiny": "diffc.codecs:weights/tiny"})
DIFFUSERS = ModelKind(
    "diffusers", mark="model_index.json", parts=(("unet", "transformer"), ("vae",))
)
