"""What trains the model of ``ddcm``: the stages of the patch latents' model."""

from __future__ import annotations

from diffc.codecs.shared.latents.training import STAGES

__all__ = ["STAGES"]
