"""Write trained networks as a model's folder: one byte a weight, and a config.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from diffc.models.byte_weights import to_bytes


def write_model(
    folder: Path,
    config: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Tensor]],
    exact: Collection[str] = (),
) -> None:
    """Write a folder that `diffc.models.identity` knows.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    config : mapping
        With the ``kind`` of the model, and what its networks are made from.
    files : mapping
        States of networks, by the names of their files.
    exact : collection of str
        Tensors that keep their precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, state in files.items():
        whole = {key: value.cpu() for key, value in state.items()}
        save_file(to_bytes(whole, exact), folder / name)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
