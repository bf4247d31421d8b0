"""Writes logs as lines of JSON: one event name and known keys, for our own code and for libraries.

It must not let through a body, a header, ticket text or an exception's message: what is not on the list is
dropped, so that a slip in the code that logs cannot become a leak.
"""

import contextlib
import logging
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

# Each holds a name of ours, a state, a number or an identifier, never text that somebody typed.
KNOWN_KEYS: Final = frozenset(
    {
        "action",
        "attempt",
        "bind",
        "comment",
        "count",
        "delivery",
        "engine",
        "file",
        "head",
        "line",
        "mapping",
        "mapping_set",
        "mode",
        "occasion",
        "part",
        "pid",
        "place",
        "portal",
        "reason",
        "revision",
        "run",
        "runs",
        "scope",
        "seconds",
        "segment",
        "session",
        "setting",
        "source",
        "state",
        "status",
        "ticket",
        "tries",
        "version",
        "way",
    }
)
# Added here, not by the code that logs.
_OWN_KEYS: Final = frozenset(
    {"event", "level", "timestamp", "error", "where", "dropped", "logger", "message"}
)
_KEPT_KEYS: Final = KNOWN_KEYS | _OWN_KEYS

_EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_MAX_TEXT: Final = 200
_FRAMES: Final = 4
# Their lines below a warning tell of processes, addresses and schema versions only.
_OPEN_LIBRARIES: Final = ("gunicorn.error", "alembic.runtime.migration")
_HIDDEN: Final = "…"


class _Lines:
    """Makes loggers that never raise: a disk that is full for logs must not end the thread that logs."""

    def __init__(self, stream: TextIO) -> None:
        self._written = structlog.WriteLogger(stream)

    def __call__(self, *_names: object) -> "_Lines":
        return self

    def msg(self, line: str) -> None:
        """Write a line, or lose it where there is no room."""
        with contextlib.suppress(OSError):
            self._written.msg(line)

    log = debug = info = warning = error = critical = fatal = msg


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Send the logs of this process to `stream` from `level` on (debug, info, warning, error).

    Also takes over the standard library's logging, warnings and what ends a thread or the process.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _name_the_error,
            _keep_what_is_known,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Lines(stream),
    )
    root = logging.getLogger()
    root.handlers[:] = [_ThroughTheList()]
    # A library's information is ours only where it tells of the process.
    root.setLevel(max(number, logging.WARNING))
    for name in _OPEN_LIBRARIES:
        logging.getLogger(name.rstrip(".")).setLevel(max(number, logging.INFO))
    logging.captureWarnings(capture=True)
    sys.excepthook = _process_ended
    threading.excepthook = _thread_ended


class _ThroughTheList(logging.Handler):
    """Hands a library's records to the same pipeline as our own events."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            "library.message",
            logger=record.name,
            message=_library_text(record),
            exc_info=record.exc_info,
        )


def _library_text(record: logging.LogRecord) -> str:
    """Return a record's fixed words and its numbers; other arguments may hold data and are hidden."""
    if record.levelno < logging.WARNING and record.name.startswith(_OPEN_LIBRARIES):
        return record.getMessage()
    text = str(record.msg)
    if not record.args:
        # A text that was put together before it was logged carries its data behind a colon.
        return text.partition(":")[0]
    arguments = record.args
    shown: Any
    if isinstance(arguments, Mapping):
        shown = {key: _number_or_hidden(value) for key, value in arguments.items()}
    else:
        shown = tuple(_number_or_hidden(value) for value in arguments)
    try:
        return str(text % shown)
    except (TypeError, ValueError, KeyError):
        return text


def _number_or_hidden(value: object) -> object:
    return value if isinstance(value, int | float) else _HIDDEN


def _name_the_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its types and the places it came through; its message may hold data."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = " < ".join(_types(error))
        event["where"] = " > ".join(_places(error.__traceback__))
    return event


def _types(error: BaseException) -> list[str]:
    names: list[str] = []
    current: BaseException | None = error
    while current is not None and len(names) < _FRAMES:
        names.append(type(current).__name__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return names


def _places(trace: TracebackType | None) -> list[str]:
    places: list[str] = []
    while trace is not None:
        file = "/".join(Path(trace.tb_frame.f_code.co_filename).parts[-2:])
        places.append(f"{file}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-_FRAMES:]


def _keep_what_is_known(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the keys of the list, with short plain values; name what was dropped."""
    name = str(event.get("event"))
    kept: EventDict = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": name if _EVENT_NAME.fullmatch(name) else "unnamed",
    }
    dropped = []
    for key, value in event.items():
        if key not in _KEPT_KEYS or not isinstance(value, str | int | float | None):
            dropped.append(key)
        elif key not in kept:
            kept[key] = value[:_MAX_TEXT] if isinstance(value, str) else value
    if dropped:
        kept["dropped"] = " ".join(sorted(dropped))[:_MAX_TEXT]
    return kept


def _process_ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process.ended", exc_info=(kind, error, trace))


def _thread_ended(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is None or issubclass(arguments.exc_type, SystemExit):
        return
    structlog.get_logger().critical("thread.ended", exc_info=arguments.exc_value)
