"""Try every host library that diffc has an adapter for, on photos of your own.

    python examples/hosts.py FOLDER --images 4

One line for each: what was done and whether it held, what it cost, or why it was not tried.  Pictures are
shrunk to 512 pixels.  Needs 'diffc[hosts]'; a host that is missing is skipped and said so.
"""

from __future__ import annotations

import argparse
import math
import mimetypes
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

import diffc


@dataclass(frozen=True)
class Material:
    """What the hosts are tried on.

    Parameters
    ----------
    folder : Path
        With ``a/0.diffc`` and so on, the pictures as files, in two classes; and for new files.
    photos : list
        The pictures.
    bpp : float
        The rate asked for.
    """

    folder: Path
    photos: list[Image.Image]
    bpp: float

    @property
    def files(self) -> list[Path]:
        """The pictures' files."""
        return sorted((self.folder / "pictures").rglob("*.diffc"))

    @property
    def first(self) -> np.ndarray[Any, Any]:
        """What the first file shows."""
        return diffc.decode(self.files[0], to="numpy")


def held(condition: bool, text: str) -> None:
    """Raise `AssertionError` with a text unless a condition holds."""
    if not condition:
        raise AssertionError(text)


def psnr(first: Any, second: Any) -> float:
    """Return the peak signal-to-noise ratio in dB of two arrays of uint8."""
    error = np.mean((np.asarray(first, np.float64) - np.asarray(second, np.float64)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / float(error))


def try_mimetypes(given: Material) -> str:
    """Ask the standard library for a file's type."""
    kind = mimetypes.guess_type(given.files[0])[0]
    held(kind == "image/x-diffc", f"it says {kind}")
    return f"a .diffc file is {kind}"


def try_imageio(given: Material) -> str:
    """Write and read, and ask for the shape without decoding."""
    import imageio.v3 as iio

    import diffc.adapters.imageio  # noqa: F401 - registers

    array = np.array(given.photos[0])
    path = given.folder / "imageio.diffc"
    iio.imwrite(path, array, bpp=given.bpp)
    read = iio.imread(path)
    shape = iio.improps(path).shape
    held(read.shape == array.shape == shape, f"shapes {read.shape}, {array.shape}, {shape}")
    return f"wrote {path.stat().st_size} bytes, read {read.shape}, {psnr(read, array):.1f} dB"


def try_torchvision(given: Material) -> str:
    """Load a folder of classes, and code as a transform."""
    import torch
    from torchvision.transforms import v2

    from diffc.adapters.torchvision import DiffcCompress, ImageFolder, decode_image

    tensor = decode_image(given.files[0])
    same = np.array_equal(tensor.permute(1, 2, 0).numpy(), given.first)
    held(same, "decode_image differs from diffc.decode")
    transform = v2.Compose([v2.CenterCrop(128), v2.ToImage(), DiffcCompress(quality=(0, 40))])
    data = ImageFolder(given.folder / "pictures", transform)
    held(len(data) == len(given.files), f"found {len(data)} of {len(given.files)} files")
    pairs = []
    for _ in range(2):
        torch.manual_seed(5)
        pairs.append(data[0][0])
    held(torch.equal(*pairs), "one seed, two results")
    return f"ImageFolder found {len(data)} files in {data.classes}; DiffcCompress follows its seed"


def try_kornia(given: Material) -> str:
    """Augment a batch, and pass a gradient."""
    import torch
    from kornia.augmentation import AugmentationSequential, RandomHorizontalFlip

    from diffc.adapters.kornia import RandomDiffc, load_image

    image = load_image(given.files[0])
    batch = image[None, :, :128, :128].repeat(2, 1, 1, 1).requires_grad_()
    augmentation = AugmentationSequential(
        RandomHorizontalFlip(p=0.5),
        RandomDiffc(quality=(0, 40), p=1.0, straight_through=True),
        data_keys=["input"],
    )
    torch.manual_seed(5)
    made = augmentation(batch)
    made.mean().backward()
    held(batch.grad is not None and bool((batch.grad > 0).all()), "no gradient")
    changed = float((made - batch).detach().abs().mean())
    held(changed > 0, "nothing was coded")
    return f"a batch of {tuple(made.shape)} coded at rates of its own; gradients pass"


def try_datasets(given: Material) -> str:
    """Load a folder of files, store another column of them, and go through parquet."""
    import datasets

    from diffc.adapters.huggingface_datasets import to_diffc

    datasets.disable_progress_bars()
    cache = str(given.folder / "cache")
    where = str(given.folder / "pictures")
    data = datasets.load_dataset("imagefolder", data_dir=where, split="train", cache_dir=cache)
    held(data.num_rows == len(given.files), f"found {data.num_rows} of {len(given.files)} files")
    features = datasets.Features({"image": datasets.Image()})
    plain = datasets.Dataset.from_dict({"image": given.photos}, features)
    path = str(given.folder / "coded.parquet")
    to_diffc(plain, bpp=given.bpp, num_proc=2).to_parquet(path)
    again = datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=cache)
    kinds = {row["image"].format for row in again}
    held(kinds == {"DIFFC"}, f"parquet holds {kinds}")
    size = os.path.getsize(path)
    return (
        f"imagefolder of {data.num_rows} files; {again.num_rows} in a parquet file of {size} bytes"
    )


