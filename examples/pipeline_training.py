"""Train a network on coded pictures that are made while it trains.

    python examples/pipeline_training.py PHOTOS --steps 100 --workers 2

PHOTOS is a folder of pictures.  Crops of them are written as DIFFC files at random rates and read again,
by ``DiffcCompress`` in the workers of a ``DataLoader``; a small network learns to undo what that did.
The last tenth of the pictures is kept apart, and shows whether it has.  Needs 'diffc[torchvision]'.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from diffc.adapters.torchvision import IMG_EXTENSIONS, DiffcCompress


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Crops of pictures, as they are and coded.

    Parameters
    ----------
    paths : sequence of Path
        Of pictures.
    side : int
        Of the crops, in pixels.
    coding : DiffcCompress
        Draws rates, codes and decodes.
    """

    def __init__(self, paths: Sequence[Path], side: int, coding: DiffcCompress) -> None:
        self.paths, self.coding = paths, coding
        self.crop = v2.Compose(
            [
                v2.RandomCrop(side, pad_if_needed=True, padding_mode="reflect"),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a crop, and what a file of it shows."""
        with Image.open(self.paths[index]) as image:
            crop: Tensor = self.crop(image.convert("RGB"))
        return crop, self.coding(crop)


def network(channels: int = 24) -> nn.Module:
    """Return a small network, which begins as nothing at all."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
    for _ in range(3):
        layers += [nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)]
    last = nn.Conv2d(channels, 3, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, nn.SiLU(), last)


def psnr(error: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean squared error of values in [0, 1]."""
    return -10 * float(error.log10())


def train(paths: Sequence[Path], steps: int, workers: int, batch: int, side: int) -> list[str]:
    """Train, and return what to say of it."""
    torch.manual_seed(0)
    kept = paths[-max(1, len(paths) // 10) :]
    coding = DiffcCompress(quality=(0, 40))
    data = Pairs(paths[: -len(kept)], side, coding)
    sampler = torch.utils.data.RandomSampler(data, replacement=True, num_samples=steps * batch)
    # workers that start afresh work like forked ones: what they unpickle registers the format
    loader = DataLoader(
        data,
        batch,
        sampler=sampler,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    started = time.perf_counter()
    for whole, coded in loader:
        loss = mse_loss(coded + model(coded), whole)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    torch.manual_seed(1)
    pairs = [Pairs(kept, side, coding)[index % len(kept)] for index in range(8)]
    whole, coded = (torch.stack(each) for each in zip(*pairs, strict=True))
    with torch.no_grad():
        restored = (coded + model(coded)).clamp(0, 1)
    before, after = psnr(mse_loss(coded, whole)), psnr(mse_loss(restored, whole))
    return [
        f"{steps} steps of {batch} crops of {side}x{side}: {steps * batch / seconds:.2f} crops/s",
        f"pictures kept apart: {before:.2f} dB as decoded, {after:.2f} dB with the network",
    ]


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=96)
    args = parser.parse_args()
    paths = sorted(p for p in args.photos.rglob("*") if p.suffix.lower() in IMG_EXTENSIONS)
    if len(paths) < 2:
        parser.error(f"{args.photos} holds {len(paths)} pictures, and two are needed")
    for line in train(paths, args.steps, args.workers, args.batch, args.side):
        print(line)


if __name__ == "__main__":
    main()
