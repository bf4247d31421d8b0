"""Hands statements that are built once to the driver: SQLAlchemy writes each of them once for a database.

It must not build a statement. SQLAlchemy's own work around each execution takes several times as long as
SQLite's, so what runs for every event goes this way; what runs seldom goes through the connection.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

# One statement for both databases, or one for each by the name of its dialect.
Statement: TypeAlias = Executable | Mapping[str, Executable]
Row: TypeAlias = dict[str, Any]
_Processor: TypeAlias = Callable[[Any], Any] | None

INSERTS: Final[Mapping[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def on_each(build: Callable[[Any], Executable]) -> dict[str, Executable]:
    """Build a statement for each database out of its own `insert`, which knows ON CONFLICT."""
    return {name: build(insert) for name, insert in INSERTS.items()}


def locking(query: Any) -> dict[str, Executable]:
    """Let nobody change what a query reads until the transaction ends; SQLite has one writer."""
    return {"sqlite": query, "postgresql": query.with_for_update()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A statement as the driver takes it, with what turns values into the driver's and back."""

    sql: str
    binds: tuple[tuple[str, _Processor], ...]  # where the driver takes them by place: in that order
    fixed: Mapping[str, Any]  # values that stand in the statement itself, turned already
    results: tuple[tuple[str, _Processor], ...]
    positional: bool

    def bound(self, values: Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
        """Return the values of one execution in the driver's form."""
        fixed = self.fixed
        if self.positional:
            return [
                fixed[name] if name in fixed else process(values[name]) if process else values[name]
                for name, process in self.binds
            ]
        given = {name: process(values[name]) if process else values[name] for name, process in self.binds}
        return {**given, **fixed}

    def read(self, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """Return the driver's rows by column name."""
        return [
            {
                name: value if process is None else process(value)
                for (name, process), value in zip(self.results, row, strict=True)
            }
            for row in rows
        ]


class Preparing:
    """The prepared statements of one database; threads share it."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        # Two threads that meet a new statement together both prepare it, to the same end.
        # The statement is kept beside what became of it, so that no other can get its identity.
        self._prepared: dict[tuple[int, tuple[str, ...]], tuple[Prepared, Statement]] = {}

    def of(self, statement: Statement, names: tuple[str, ...]) -> Prepared:
        """Return a statement with parameters of these names; it must be one that is built once.

        What is set by an UPDATE or INSERT without values of its own is what the parameters name.
        """
        key = (id(statement), names)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = (self._prepare(statement, names), statement)
        return found[0]

    def _prepare(self, statement: Statement, names: tuple[str, ...]) -> Prepared:
        chosen: Any = statement[self._dialect.name] if isinstance(statement, Mapping) else statement
        compiled = chosen.compile(dialect=self._dialect, column_keys=list(names))
        assert isinstance(compiled, SQLCompiler)
        # A list of values is written into the statement anew for every length: not one that is built once.
        assert not compiled.post_compile_params, "an expanding parameter cannot be prepared"
        binds = {name: self._binding(bind.type) for bind, name in compiled.bind_names.items()}
        fixed = {
            name: value if (process := binds[name]) is None else process(value)
            for name, value in compiled.params.items()
            if name not in names
        }
        columns = getattr(chosen, "exported_columns", ())
        taken = compiled.positiontup or [name for name in binds if name not in fixed]
        return Prepared(
            sql=compiled.string,
            binds=tuple((name, binds[name]) for name in taken),
            fixed=fixed,
            results=tuple((column.name, self._result(column.type)) for column in columns),
            positional=compiled.positional,
        )

    def _binding(self, kind: TypeEngine[Any]) -> _Processor:
        return kind.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _result(self, kind: TypeEngine[Any]) -> _Processor:
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, None)
