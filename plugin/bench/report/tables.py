"""The tables of a run, for terminals, Markdown and the page alike."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO

from diffc.bench.contenders.specs import target_text
from diffc.bench.measures.available import MEASURES, Measure
from diffc.bench.measures.spectrum import BANDS, DIRECTIONS, OCTAVES
from diffc.bench.packages import load_package
from diffc.bench.report.results import Cell, Results
from diffc.bench.run.records import Row

NONE = "–"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|])")
_BD_NOTE = (
    "Bytes for equal quality beside the anchor's: −20 % is a fifth less. Only targets that all "
    "images reached count, at the real mean bits per pixel; the last column is how many of them "
    "the codec and the anchor have. There is a figure where both have three of them and enough "
    "quality in common."
)
_SPECTRUM_NOTE = (
    "Power of luma over the photograph's, by octave (from so many cycles a pixel to twice as many) and "
    "direction: ─ what changes along rows of pixels, │ along columns, ╲ and ╱ along diagonals. 1 is as "
    "much detail as the photograph has, right or wrong; a band far above its neighbours is a mesh or "
    "ringing, one far below is missing texture."
)
_SPEED_NOTE = (
    "Each in a process of its own. The first call includes imports and loading of models, the "
    "others are the median of three. Of codecs whose quality is searched for, one encode at the "
    "quality found is timed; of others the whole call with its target. Memory is the most that the "
    "process held, Python and the picture included, on a GPU also what was allocated there."
)


@dataclass(frozen=True)
class Column:
    """The head of a column, and what it means for readers who point at it."""

    head: str
    hint: str = ""


@dataclass(frozen=True)
class Figure:
    """A text in a table; the note says what to bear in mind."""

    text: str
    mark: Literal["", "best", "good", "bad"] = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A codec's line.

    Parameters
    ----------
    label : str
        What the codec is called.
    figures : sequence of Figure
        One for each column.
    remark : str
        Why the line compares with others only in part, such as "over the target"; a text marks its
        first figure with an asterisk.
    codec : int
        Which of the run's codecs it is.
    """

    label: str
    figures: Sequence[Figure]
    remark: str = ""
    codec: int = -1


@dataclass(frozen=True)
class Table:
    """A table with a line for each codec.

    Parameters
    ----------
    title : str
        One line.
    columns : sequence of Column
        After that of the codecs.
    lines : sequence of Line
        The codecs.
    notes : sequence of str
        Sentences below.
    """

    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    notes: Sequence[str] = ()

    def heads(self) -> list[str]:
        """Return the texts of the first line."""
        return ["codec", *(column.head for column in self.columns)]

    def rows(self) -> list[list[str]]:
        """Return the texts of the other lines; one with a remark has an asterisk."""
        return [
            [line.label, line.figures[0].text + "*" * bool(line.remark)]
            + [figure.text for figure in line.figures[1:]]
            for line in self.lines
        ]

    def all_notes(self) -> list[str]:
        """Return the remarks of lines, then the notes."""
        return [f"* {each.label}: {each.remark}." for each in self.lines if each.remark] + [
            *self.notes
        ]

    def as_markdown(self) -> str:
        """Return the table in Markdown, without its title."""
        lines = [self.heads(), ["---", *("---:" for _ in self.columns)]]
        lines += [[_MARKUP.sub(r"\\\1", text) for text in row] for row in self.rows()]
        text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        notes = (re.sub(r"^\*", r"\\*", note) for note in self.all_notes())
        return text + "".join(f"\n\n{note}" for note in notes) + "\n"


def all_tables(results: Results) -> list[Table]:
    """Return the tables of quality at each target, of BD-rates and of speed, as far as they are."""
    targets = results.run_file.targets
    tables = [quality_table(results, target) for target in targets]
    spectra = [table for target in targets if (table := spectrum_table(results, target))]
    # the same note once
    tables += [*(replace(each, notes=()) for each in spectra[:-1]), *spectra[-1:]]
    if len(results.run_file.codecs) > 1:
        tables.append(bd_rate_table(results))
    speed = speed_table(results)
    return tables if speed is None else [*tables, speed]


