"""What a log line may hold, tried in processes of their own: logging is configured for a whole process."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SECRET = "canary-5f3a"


def lines_of(code: str, level: str = "info") -> list[dict[str, Any]]:
    """Run code in a fresh Python with logs configured and return what it logged, line by line."""
    head = f"import logging, threading, structlog\nfrom bridge import logs\nlogs.configure({level!r})\n"
    head += f"log = structlog.get_logger()\nSECRET = {SECRET!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert SECRET not in done.stderr + done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_an_event_is_one_line_of_json_with_its_name_level_time_and_keys() -> None:
    (line,) = lines_of("log.warning('run.refused', run='r1', ticket='SUP-1', attempt=2, reason='rejected')")
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "event": "run.refused",
        "level": "warning",
        "run": "r1",
        "ticket": "SUP-1",
        "attempt": 2,
        "reason": "rejected",
    }


def test_a_key_that_is_not_on_the_list_is_dropped_and_named() -> None:
    (line,) = lines_of("log.info('x', body=SECRET, headers={'a': SECRET}, run='r1')")
    assert line["dropped"] == "body headers"
    assert line["run"] == "r1"


def test_a_value_that_is_not_plain_is_dropped() -> None:
    (line,) = lines_of("log.info('x', ticket={'summary': SECRET}, run=[SECRET])")
    assert line["dropped"] == "run ticket"


def test_an_event_name_made_from_data_is_not_written() -> None:
    (line,) = lines_of("log.info(f'found {SECRET}')")
    assert line["event"] == "unnamed"


def test_a_long_value_is_cut_and_a_new_line_cannot_start_a_second_line() -> None:
    (line,) = lines_of(r"log.info('x', file='a\n{}' + 'b' * 500)")
    assert line["file"].startswith("a\n{}b")
    assert len(line["file"]) == 200


def test_an_exception_shows_types_and_places_but_no_message_and_no_values() -> None:
    (line,) = lines_of(
        """
        def inner(password):
            raise ValueError(SECRET)
        try:
            try:
                inner(SECRET)
            except ValueError as error:
                raise RuntimeError(SECRET) from error
        except RuntimeError:
            log.exception('worker.failed', run='r1')
        """
    )
    assert line["error"] == "RuntimeError < ValueError"
    assert line["where"].startswith("<string>:")
    assert "Traceback" not in json.dumps(line)


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("raise ValueError(SECRET)", "process.ended"),
        (
            "def work():\n    raise ValueError(SECRET)\nt = threading.Thread(target=work)\nt.start()",
            "thread.ended",
        ),
    ],
)
def test_what_ends_a_process_or_a_thread_is_logged_without_its_message(code: str, event: str) -> None:
    (line,) = lines_of(code)
    assert (line["event"], line["error"], line["level"]) == (event, "ValueError", "critical")


def test_a_library_shows_its_words_and_numbers_but_no_text_arguments() -> None:
    (line,) = lines_of(
        "logging.getLogger('urllib3.connectionpool').warning('Retry %d after %s: %s', 2, SECRET, SECRET)"
    )
    assert (line["event"], line["logger"]) == ("library.message", "urllib3.connectionpool")
    assert line["message"] == "Retry 2 after …: …"


def test_a_library_text_that_was_put_together_before_is_cut_at_its_data() -> None:
    (line,) = lines_of(
        "logging.getLogger('gunicorn.error').warning(f'Invalid request from ip=192.0.2.1: Bearer {SECRET}')"
    )
    assert line["message"] == "Invalid request from ip=192.0.2.1"


def test_a_library_exception_shows_its_type_only() -> None:
    (line,) = lines_of(
        """
        try:
            raise KeyError(SECRET)
        except KeyError:
            logging.getLogger('app').exception('failed on %(path)s', {'path': SECRET})
        """
    )
    assert (line["message"], line["error"]) == ("failed on …", "KeyError")


def test_information_comes_from_the_server_and_the_migrations_but_not_from_other_libraries() -> None:
    lines = lines_of(
        """
        logging.getLogger('gunicorn.error').info('Listening at: %s (%s)', 'http://127.0.0.1:8080', 7)
        logging.getLogger('alembic.runtime.migration').info('Running upgrade %s -> %s', '0001', '0002')
        logging.getLogger('urllib3').info('hello')
        """
    )
    assert [line["message"] for line in lines] == [
        "Listening at: http://127.0.0.1:8080 (7)",
        "Running upgrade 0001 -> 0002",
    ]


def test_a_python_warning_is_a_line_of_json_too() -> None:
    (line,) = lines_of("import warnings; warnings.warn(SECRET)")
    assert line["logger"] == "py.warnings"


def test_nothing_below_the_level_is_written() -> None:
    lines = lines_of("log.info('a'); log.warning('b'); log.error('c')", level="warning")
    assert [line["event"] for line in lines] == ["b", "c"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_line_for_which_there_is_no_room_is_lost_and_raises_nothing() -> None:
    code = """
    import os, structlog
    from bridge import logs
    logs.configure("info", open("/dev/full", "w"))
    structlog.get_logger().warning("ledger.write_failed", reason="OperationalError")
    print("went on", flush=True)
    os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "went on\n"
