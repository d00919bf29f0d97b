"""Pipeline directories as diffusers writes them: which classes they are made of, and their sizes.

The directory's ``model_index.json`` names classes.  Here such a name only ever chooses among those
listed below; nothing that a directory says is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffc.models.identity import config_of, read_object

UNET, TRANSFORMER = "UNet2DConditionModel", "SD3Transformer2DModel"
BETA_SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
FLOW_SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")

# component -> classes that may stand for it; other components, such as safety checkers, stay unread
_CLASSES = {
    "unet": (UNET,),
    "transformer": (TRANSFORMER,),
    "vae": ("AutoencoderKL",),
    "scheduler": BETA_SCHEDULERS + FLOW_SCHEDULERS,
    "text_encoder": ("CLIPTextModel", "CLIPTextModelWithProjection"),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "tokenizer_2": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
_NEEDED = ("vae", "scheduler")


@dataclass(frozen=True)
class Pipeline:
    """What a directory holds, read but not loaded.

    Parameters
    ----------
    folder : Path
        The directory.
    classes : mapping
        Component, such as ``unet``, to the name of its class; only those known here.
    index : mapping
        ``model_index.json``.
    """

    folder: Path
    classes: Mapping[str, str]
    index: Mapping[str, Any]

    @property
    def network(self) -> str:
        """The component that predicts: ``unet`` or ``transformer``."""
        return "unet" if "unet" in self.classes else "transformer"

    def config(self, component: str) -> dict[str, Any]:
        """Read the configuration of a component.

        Raises
        ------
        OSError
            If there is none, or the weights were stored in a form that needs other packages.
        """
        if component == "scheduler":
            return read_object(self.folder / "scheduler" / "scheduler_config.json")
        config = config_of(self.folder / component)
        if config.get("quantization_config") is not None:
            raise OSError(
                f"{self.folder / component} has quantised weights, which are not read here: fetch "
                "the model with plain ones"
            )
        return config


def read_pipeline(folder: Path) -> Pipeline:
    """Read what a pipeline's directory is made of.

    Raises
    ------
    OSError
        If it is no such directory, or one of its classes is not supported.
    """
    index = read_object(folder / "model_index.json")
    classes = {}
    for component, known in _CLASSES.items():
        name = _class_name(index.get(component))
        if name is None:
            continue
        if name not in known:
            raise OSError(
                f"{component} is {' or '.join(known)} here, not {name[:100]!r} as in {folder}: use "
                "another model"
            )
        classes[component] = name
    predicts = [name for name in ("unet", "transformer") if name in classes]
    missing = [name for name in _NEEDED if name not in classes]
    if len(predicts) != 1 or missing:
        raise OSError(
            "a pipeline has one of unet and transformer, a vae and a scheduler; the directory "
            f"{folder} has {', '.join(classes) or 'none of them'}: fetch it anew"
        )
    return Pipeline(folder, classes, index)


def _class_name(entry: object) -> str | None:
    """Return the class of an entry ``[library, class]``; None for ``[null, null]`` or none."""
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str)):
        return None
    return entry[1]
