"""Writes the reference page of the settings and the commented example of a .env file from the settings.

It must not describe a setting in words of its own, so that neither can fall behind the code.
"""

import textwrap

from bridge.settings.describing import SettingDoc, describe

_INTRODUCTION = """\
# Settings

Every setting is an environment variable that starts with `BRIDGE_`. They may stand in a file named `.env`
in the working directory as well, one `NAME=value` a line, the value in single quotes where it holds a space,
a quote or `#`; the environment wins over the file. An empty variable counts as not set.
[`.env.example`](../.env.example) lists them all, ready to be filled in.

- **Names in the middle.** `BRIDGE_SOURCES__JIRA__KIND` describes the source `jira`: the word in the middle is
  yours, in capital letters, and is what mappings call it in small ones (`source: jira`). Two Jira sites are
  two words: `BRIDGE_SOURCES__JIRA_EMEA__…`. The same holds for portals.
- **Secrets from files.** A secret may be given as the path of a file, by the setting that ends in `_FILE`.
  These files are read again when they change, so a password is replaced without a restart. While a changed
  file cannot be read, the last good secret stays in force, and the log says so (`settings.refused`).
- **Durations** are a number and a unit: `90s`, `30m`, `24h`, `7d`. **on, off** may be true and false, too.
- **Problems** are told all at once when the bridge starts, each by its variable's name, never with a value. A
  variable that starts with `BRIDGE_` and is no setting is a problem, for it is a typing mistake.
- `bridge config` prints what is in force, with secrets masked.

This page is made from the code by `make docs`.
"""

_SECTIONS = (
    ("BRIDGE_", "The bridge itself", "One value each, for all sources and portals."),
    (
        "BRIDGE_SOURCES__<NAME>__",
        "A source: Jira or ServiceNow",
        "One set for each site that sends webhooks to `/webhooks/<name>` and gets comments back.",
    ),
    (
        "BRIDGE_PORTALS__<NAME>__",
        "A portal: Nexthink",
        "One set for each Nexthink portal that runs remote actions.",
    ),
)

_EXAMPLE_INTRODUCTION = """\
# Copy this file to .env, delete the block of the ticket system that you do not use, fill in what is
# empty and has no #, and take the # away from what you want to change.
# What stands behind a # is the default, if there is one. docs/settings.md explains each.
# Mappings that name devices by their names need NXQL_URL and ENGINE_HOSTS of the portal, too.
# JIRA, SERVICENOW and MAIN are names of your choice; mappings use them in small letters.
"""

_EXAMPLE_TITLES = {
    "JIRA": "Jira, a source named JIRA: delete this block if you have no Jira",
    "SERVICENOW": "ServiceNow, a source named SERVICENOW: delete this block if you have no ServiceNow",
    "MAIN": "Nexthink, a portal named MAIN",
}

# What everybody fills in, so it stands there without a #; empty, so that what is forgotten is told at the
# start: an address that only looks right would be called, and nothing would come of it.
_TO_FILL_IN = {
    "BRIDGE_SOURCES__JIRA__KIND": "jira",
    "BRIDGE_SOURCES__JIRA__BASE_URL": "",
    "BRIDGE_SOURCES__JIRA__VERIFY": "hmac",
    "BRIDGE_SOURCES__JIRA__SECRETS": "",
    "BRIDGE_SOURCES__JIRA__USERNAME": "",
    "BRIDGE_SOURCES__JIRA__TOKEN": "",
    "BRIDGE_SOURCES__SERVICENOW__KIND": "servicenow",
    "BRIDGE_SOURCES__SERVICENOW__BASE_URL": "",
    "BRIDGE_SOURCES__SERVICENOW__VERIFY": "standard",
    "BRIDGE_SOURCES__SERVICENOW__SECRETS": "",
    "BRIDGE_SOURCES__SERVICENOW__USERNAME": "",
    "BRIDGE_SOURCES__SERVICENOW__PASSWORD": "",
    "BRIDGE_PORTALS__MAIN__BASE_URL": "",
    # A portal of which nothing is said is none, and what it lacks would not be told.
    "BRIDGE_PORTALS__MAIN__USERNAME": "bridge",
    "BRIDGE_PORTALS__MAIN__PASSWORD": "",
}
# Settings of the other kind of ticket system are left out of a source's example.
_ONLY = {"JIRA": "ServiceNow only", "SERVICENOW": "Jira only"}


def settings_page() -> str:
    """Return docs/settings.md."""
    parts = [_INTRODUCTION]
    for prefix, title, introduction in _SECTIONS:
        parts.append(f"## {title}\n\n{introduction}\n")
        parts += [_entry(doc) for doc in describe() if _prefix(doc) == prefix]
    return "\n".join(parts)


def env_example() -> str:
    """Return .env.example."""
    lines = [_EXAMPLE_INTRODUCTION]
    for prefix, title, _ in _SECTIONS:
        docs = [doc for doc in describe() if _prefix(doc) == prefix]
        for chosen in _chosen_names(prefix):
            lines.append(f"\n# ── {_EXAMPLE_TITLES.get(chosen, title)} ──\n")
            lines += [_line(doc, chosen) for doc in docs if not _is_of_other_kind(doc, chosen)]
    return "\n".join(lines)


def _prefix(doc: SettingDoc) -> str:
    head, name, _ = doc.name.rpartition("<NAME>__")
    return head + name if name else "BRIDGE_"


def _entry(doc: SettingDoc) -> str:
    facts = [doc.type]
    if doc.secret:
        facts.append("secret")
    if doc.required:
        facts.append(f"required, or `{doc.name}_FILE`" if doc.secret else "required")
    elif doc.default:
        facts.append(f"default `{doc.default}`")
    return f"### `{doc.name}`\n\n{doc.description}\n\n*{'; '.join(facts)}*\n"


def _chosen_names(prefix: str) -> tuple[str, ...]:
    if "SOURCES" in prefix:
        return ("JIRA", "SERVICENOW")
    return ("MAIN",) if "PORTALS" in prefix else ("",)


def _is_of_other_kind(doc: SettingDoc, chosen: str) -> bool:
    return chosen in _ONLY and doc.description.startswith(_ONLY[chosen])


def _line(doc: SettingDoc, chosen: str) -> str:
    name = doc.name.replace("<NAME>", chosen)
    description = textwrap.fill(doc.description, width=108, initial_indent="# ", subsequent_indent="# ")
    if name in _TO_FILL_IN:
        return f"{description}\n{name}={_TO_FILL_IN[name]}\n"
    return f"{description}\n#{name}={doc.default or ''}\n"
