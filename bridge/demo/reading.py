"""Reads comments as a ticket system shows them: a Jira document or a ServiceNow note, as lines of text.

It must not be used for anything but showing.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from bridge.models import Json

_WIDTH = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A paragraph or an entry of a list (`text`), or a table (`rows`)."""

    text: str = ""
    mark: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def of_jira(document: Json) -> tuple[str, ...]:
    """Return the lines of an ADF document, or of wiki text as it stands."""
    if isinstance(document, str):
        return tuple(document.splitlines())
    return _lines(_of_adf(document))


def of_servicenow(entry: str) -> tuple[str, ...]:
    """Return the lines of a journal entry: HTML between [code] tags, and what stands around it."""
    before, _, rest = entry.partition("[code]")
    inside, _, after = rest.partition("[/code]")
    reader = _HtmlBlocks()
    reader.feed(inside)
    reader.close()
    return _lines(iter([Block(text=before.strip()), *reader.blocks, Block(text=after.strip())]))


def _lines(blocks: Iterator[Block]) -> tuple[str, ...]:
    return tuple(line for block in blocks for line in (_table(block.rows) if block.rows else _text(block)))


def _text(block: Block) -> list[str]:
    return textwrap.wrap(
        block.text, _WIDTH, initial_indent=block.mark, subsequent_indent=" " * len(block.mark)
    )


def _table(rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    """Yield a table whose last column is wrapped."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    indent = sum(widths) + 2 * len(widths)
    yield ""
    for number, row in enumerate(rows):
        head = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        yield from textwrap.wrap(row[-1], _WIDTH, initial_indent=head, subsequent_indent=" " * indent)
        if number == 0:
            yield "─" * min(_WIDTH, indent + 20)
    yield ""


def _of_adf(node: Json) -> Iterator[Block]:
    kind, content = node.get("type"), node.get("content", [])
    if kind == "table":
        yield Block(rows=tuple(tuple(_plain(cell) for cell in row["content"]) for row in content))
    elif kind == "listItem":
        yield Block(text=_plain(node), mark="  • ")
    elif kind == "paragraph":
        yield Block(text=_plain(node))
    else:
        for child in content:
            yield from _of_adf(child)


def _plain(node: Json) -> str:
    if node["type"] == "text":
        return str(node["text"])
    if node["type"] == "status":
        return str(node["attrs"]["text"])
    return "".join(_plain(child) for child in node.get("content", []))


@dataclass
class _HtmlBlocks(HTMLParser):
    """Collects the blocks of the few elements that a note has."""

    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._text = ""
        self._row: list[str] = []
        self._rows: list[tuple[str, ...]] = []

    def handle_data(self, data: str) -> None:
        """Take text."""
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        """Close a block where an element that is one ends."""
        if tag in {"p", "li"}:
            self.blocks.append(Block(text=self._text, mark="  • " if tag == "li" else ""))
        elif tag in {"th", "td"}:
            self._row.append(self._text)
        elif tag == "tr":
            self._rows.append(tuple(self._row))
            self._row = []
        elif tag == "table":
            self.blocks.append(Block(rows=tuple(self._rows)))
            self._rows = []
        if tag not in {"strong", "em"}:
            self._text = ""
