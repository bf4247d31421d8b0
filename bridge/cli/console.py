"""Commands about who may use the console: `console password`, `console people`, `console sign-out`.

They must not take a password from the command line, nor show one.
"""

import sys

import click

from bridge.bootstrap.people import check_people
from bridge.cli.opening import bridge_to_act, read_settings
from bridge.cli.options import act_of, json_option, reason_option
from bridge.cli.showing import as_json, line
from bridge.cli.tables import table
from bridge.errors import NotPossible
from bridge.ledger import sign_ins
from bridge.passwords import Passwords
from bridge.people_file import User


@click.group()
def console() -> None:
    """Say who may use the console: passwords for the file of people, a check of it, and who must leave."""


@console.command()
def password() -> None:
    """Ask for a new password and print its hash, which goes into the file of people.

    At a terminal the password is asked for twice and not shown; otherwise it is read from the standard input.
    """
    if sys.stdin.isatty():
        given = str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    line(Passwords().hashed(given))


@console.command()
@json_option
def people(for_programs: bool) -> None:
    """Check the file of people and show who may what, and by which ways in they could come."""
    found = check_people(read_settings())
    rows = [(user, _proofs(user)) for user in found.values()]
    if for_programs:
        as_json(
            [
                {
                    "name": user.visitor.name,
                    "roles": sorted(user.visitor.roles),
                    "identities": user.visitor.identities,
                    "password": user.password is not None,
                    "tokens": sorted(user.tokens),
                }
                for user, _ in rows
            ]
        )
        return
    table(
        ("name", "roles", "identities", "proofs in the file"),
        [
            (
                user.visitor.name,
                ", ".join(sorted(user.visitor.roles)),
                ", ".join(f"{one.source}={one.text}" for one in user.visitor.identities),
                proofs,
            )
            for user, proofs in rows
        ],
    )


@console.command("sign-out")
@click.argument("name")
@reason_option
def sign_out(name: str, reason: str, author: str | None) -> None:
    """Sign a person out everywhere, at once and on every host.

    They can sign in again: to keep them out, take them out of the file of people as well.
    """
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        ended = bridge.ledger.write(sign_ins.end_all, name=name, act=act)
    if not ended:
        raise NotPossible(f"{name} is not signed in")
    line(f"{name} is signed out ({ended}).")


def _proofs(user: User) -> str:
    passwords = () if user.password is None else ("password",)
    return ", ".join((*passwords, *(f"token {name}" for name in sorted(user.tokens))))
