"""Batches on Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batch_codecs
import pytest
from PIL import Image

from diffc import batch

RESULTS = "diffc-batch.jsonl"
ray = pytest.importorskip("ray", reason="Ray is not installed")

# one cluster for all of them
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start Ray on this machine; return where workers write that they have read a model."""
    batch_codecs.register()
    path = tmp_path_factory.mktemp("ray") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(batch_codecs.LOG, str(path))
        patch.setenv("PYTHONPATH", str(Path(batch_codecs.__file__).parent))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 << 20,
        )
        yield path
        ray.shutdown()


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    """A folder of pictures, one of which kills who encodes it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        photo.resize((24, 16)).rotate(45 * number, expand=True).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"")
    return folder


def run(photos: Path, out: Path, executor: batch.Executor, **options: Any) -> batch.Summary:
    """Encode a folder with the codec that logs what it does."""
    given: dict[str, Any] = {"backend": "logged", "quality": 50}
    given["initializer"] = batch_codecs.register
    return batch.run("encode", photos, out, executor=executor, **given | options)


def test_files_do_not_depend_on_who_makes_them(
    photos: Path, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(batch_codecs.LOG, str(tmp_path / "own-log"))
    run(photos, tmp_path / "alone", batch.Serial())
    # the last one, so that few actors have to be started
    Image.new("RGB", (8, 8), "red").save(photos / "red.png")
    out = tmp_path / "out"
    summary = run(photos, out, batch.Ray(workers=2))
    assert (summary.made, summary.kept, summary.failed) == (8, 0, 2)
    for path in (tmp_path / "alone").glob("*.diffc"):
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert "workers die of this file: the last one ended (" in (out / RESULTS).read_text()
    lines = log.read_text().splitlines()
    assert len(set(lines)) == len(lines)
    assert 2 <= len(lines) <= 4
    assert {line.split()[1] for line in lines} == {"1"}
    (photos / "red.png").unlink()
    (photos / "bad.png").unlink()
    again = run(photos, out, batch.Ray(workers=1))
    assert (again.made, again.kept, again.failed) == (0, 8, 0)
    # it was started by the test, and goes on
    assert ray.is_initialized()


def test_actors_that_cannot_start_end_the_batch(photos: Path, tmp_path: Path, log: Path) -> None:
    with pytest.raises(OSError, match=r"no such luck.* before it could start"):
        run(photos, tmp_path / "out", batch.Ray(workers=1), initializer=batch_codecs.fail)


@pytest.mark.parametrize(
    ("demands", "options", "message"),
    [
        ({"workers": 3}, {}, "room for 2 workers of 1 CPUs and 0 GPUs, not for 3"),
        ({"num_gpus": 0.5}, {"device": "cuda"}, "room for 0 workers of 1 CPUs and 0.5 GPUs"),
        ({"num_gpus": 0.5}, {}, "num_gpus takes GPUs that nothing uses"),
    ],
)
def test_a_cluster_has_room_for_so_many(
    photos: Path,
    tmp_path: Path,
    log: Path,
    demands: dict[str, Any],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        run(photos, tmp_path / "out", batch.Ray(**demands), **options)


@pytest.mark.parametrize(
    ("demands", "message"),
    [
        ({"workers": 0}, "workers are 1 or more"),
        ({"workers": True}, "workers are 1 or more"),
        ({"num_gpus": -1}, "num_gpus is a number from 0"),
        ({"num_cpus": 0}, "num_cpus is a number from 0.001"),
    ],
)
def test_numbers(demands: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batch.Ray(**demands)
