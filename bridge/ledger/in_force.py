"""What every process must agree on: the mapping set in force (A5), our own accounts (A3), facts.

It must not judge a mapping set; it keeps what was accepted.
"""

from typing import Any, Final

from sqlalchemy import bindparam, delete, select

from bridge.ledger import Tx
from bridge.ledger.codec import PERSON, to_text
from bridge.ledger.prepared import on_each
from bridge.ledger.tables import accounts, facts, mapping_sets
from bridge.models import Person, SourceName

MAPPING_SET_FACT = "mapping_set"


def _putting(insert: Any) -> Any:
    """Build the statement that writes a fact, or overwrites it."""
    statement = insert(facts)
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": statement.excluded.value, "at": statement.excluded.at}
    )


# Built once: every process looks every second.
_ACCOUNTS: Final = select(accounts.c.source, accounts.c.person)
_FACT: Final = select(facts.c.value).where(facts.c.name == bindparam("of_name"))
_PUT_FACT: Final = on_each(_putting)


def accept_mapping_set(tx: Tx, *, set_hash: str, texts: str, by: str) -> None:
    """Keep a mapping set and put it in force for every process (A5)."""
    tx.connection.execute(
        tx.insert(mapping_sets)
        .values(hash=set_hash, texts=texts, accepted_at=tx.now, accepted_by=by)
        .on_conflict_do_nothing()
    )
    put_fact(tx, name=MAPPING_SET_FACT, value=set_hash)
    tx.audit("mapping_set", about=set_hash, detail={"host": by})


def mapping_set_in_force(tx: Tx) -> str | None:
    """Return the hash of the mapping set in force; None where none was ever accepted."""
    return get_fact(tx, name=MAPPING_SET_FACT)


def mapping_texts(tx: Tx, *, set_hash: str) -> str:
    """Return the texts of a mapping set as JSON."""
    found = tx.connection.execute(select(mapping_sets.c.texts).where(mapping_sets.c.hash == set_hash))
    return str(found.scalar_one())


def put_account(tx: Tx, *, source: SourceName, person: Person) -> None:
    """Remember our own account in a ticket system."""
    values = {"person": to_text(PERSON, person), "asked_at": tx.now}
    tx.connection.execute(
        tx.insert(accounts)
        .values(source=source, **values)
        .on_conflict_do_update(index_elements=["source"], set_=values)
    )


def own_accounts(tx: Tx) -> dict[SourceName, Person]:
    """Return our own account for each source where it is known."""
    rows = tx.run(_ACCOUNTS, {})
    return {SourceName(row["source"]): PERSON.validate_json(row["person"]) for row in rows}


def put_fact(tx: Tx, *, name: str, value: str) -> None:
    """Write something that the ledger knows of itself."""
    tx.run(_PUT_FACT, {"name": name, "value": value, "at": tx.now})


def drop_fact(tx: Tx, *, name: str) -> None:
    """Forget something that does not hold any more."""
    tx.connection.execute(delete(facts).where(facts.c.name == name))


def get_fact(tx: Tx, *, name: str) -> str | None:
    """Return something that the ledger knows of itself."""
    found: str | None = tx.value(_FACT, {"of_name": name})
    return found
