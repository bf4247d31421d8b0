"""Checks a comment in the Atlassian Document Format and reads its plain text.

It must not accept a node that the published schema refuses; nodes that no comment of ours needs are left out.
"""

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator


def validator() -> Draft202012Validator:
    """Return the schema of a comment, ready to check documents."""
    text = files(__package__).joinpath("adf.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def problem(document: object, schema: Draft202012Validator) -> str | None:
    """Say where a document is not valid, or None."""
    error = next(schema.iter_errors(document), None)
    if error is None:
        return None
    place = "/".join(str(part) for part in error.absolute_path)
    return f"at /{place}: {error.validator}"


def text_of(node: Any) -> str:
    """Return the texts of a document, one block on each line."""
    if isinstance(node, list):
        return "".join(text_of(child) for child in node)
    kind = node.get("type")
    if kind == "text":
        return str(node["text"])
    if kind == "status":
        return str(node["attrs"]["text"])
    title = node.get("attrs", {}).get("title", "") if kind == "expand" else ""
    inside = text_of(node.get("content", []))
    ends = "\n" if kind in {"paragraph", "heading", "codeBlock", "hardBreak"} else ""
    return (f"{title}\n" if title else "") + inside + ends


def document_of(text: str) -> dict[str, Any]:
    """Return a document with one paragraph for each line of a plain text."""
    paragraphs: list[dict[str, Any]] = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}]}
        for line in text.splitlines()
        if line
    ]
    return {"version": 1, "type": "doc", "content": paragraphs}