def quality_table(results: Results, target: float) -> Table:
    """Return the quality of all codecs at a target, with the real bits per pixel.

    The best of a column is marked among the codecs whose files meet the target for every image, if
    there are two of them.
    """
    cells = [results.cell(codec, target) for codec in results.run_file.codecs]
    measures = results.averaged
    best = _best([cell.measures for cell in cells if results.meets(cell)], measures)
    lines, left_out = [], []
    for number, cell in enumerate(cells):
        if results.only_at_others(cell):
            left_out.append(results.label(cell.codec))
            continue
        rivals = best if results.meets(cell) else {}
        figures = [_measured(cell.measures, each, rivals, cell) for each in measures]
        rate = Figure(NONE if cell.bpp is None else f"{cell.bpp:.4f}")
        remark = _remark(cell, len(results.run_file.images))
        lines.append(Line(results.label(cell.codec), [rate, *figures], remark, number))
    columns = [Column("bpp"), *map(_column, measures)]
    notes = [f"Coded for other targets only: {', '.join(left_out)}."] if left_out else []
    return Table(f"At most {target_text(target)} bpp", columns, lines, notes)


def comparison_table(results: Results, rows: Sequence[Row], title: str) -> Table:
    """Return bytes, bits per pixel and measures of one image's rows at a target.

    Parameters
    ----------
    results : Results
        Of the run.
    rows : sequence of Row
        Of one image and target.
    title : str
        The table's.
    """
    measures = results.averaged
    values = [
        {} if row.error is not None else results.cell(row.codec, row.target_bpp).measures
        for row in rows
    ]
    best = _best([v for v, row in zip(values, rows, strict=True) if row.reached], measures)
    lines = []
    for row, measured in zip(rows, values, strict=True):
        failed = row.error is not None
        first = [Figure("failed"), Figure(NONE)]
        if not failed:
            first = [Figure(str(row.bytes)), Figure(f"{row.bpp:.4f}")]
        figures = [_measured(measured, each, best if row.reached else {}) for each in measures]
        over = not (failed or row.reached)
        remark = "more than that, the smallest file that it makes" if over else ""
        lines.append(Line(results.label(row.codec), [*first, *figures], remark))
    return Table(title, [Column("bytes"), Column("bpp"), *map(_column, measures)], lines)


def _column(measure: Measure) -> Column:
    return Column(measure.heading, measure.hint)


def _best(found: list[dict[str, float]], measures: list[Measure]) -> dict[str, str]:
    """Return the best value of each measure that several have, as it is read."""
    best = {}
    for measure in measures:
        values = [each[measure.name] for each in found if measure.name in each]
        if measure.better and len(values) > 1:
            choose = max if measure.better == "higher" else min
            best[measure.name] = _rounded(choose(values), measure)
    return best


def _measured(
    values: dict[str, float], measure: Measure, best: dict[str, str], cell: Cell | None = None
) -> Figure:
    if measure.name not in values:
        return Figure(NONE)
    text = _rounded(values[measure.name], measure)
    # what is printed alike is alike
    mark: Literal["", "best"] = "best" if text == best.get(measure.name) else ""
    error = None if cell is None else cell.standard_errors.get(measure.name)
    return Figure(text if error is None else f"{text} ± {_rounded(error, measure)}", mark)


def _rounded(value: float, measure: Measure) -> str:
    return f"{value:.{measure.decimals}f}".replace("-", "−")


def _remark(cell: Cell, images: int) -> str:
    remarks = []
    if cell.errors:
        remarks.append(f"{cell.errors} of {images} images failed")
    if missing := images - cell.images - cell.errors:
        remarks.append(f"{missing} of {images} images not coded")
    if over := cell.images - cell.reached:
        remarks.append("over the target" + (f" for {over} of {images}" if over < images else ""))
    return ", ".join(remarks)


def spectrum_table(results: Results, target: float) -> Table | None:
    """Return the spectrum of detail of all codecs at a target, None if no picture was large enough."""
    lines = []
    for number, codec in enumerate(results.run_file.codecs):
        cell = results.cell(codec, target)
        if results.only_at_others(cell):
            continue
        texts = [_text(cell.measures.get(band), 2) for band in BANDS]
        lines.append(Line(results.label(codec), [*map(Figure, texts)], codec=number))
    if all(figure.text == NONE for line in lines for figure in line.figures):
        return None
    columns = [
        Column(f"{octave} {sign}", f"from {octave} cycles a pixel, {direction}")
        for octave in OCTAVES
        for direction, sign in zip(DIRECTIONS, "─╲│╱", strict=True)
    ]
    title = f"Spectrum of detail, at most {target_text(target)} bpp"
    return Table(title, columns, lines, [_SPECTRUM_NOTE])


