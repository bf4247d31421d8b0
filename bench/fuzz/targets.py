"""Every target by its name: how it is made, which is done once, and what it starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.fuzz import answers, comments, incoming, mapping_files, questions


def _blindly() -> Callable[[bytes, Random], bytes | None]:
    return lambda _data, _chance: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`make` returns a function that takes bytes and raises where something is wrong.

    `alter` returns a function that changes an input with regard to its form, and None where it has none.
    """

    make: Callable[[], Callable[[bytes], None]]
    seeds: Callable[[], list[bytes]]
    alter: Callable[[], Callable[[bytes, Random], bytes | None]] = _blindly


TARGETS = {
    "proofs": Target(make=incoming.proofs, seeds=incoming.proofs_seeds),
    "deliveries": Target(make=incoming.deliveries, seeds=incoming.deliveries_seeds),
    "mapping-files": Target(
        make=mapping_files.mapping_files,
        seeds=mapping_files.mapping_files_seeds,
        alter=mapping_files.nearly_right_files,
    ),
    "questions": Target(make=questions.questions, seeds=questions.questions_seeds),
    "comments": Target(make=comments.comments, seeds=comments.comments_seeds),
    "nexthink-answers": Target(make=answers.nexthink_answers, seeds=answers.nexthink_answers_seeds),
    "ticket-answers": Target(make=answers.ticket_answers, seeds=answers.ticket_answers_seeds),
}
