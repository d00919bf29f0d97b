"""Worker processes: pools of every start method, and data loaders."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from codecs_for_tests import Pictures, reencoded
from PIL import Image
from torch.utils.data import DataLoader

import diffc

# a fork of a process with threads is what this is about
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

METHODS = multiprocessing.get_all_start_methods()
SECONDS = 300  # a worker that hangs fails its test


@pytest.fixture(autouse=True)
def threads_have_run() -> Iterator[None]:
    """Start OpenMP's threads in the parent: a forked child must not wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.ones(512, 512).exp().sum()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def files(photo: Image.Image, tmp_path: Path, model: str) -> list[str]:
    paths = []
    for turn in range(3):
        path = tmp_path / f"{turn}.diffc"
        diffc.save(photo.resize((32, 32)).rotate(90 * turn), path, model=model, quality=10)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("method", METHODS)
def test_pools_open_and_save_with_the_documented_initializer(files: list[str], method: str) -> None:
    with multiprocessing.get_context(method).Pool(1, initializer=diffc.register) as pool:
        results = pool.map_async(reencoded, files).get(SECONDS)
    for path, (name, size, pixels) in zip(files, results, strict=True):
        assert (name, size) == ("DIFFC", (32, 32))
        with Image.open(path) as image:
            assert pixels == image.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_data_loader_takes_the_same_hook(files: list[str], method: str) -> None:
    loader = DataLoader(
        Pictures(files),
        batch_size=3,
        num_workers=1,
        worker_init_fn=diffc.register,
        multiprocessing_context=method,
        timeout=SECONDS,
    )
    (batch,) = list(loader)
    expected = [diffc.decode(Path(path), to="torch").mul(255).round() for path in files]
    assert torch.equal(batch.permute(0, 3, 1, 2), torch.stack(expected).to(torch.uint8))
