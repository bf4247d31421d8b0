"""What the columns of a task may hold: choices with their labels, references with their names.

It must not refuse a name that nobody bears: the real one may leave the column empty and say nothing.
"""

from collections.abc import Mapping

from bridge.sandbox.servicenow.records import JOURNAL, Instance, Record, Value, plain

# Columns that point to another table, beside those that a record shows to do so.
_REFERENCES = {"assigned_to": "sys_user", "assignment_group": "sys_user_group"}


def read(instance: Instance, record: Record, fields: Mapping[str, str], *, named: bool) -> dict[str, Value]:
    """Return written fields as a record holds them; `named` says that they are given as people see them."""
    return {name: _value(instance, record, name, text, named=named) for name, text in fields.items()}


def _value(instance: Instance, record: Record, name: str, text: str, *, named: bool) -> Value:
    table = record.columns[name].reference if name in record.columns else _REFERENCES.get(name)
    if name in JOURNAL or not text:
        return plain(text)
    if table is not None:
        found = next((row for row in instance.rows(table) if _is(row, text, named=named)), None)
        if found is None:
            return Value(value="", display="", reference=table)
        return Value(value=found.sys_id, display=found.text("name"), reference=table)
    for choice in instance.rows("sys_choice"):
        if (choice.text("name"), choice.text("element")) != (record.table, name):
            continue
        if choice.text("label" if named else "value") == text:
            return Value(value=choice.text("value"), display=choice.text("label"))
    return plain(text)


def _is(row: Record, text: str, *, named: bool) -> bool:
    return (row.text("name") if named else row.sys_id) == text
