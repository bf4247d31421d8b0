"""Writes endpoints.md from openapi.json, which the tests hold to the running program.

It must not say anything that openapi.json does not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

_HEAD = """# Endpoints

This page is made from [openapi.json](openapi.json) (OpenAPI 3.1), to which the tests hold every answer.
Who has to reach which of them is in [operations](operations.md#endpoints); the pages for people are in
[the console](console.md).
"""


def markdown(described: dict[str, Any]) -> str:
    """Return the whole page."""
    parts = described["components"]
    lines = [_HEAD, described["info"]["description"], ""]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            lines += _endpoint(f"{method.upper()} {path}", operation, parts["responses"])
    lines += ["## Bodies", ""]
    for name, schema in parts["schemas"].items():
        lines += _body(name, schema)
    return "\n".join(lines)


def _endpoint(name: str, operation: dict[str, Any], shared: dict[str, Any]) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield " ".join(filter(None, (operation["summary"], operation.get("description"))))
    yield "\n| status | meaning | type | body |\n| --- | --- | --- | --- |"
    for status, answer in operation["responses"].items():
        said = shared[_last(answer)] if "$ref" in answer else answer
        ((kind, content),) = said["content"].items()
        form = content.get("schema", {})
        body = f"[{_last(form)}](#{_last(form).lower()})" if "$ref" in form else form.get("type", "text")
        headers = "".join(f"; with `{header}`" for header in said.get("headers", {}))
        yield f"| {status} | {said['description'].rstrip('.')}{headers} | `{kind}` | {body} |"
    yield ""


def _body(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n| key | value | always there |\n| --- | --- | --- |"
    for key, form in schema["properties"].items():
        yield f"| `{key}` | {_value(form)} | {'yes' if key in schema['required'] else 'no'} |"
    yield ""


def _value(form: dict[str, Any]) -> str:
    if "const" in form:
        return f"`{form['const']}`"
    if "enum" in form:
        return ", ".join(f"`{value}`" for value in form["enum"])
    kind = form["type"]
    if kind == "array":
        return f"list of {form['items']['type']}s"
    return " or ".join([kind] if isinstance(kind, str) else kind)


def _last(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


if __name__ == "__main__":
    described = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
    (HERE / "endpoints.md").write_text(markdown(described), encoding="utf-8")
