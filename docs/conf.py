"""How Sphinx makes a site of these pages (`make site`).

It must not hold a text of its own: the navigation is the lists of index.md, which read as well without it.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

project = "Nexthink ticket bridge"
extensions = ["myst_parser"]
root_doc = "index"
nitpicky = True
highlight_language = "none"  # a block without a language is what a terminal shows

myst_heading_anchors = 6  # every heading has the anchor that it has in a repository's view

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_search_summary = False  # a browser fetches nothing from a disk, and complains of it
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]

# What would make a browser load something; a link that is followed by hand is none.
_LOADS = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"[^\"]+|<link\b[^>]*\bhref=\"[^\"]+")
_ELSEWHERE = re.compile(r"=\"(?:[a-z]+:)?//")


def navigate(_app: Sphinx, page: str, source: list[str]) -> None:
    """Give the lists of index.md a place in the navigation, and the decisions theirs below their list."""
    if page == "index":
        for section in source[0].split("\n## ")[1:]:
            title = section.partition("\n")[0]
            listed = re.findall(r"^- \[(.+)\]\(([\w/-]+)\.md\)$", section, re.MULTILINE)
            pages = [f"{words} <{name}>" for words, name in listed]
            source[0] += _toctree(pages, f":caption: {title}")
    if page == "adr/README":
        source[0] += _toctree(["0*"], ":glob:")


def _toctree(pages: list[str], option: str) -> str:
    return "\n".join(["\n\n```{toctree}", ":hidden:", option, "", *pages, "```\n"])


def hand_out(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Have a page that lies beside docs/ be handed out as a file, since the site has no page of it."""
    source[0] = re.sub(r"\]\((\.\./[A-Z]+\.md)\)", r"](<path:\1>)", source[0])


def look_for_elsewhere(app: Sphinx, failed: Exception | None) -> None:
    """Refuse a site that makes a browser load from elsewhere: it is read inside companies, and offline."""
    for file in [] if failed else sorted(Path(app.outdir).rglob("*.html")):
        for loads in _LOADS.findall(file.read_text(encoding="utf-8")):
            if _ELSEWHERE.search(loads):
                raise ExtensionError(f"{file.name} loads from elsewhere: {loads}")


def setup(app: Sphinx) -> None:
    """Hear of what Sphinx does."""
    app.connect("source-read", navigate)
    app.connect("source-read", hand_out)
    app.connect("build-finished", look_for_elsewhere)
