"""What a kit is made of, and what is said alike in each.

It must not know a ticket system.
"""

from dataclasses import dataclass

from bridge.kits.needs import Needs
from bridge.settings import SourceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A text to be copied as it is, with a name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to do: what to say of it, names with their values, and what is copied."""

    title: str
    says: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    snippets: tuple[Snippet, ...] = ()


def setting(source: SourceSettings, name: str) -> str:
    """Return the full name of a setting of a source."""
    return f"BRIDGE_SOURCES__{source.name.upper()}__{name}"


def secret(source: SourceSettings, form: str, place: str) -> tuple[str, ...]:
    """Return where a secret of some form is put, here and at the sender's place; never the secret."""
    return (
        f"The secret is not shown here. Make one, {form}, and put it into {place}.",
        f"Put the same into {setting(source, 'SECRETS')} or SECRETS_FILE.",
        "To change it: list the old and the new one in the settings, change it there, remove the old one.",
    )


def is_bearer(source: SourceSettings) -> bool:
    """Say whether a token stands behind the word Bearer."""
    return source.token_header == "authorization"  # noqa: S105 - the name of a header


def what_is_read(found: Needs) -> Step:
    """Return what mappings read of a ticket, and which of them do."""
    return Step(
        title="What the mappings read",
        says=("Nothing else of a ticket decides anything.",),
        rows=tuple((read.path, ", ".join(read.by)) for read in found.reads),
    )


def trying() -> Step:
    """Return how one sees that it works."""
    return Step(
        title="Try it",
        says=(
            "Change a ticket.",
            "What arrived, and what was refused and why, shows with this kit in the console.",
            "Without a console: bridge deliveries, and webhooks:refused in /health.",
        ),
    )
