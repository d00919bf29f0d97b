"""Code a million photos on Ray, and count what came of it.

Run it on a machine of a cluster, whose other machines need diffc and nothing of the photos::

    python examples/pipeline_ray.py photos/ coded/ --address auto --bpp 0.1
    python examples/pipeline_ray.py photos/ coded/ --address auto --bpp 0.1 --num-gpus 0.25

Without an address it starts Ray on this machine.  Run it again after whatever has ended it: what is
done is kept.  Needs ``pip install 'diffc[ray]'``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from diffc import batch


def photos_below(folder: Path) -> Iterator[str]:
    """Yield the photos in a folder and below, in whatever order the file system has them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from photos_below(Path(entry.path))
            elif entry.name.lower().endswith((".jpg", ".jpeg", ".png")):
                yield entry.path


def write_manifest(folder: Path, out: Path) -> Path:
    """List the photos once, so that later runs need not search for them."""
    manifest = out / "photos.jsonl"
    if manifest.exists():
        return manifest
    part = manifest.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        for path in photos_below(folder.resolve()):
            target = Path(path).relative_to(folder.resolve()).with_suffix(".diffc")
            row = {"source": path, "target": str(target)}
            file.write(json.dumps(row) + "\n")
    os.replace(part, manifest)
    return manifest


def main() -> None:
    """Code the photos of a folder, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--address", help="of the cluster; auto on one of its machines")
    parser.add_argument("--workers", type=int, help="default: as many as there is room for")
    parser.add_argument("--num-gpus", type=float, default=0.0, help="that each worker takes")
    parser.add_argument("--bpp", type=float, default=0.1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    def watch(row: batch.Row, summary: batch.Summary) -> None:
        if summary.done % 1000 == 0 or summary.done == summary.total:
            rate = summary.made / summary.seconds
            print(f"{summary.done} of {summary.total}, {rate:.1f} a second", flush=True)

    summary = batch.run(
        "encode",
        write_manifest(args.photos, args.out),
        args.out,
        executor=batch.Ray(args.workers, args.address, num_gpus=args.num_gpus),
        watch=watch,
        bpp=args.bpp,
        device="cuda" if args.num_gpus else "cpu",
    )

    print(f"{summary.made} coded, {summary.kept} kept, {summary.failed} failed")
    errors: Counter[str] = Counter()
    size = pixels = 0.0
    # a line at a time: there may be a million
    with (args.out / "diffc-batch.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            if row["status"] == "ok":
                size += row["bytes"]
                pixels += 8 * row["bytes"] / row["bpp"]
            else:
                errors[row["error"]] += 1
    if pixels:
        print(f"{size / 1e6:.3f} MB, {8 * size / pixels:.4f} bits per pixel")
    for error, count in errors.most_common(10):
        print(f"{count} times: {error}")


if __name__ == "__main__":
    main()
