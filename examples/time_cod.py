"""Time a CoD-Lite network on one photo: ``python examples/time_cod.py PHOTO``.

Without ``--model`` the network has the published sizes and random weights, which take as long.
``published`` is the network as it was published, float32; ``folded`` is the decoder's form for one
step from no noise; ``bfloat16`` is that in half the bits.  Encoders have no constant parts to fold.
``--size 4000 3000`` enlarges the photo, and ``--forms bfloat16`` leaves the others out.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.folder import empty_network, read_lite_config, read_network, write_folder
from diffc.codecs.cod.model import CodDecoder, CodEncoder
from diffc.codecs.shared.pictures import padded

FORMS = ("published", "folded", "bfloat16")


def random_model(folder: Path, config: CodConfig) -> Path:
    """Write a model of random weights; return its folder."""
    torch.manual_seed(0)
    state = {}
    for name, value in empty_network(config).state_dict().items():
        weights = torch.randn(value.shape)
        if weights.dim() > 1:
            weights /= weights[0].numel() ** 0.5
        else:
            weights = 0.02 * weights + name.endswith("weight")
        state[name] = weights
    write_folder(state, config, folder)
    return folder


def pixels_of(photo: Path, size: tuple[int, int] | None, multiple: int) -> Tensor:
    """Return a photo's pixels, in landscape format."""
    with Image.open(photo) as image:
        picture = image.convert("RGB")
    if size is not None:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    array = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    return padded(array[None].float() / 255, multiple)


def published_decoder(folder: Path) -> Callable[[Tensor], Tensor]:
    """Return tokens to a picture by the network as it was published."""
    network = read_network(folder, read_lite_config(folder))
    # only to make the condition, which is the same in both forms
    half = CodDecoder(folder, "cpu", torch.float32)

    def decode(tokens: Tensor) -> Tensor:
        condition = half.condition(tokens)
        height, width = (16 * side for side in condition.shape[2:])
        made: Tensor = network(torch.zeros(1, 3, height, width), torch.zeros(1), condition)
        return made

    return decode


def timed(label: str, function: Callable[[Tensor], Tensor], data: Tensor, runs: int) -> Tensor:
    """Print the seconds of a function's fastest run, and of all its threads; return its result."""
    seconds = []
    for _ in range(runs):
        start, of_threads = time.perf_counter(), time.process_time()
        made = function(data)
        seconds.append((time.perf_counter() - start, time.process_time() - of_threads))
    wall, threads = min(seconds)
    print(
        f"{label} {wall:7.3f} s, {threads:7.3f} s of threads, so far at most {peak()}", flush=True
    )
    return made


def peak() -> str:
    """Return the largest memory that this process has had so far."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        kilobytes //= 1024
    return f"{kilobytes / 2**20:.2f} GiB"


@torch.inference_mode()
def main() -> None:
    """Print the seconds of each form, and the memory so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", type=Path, help="a model's folder; random weights by default")
    parser.add_argument("--stride", type=int, default=16, help="of the random model")
    parser.add_argument("--bits", type=int, default=8, help="of the random model")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.model
        if folder is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            config = CodConfig(stride=options.stride, bits=options.bits)
            folder = random_model(Path(directory) / "model", config)
        config = read_lite_config(folder)
        pixels = pixels_of(options.photo, options.size, config.multiple)
        height, width = pixels.shape[2:]
        print(
            f"{width}x{height}, stride {config.stride}, {config.bits} bits, "
            f"{torch.get_num_threads()} threads, best of {options.runs}; with weights {peak()}"
        )
        for form in options.forms:
            dtype = torch.bfloat16 if form == "bfloat16" else torch.float32
            rows, columns = height // config.stride, width // config.stride
            tokens = torch.randint(0, 1 << config.bits, (rows, columns))
            if form != "published":
                encode = CodEncoder(folder, "cpu", dtype).tokens
                tokens = timed(f"{form:10} encode", encode, pixels, options.runs)
                del encode
            decode = (
                published_decoder(folder)
                if form == "published"
                else CodDecoder(folder, "cpu", dtype).picture
            )
            timed(f"{form:10} decode", decode, tokens, options.runs)
            del decode


if __name__ == "__main__":
    main()
