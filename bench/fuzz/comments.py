"""Comments: text from outside stays text, in every dress that a ticket system is given."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

from bench.fuzz.oracles import see_storable
from bridge.comments.masking import mask
from bridge.models import EngineRow, Report, Tone
from bridge.ticketing.jira import adf, wiki
from bridge.ticketing.servicenow import note

MARKER = "bridge-01hx9-answered-1"
# What has a meaning in wiki text unless a backslash stands before it.
WIKI_MARKUP = "{}|[]!*_-+^~?#@&<>()\\"
LIMIT = 30_000


def comments() -> Callable[[bytes], None]:
    """Texts between NULs, one for each place in a report that text from outside may come to."""

    plain = [dress(made(["x"])) for dress, _ in DRESSES]

    def run(data: bytes) -> None:
        texts = data.decode("utf-8", "surrogateescape").split("\x00")
        report = made([mask(text) for text in texts])
        for (dress, see), wanted in zip(DRESSES, plain, strict=True):
            dressed = dress(report)
            see_storable(dressed)
            assert len(dressed.encode("utf-16-le")) // 2 <= LIMIT
            assert MARKER in dressed[-120:]
            # As it is looked for: a longer word is another marker, or none.
            assert len(re.findall(rf"(?<![A-Za-z0-9-]){MARKER}(?![A-Za-z0-9-])", dressed)) == 1
            see(dressed, wanted)

    return run


def made(texts: list[str]) -> Report:
    """Return a report with a text in every place, the first ones again where there are too few."""
    places = [texts[number % len(texts)] for number in range(9)]
    return Report(
        headline=places[0],
        tone=Tone.WARNING,
        intro=f"x\n{places[1]}",
        rows=(EngineRow(engine=places[2], result=places[3], tone=Tone.BAD, meaning=places[4]),),
        facts=((places[5], places[6]),),
        advice=(places[7], places[8]),
        marker=MARKER,
    )


def see_wiki(dressed: str, plain: str) -> None:
    """See that no character of wiki markup stands free but for those of the report itself."""
    assert _free(dressed) == _free(plain), dressed
    for line in dressed.split("\n"):
        assert not re.match(r"\s*(h[1-6]|bq)\.", line), line
        assert not re.search(r"(?i)\bwww\.", line), line
        # The report's own colons stand before a space, or within the braces of a colour.
        assert not re.search(r"(?<!\\):\S", re.sub(r"\{(panel|color):[^}]*\}", "", line)), line


def _free(text: str) -> Counter[str]:
    bare = re.sub(r"&#92;|\\[^A-Za-z0-9\s]", "", text)
    return Counter(char for char in bare if char in WIKI_MARKUP)


def see_adf(dressed: str, plain: str) -> None:
    """See that a document is made of the same kinds of nodes; paragraphs may be more."""
    assert set(_shapes(json.loads(dressed))) == set(_shapes(json.loads(plain))), dressed
    assert all(text.strip() for text in _texts(json.loads(dressed)))


def _shapes(node: Any) -> Iterator[str]:
    kept = {name: value for name, value in node.items() if name not in {"content", "text"}}
    if node["type"] == "status":
        kept["attrs"] = sorted(node["attrs"])
    yield json.dumps(kept, sort_keys=True)
    for child in node.get("content", ()):
        yield from _shapes(child)


def _texts(node: Any) -> Iterator[str]:
    if node["type"] == "text":
        yield node["text"]
    for child in node.get("content", ()):
        yield from _texts(child)


class _Tags(HTMLParser):
    """Counts what a browser would take for more than text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: Counter[str] = Counter()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        assert not attrs, (tag, attrs)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def see_html(dressed: str, plain: str) -> None:
    """See that an entry has one [code] block with the report's own tags; paragraphs may be more."""
    assert dressed.startswith("[code]"), dressed
    assert dressed.endswith(f"[/code]\n{MARKER}"), dressed
    assert (dressed.count("["), dressed.count("]")) == (2, 2), dressed
    ours, wanted = _Tags(dressed).seen, _Tags(plain).seen
    del ours["p"], wanted["p"]
    assert ours == wanted, dressed


def see_plain(dressed: str, plain: str) -> None:  # noqa: ARG001 - one form for every dress
    """See that an entry without code tags holds no bracket that could begin one."""
    assert not set("[]") & set(dressed), dressed


DRESSES: tuple[tuple[Callable[[Report], str], Callable[[str, str], None]], ...] = (
    (wiki.dress, see_wiki),
    (adf.dress, see_adf),
    (lambda report: note.dress(report, code_tags=True), see_html),
    (lambda report: note.dress(report, code_tags=False), see_plain),
)


def comments_seeds() -> list[bytes]:
    """Return texts that mean something to one of the systems."""
    return [
        b"[click|https://evil.example]\x00[~admin]\x00{code}x{code}\x00h1. big\x00||head||",
        b"<script>alert(1)</script>\x00[/code]<img src=x onerror=y>\x00&#91;code]\x00<!-- x -->",
        "\u202egnp.exe\x00www.evil.example\x00mailto:a@b\x00bridge-01hx9-answered-1\x00\\\\ \\{".encode(),
        b'{"type":"mention"}\x00!x.png!\x00password=hunter2 token: abc\x00HR-1 (!) :)\x00\xff\xed\xa0\x80',
    ]
