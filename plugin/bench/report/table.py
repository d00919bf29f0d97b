"""A table of texts, for terminals and for Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

NONE = "–"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|])")


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Parameters
    ----------
    title : str
        One line.
    columns : sequence of str
        Heads; the first column is aligned to the left, others to the right.
    rows : sequence
        As many texts each.
    notes : sequence of str
        Sentences below.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def as_markdown(self) -> str:
        """Return the table in Markdown, without its title."""
        lines = [self.columns, ["---", *("---:" for _ in self.columns[1:])]]
        text = "\n".join("| " + " | ".join(cells) + " |" for cells in [*lines, *self._escaped()])
        return text + "".join(f"\n\n{note}" for note in self.notes) + "\n"

    def _escaped(self) -> list[list[str]]:
        return [[_MARKUP.sub(r"\\\1", cell) for cell in row] for row in self.rows]


def print_tables(tables: Sequence[Table], stream: TextIO) -> None:
    """Print tables, with colours if that is a terminal.

    Raises
    ------
    ValueError
        If rich is missing.
    """
    from diffc.bench.packages import load_package

    rich_table, rich_console = load_package("rich.table"), load_package("rich.console")
    box = load_package("rich.box")
    console = rich_console.Console(file=stream, highlight=False, markup=False, emoji=False)
    # rich would end the process with the code of an error
    console.on_broken_pipe = _raise_again
    if not stream.isatty():
        # nothing is folded where nobody reads at a width
        console.width = 250
    for table in tables:
        shown = rich_table.Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
        for place, head in enumerate(table.columns):
            shown.add_column(head, justify="right" if place else "left")
        for row in table.rows:
            shown.add_row(*map(load_package("rich.text").Text, row))
        console.print(shown)
        for note in table.notes:
            console.print(note.replace("\\*", "*"), soft_wrap=not stream.isatty())
        console.print()


def _raise_again() -> None:
    raise  # noqa: PLE0704 - called where the error is being handled
