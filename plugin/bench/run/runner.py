"""The run: every image, codec and target, from real files that are opened again.

A row is written when all that it speaks of is on the disk, so a run that is killed anywhere goes on
where it was.  One image is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from diffc.bench.contenders.specs import target_text
from diffc.bench.run.pictures import read_rgb
from diffc.bench.run.preparation import Complain, Run, prepare
from diffc.bench.run.row_maker import Decoder, keep_original, make_row
from diffc.bench.run.rows import RowStore

__all__ = ["Complain", "Progress", "Run", "prepare", "run"]

Progress = Callable[[str, int, int], None]


def run(
    prepared: Run,
    *,
    progress: Progress = lambda name, done, total: None,
    complain: Complain = print,
) -> int:
    """Make all rows that are missing.

    Parameters
    ----------
    prepared : Run
        See `prepare`.
    progress : callable
        Called with what comes next, how many rows are done, and of how many.
    complain : callable
        Told in one line of every row that fails.

    Returns
    -------
    int
        How many rows failed.
    """
    asked, whole = prepared.asked, prepared.whole
    store = RowStore(prepared.places.folder)
    total = len(prepared.sources) * len(asked.codecs) * len(asked.targets)
    done = failed = 0
    for source in prepared.sources:
        wanted = [
            (contender, target)
            for contender in prepared.contenders
            for target in asked.targets
            if not store.done(source.name, contender.spec, target)
        ]
        done += len(asked.codecs) * len(asked.targets) - len(wanted)
        if not wanted:
            continue
        image = read_rgb(source.path)
        keep_original(prepared.places, prepared.measurer, source.name, image)
        decoder = Decoder(prepared.measurer, image)
        for contender, target in wanted:
            progress(f"{source.name} {contender.label} {target_text(target)}", done, total)
            row = make_row(prepared.places, source.name, decoder, contender, target)
            store.append(row)
            done += 1
            if row.error is not None:
                failed += 1
                where = f"{source.name}, {contender.spec} at {target_text(target)} bpp"
                complain(f"diffc: {where}: {row.error}")
    progress("", done, total)
    names = [each["name"] for each in whole.images]
    store.sort((n, codec, bpp) for n in names for codec in whole.codecs for bpp in whole.targets)
    store.write_csv()
    return failed