def try_webdataset(given: Material) -> str:
    """Write a shard and read it."""
    import webdataset

    from diffc.adapters.webdatasets import decoder, encoder

    path = given.folder / "shard.tar"
    with webdataset.TarWriter(str(path), encoder=encoder(bpp=given.bpp)) as shard:
        for number, photo in enumerate(given.photos):
            shard.write({"__key__": f"{number:04}", "diffc": photo, "cls": number})
    data = webdataset.WebDataset(str(path), shardshuffle=False).decode(decoder("torchrgb8"))
    shapes = [tuple(each["diffc"].shape) for each in data]
    held(len(shapes) == len(given.photos), f"{len(shapes)} came back")
    return f"a shard of {len(shapes)} in {path.stat().st_size} bytes, read as {shapes[0]} and so on"


def try_zarr(given: Material) -> str:
    """Store a stack of pictures, formats 3 and 2."""
    import zarr

    from diffc.adapters.numcodecs import Diffc
    from diffc.adapters.zarr import DiffcCodec

    stack = np.stack([np.array(photo.crop((0, 0, 256, 192))) for photo in given.photos])
    found = []
    for version, options in (
        (3, {"serializer": DiffcCodec(bpp=given.bpp), "compressors": None}),
        (2, {"compressors": Diffc(bpp=given.bpp), "filters": None, "zarr_format": 2}),
    ):
        path = given.folder / f"v{version}.zarr"
        made = zarr.create_array(path, data=stack, chunks=(1, *stack.shape[1:]), **options)
        read = np.asarray(zarr.open_array(path, mode="r")[:])
        held(read.shape == stack.shape, f"format {version} gives {read.shape}")
        found.append(
            f"format {version} {made.nbytes_stored()} bytes with metadata, {psnr(read, stack):.1f} dB"
        )
    return f"{stack.nbytes} bytes of {stack.shape}: {'; '.join(found)} (lossy)"


def try_fsspec(given: Material) -> str:
    """Save to an address and read it again."""
    diffc.save(given.photos[0], "memory://hosts/a.diffc", bpp=given.bpp)
    shown = diffc.decode("memory://hosts/a.diffc")
    held(shown.size == given.photos[0].size, f"size {shown.size}")
    return f"memory://hosts/a.diffc: {diffc.info('memory://hosts/a.diffc').file_bytes} bytes"


def try_matplotlib(given: Material) -> str:
    """Read through Pillow, as hosts without an adapter do."""
    from matplotlib import image

    read = image.imread(given.files[0])
    held(np.array_equal(read, given.first), "it differs from diffc.decode")
    return f"reads {read.shape} through Pillow, without an adapter"


HOSTS: dict[str, Callable[[Material], str]] = {
    "mimetypes": try_mimetypes,
    "matplotlib": try_matplotlib,
    "imageio": try_imageio,
    "torchvision": try_torchvision,
    "kornia": try_kornia,
    "datasets": try_datasets,
    "webdataset": try_webdataset,
    "zarr": try_zarr,
    "fsspec": try_fsspec,
}


def read_photos(folder: Path, count: int) -> list[Image.Image]:
    """Return the first pictures of a folder, 512 pixels at most and 256x192 at least."""
    found = []
    for path in sorted(folder.rglob("*")):
        if len(found) == count:
            break
        try:
            with Image.open(path) as image:
                photo = ImageOps.exif_transpose(image).convert("RGB")
        except OSError:
            continue
        photo.thumbnail((512, 512))
        photo.info.clear()
        if photo.width >= 256 and photo.height >= 192:
            found.append(photo)
    return found


def main() -> int:
    """Try all hosts; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with photos")
    parser.add_argument("--images", type=int, default=4, help="how many of them; default: 4")
    parser.add_argument("--bpp", type=float, default=0.3, help="rate; default: 0.3")
    parser.add_argument("--hosts", nargs="+", choices=HOSTS, default=list(HOSTS))
    args = parser.parse_args()
    photos = read_photos(args.folder, args.images)
    if len(photos) < 2:
        parser.error(f"{args.folder} holds {len(photos)} photos of 256x192 or more: two are needed")
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        given = Material(Path(name), photos, args.bpp)
        for number, photo in enumerate(photos):
            target = given.folder / "pictures" / "ab"[number % 2] / f"{number}.diffc"
            target.parent.mkdir(parents=True, exist_ok=True)
            diffc.save(photo, target, bpp=args.bpp)
        for host in args.hosts:
            started = time.perf_counter()
            try:
                state, text = "ok", HOSTS[host](given)
            except ImportError as error:
                state, text = "skipped", " ".join(str(error).split())
            # whatever a host raises is its line, and the others are tried
            except Exception as error:  # noqa: BLE001
                state, text = "FAILED", f"{type(error).__name__}: {error}"
                failed += 1
            print(
                f"{host:<12} {state:<8} {time.perf_counter() - started:5.1f} s  {text}", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