def bd_rate_table(results: Results) -> Table:
    """Return BD-rates: bytes that a codec needs for equal quality, against the anchor's."""
    theirs = len(results.curve(results.anchor))
    lines = []
    remarks: list[str] = []
    for number, codec in enumerate(results.run_file.codecs):
        if codec == results.anchor:
            continue
        label = results.label(codec)
        figures: list[Figure] = []
        noted: dict[tuple[str, str], list[str]] = {}
        rates = results.bd_rates[codec]
        for name, rate in rates.items():
            figures.append(_rate_figure(rate.percent, rate.note))
            if rate.note:
                noted.setdefault((figures[-1].text[-1], rate.note), []).append(name)
        count = Figure(f"{len(results.curve(codec))} and {theirs}")
        lines.append(Line(label, [*figures, count], codec=number))
        # once for all measures that share it
        for (mark, note), names in noted.items():
            which = ", ".join(MEASURES[name].label for name in names)
            every = len(names) == len(rates)
            remarks.append(f"{mark} {label}{'' if every else f' ({which})'}: {note}.")
    rated = (MEASURES[name] for name in results.run_file.measures)
    columns = [Column(each.label) for each in rated if each.rated]
    title = f"BD-rate against {results.label(results.anchor)}"
    return Table(title, [*columns, Column("targets")], lines, [_BD_NOTE, *remarks])


def _rate_figure(percent: float | None, note: str) -> Figure:
    if percent is None:
        return Figure(NONE, note=note)
    text = f"{percent:+.1f} %{'†' if note else ''}".replace("-", "−")
    return Figure(text, "good" if percent < 0 else "bad" if percent > 0 else "", note)


def speed_table(results: Results) -> Table | None:
    """Return seconds and memory, None if nothing was timed; of several images of a size the median."""
    codecs = results.run_file.codecs
    groups: dict[tuple[int, float, str, str], list[dict[str, Any]]] = {}
    for line in results.speed:
        if line["codec"] in codecs:
            size = f"{line['width']}x{line['height']}"
            key = codecs.index(line["codec"]), line["target_bpp"], line["device"], size
            groups.setdefault(key, []).append(line)
    if not groups:
        return None
    lines = []
    for (codec, target, device, size), timed in sorted(groups.items()):
        texts = [target_text(target), device, size]
        for operation in ("encode", "decode"):
            for name in (f"{operation}_first_seconds", f"{operation}_seconds"):
                texts.append(_text(_median(timed, name), 3))
        for operation in ("encode", "decode"):
            held = _text(_median(timed, f"{operation}_peak_bytes", 2**20), 0)
            on_device = _median(timed, f"{operation}_peak_device_bytes", 2**20)
            texts.append(held if on_device is None else f"{held} + {on_device:.0f}")
        label = results.label(codecs[codec])
        lines.append(Line(label, [*map(Figure, texts)], codec=codec))
    heads = (
        "bpp;device;picture;first encode, s;encode, s;first decode, s;decode, s;"
        "encode, MiB;decode, MiB"
    )
    return Table("Speed and memory", [*map(Column, heads.split(";"))], lines, [_SPEED_NOTE])


def _median(lines: list[dict[str, Any]], name: str, unit: int = 1) -> float | None:
    values = [line[name] for line in lines if line[name] is not None]
    return statistics.median(values) / unit if values else None


def _text(value: float | None, decimals: int) -> str:
    return NONE if value is None else f"{value:.{decimals}f}"


def print_tables(tables: Iterable[Table], stream: TextIO) -> None:
    """Print tables, with colours if that is a terminal.

    Raises
    ------
    ValueError
        If rich is missing.
    """
    rich_table, rich_console = load_package("rich.table"), load_package("rich.console")
    box, rich_text = load_package("rich.box"), load_package("rich.text")
    console = rich_console.Console(file=stream, highlight=False, markup=False, emoji=False)
    # rich would end the process with the code of an error
    console.on_broken_pipe = _raise_again
    if not stream.isatty():
        # nothing is folded where nobody reads at a width
        console.width = 250
    for table in tables:
        shown = rich_table.Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
        for place, head in enumerate(table.heads()):
            shown.add_column(head, justify="right" if place else "left")
        for line, row in zip(table.lines, table.rows(), strict=True):
            marks = ["", *("bold" if each.mark == "best" else "" for each in line.figures)]
            shown.add_row(*map(rich_text.Text, row, marks))
        console.print(shown)
        for note in table.all_notes():
            console.print(note, soft_wrap=not stream.isatty())
        console.print()


def _raise_again() -> None:
    raise  # noqa: PLE0704 - called where the error is being handled
