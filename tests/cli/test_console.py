"""`console`: hashes of passwords, and the file of people checked and shown."""

import json
from datetime import timedelta

import jsonschema
import pytest

from bridge.ledger import sign_ins
from bridge.passwords import Passwords
from bridge.roles import Way

PASSWORD = "canary horse battery"
PEOPLE = """\
version: 1
people:
  grace@example.com:
    roles: [viewer]
  ada:
    roles: [operator, administrator]
    identities: {jira: 5b10ac8d82e05b22cc7d4e01, servicenow: [ada.example, ada@example.com]}
    password: %s
    tokens: [ada.2026]
"""


@pytest.fixture
def hashed(home):
    return home.run("console", "password", given=f"{PASSWORD}\n").stdout.strip()


@pytest.fixture
def signing_in(home, hashed):
    """A home whose console is on."""
    file = home.folder / "people.yaml"
    file.write_text(PEOPLE % hashed)
    file.chmod(0o600)
    home.write_settings(
        BRIDGE_CONSOLE="on",
        BRIDGE_CONSOLE_PEOPLE=str(file),
        BRIDGE_CONSOLE_SECRET="console-secret-of-more-than-32-characters",
        BRIDGE_CONSOLE_SIGN_IN="password,token",
    )
    return home


def test_a_password_becomes_a_hash_that_it_fits_and_is_not_shown(hashed):
    assert Passwords().fits(hashed, PASSWORD)
    assert "canary" not in hashed


def test_a_password_that_is_short_is_refused_and_not_repeated(home):
    result = home.run("console", "password", given="canary\n", code=1)
    assert result.stderr == "a password has 12 to 256 characters\n"


def test_the_people_are_shown_with_their_roles_and_no_hash(signing_in, hashed):
    ada, grace = sorted(signing_in.json("console", "people"), key=lambda one: one["name"])
    assert ada["roles"] == ["administrator", "operator"]
    assert [one["text"] for one in ada["identities"]][1:] == ["ada.example", "ada@example.com"]
    assert (ada["password"], ada["tokens"]) == (True, ["ada.2026"])
    assert (grace["password"], grace["tokens"]) == (False, ["grace@example.com"])
    shown = signing_in.run("console", "people").stdout
    assert "token ada.2026" in shown
    assert hashed not in shown


def test_what_is_wrong_in_the_file_is_told_with_its_place(signing_in):
    file = signing_in.folder / "people.yaml"
    file.write_text(file.read_text().replace("[viewer]", "[vewer]").replace("jira:", "jria:"))
    result = signing_in.run("console", "people", code=1)
    assert "people.yaml:4:13: this entry cannot be 'vewer' (did you mean 'viewer'?)" in result.stderr
    file.unlink()
    assert "people.yaml: cannot be read" in signing_in.run("console", "people", code=1).stderr


def test_without_a_file_of_people_that_is_said(home):
    assert "BRIDGE_CONSOLE_PEOPLE: is not set" in home.run("console", "people", code=1).stderr


def test_who_is_signed_out_is_so_everywhere(signing_in):
    signing_in.migrate()
    with signing_in.ledger() as opened:
        ledger = opened.ledger
        given = {"way": Way.OIDC, "proof": None, "lasting": timedelta(hours=1), "instead_of": None}
        for digest, name in (("a" * 64, "ada"), ("b" * 64, "ada"), ("c" * 64, "grace@example.com")):
            ledger.write(sign_ins.begin, digest=digest, name=name, **given)
        out = signing_in.run("console", "sign-out", "ada", "--reason", "lost her laptop")
        assert out.stdout == "ada is signed out (2).\n"
        standing = [ledger.read(sign_ins.standing, digest=digest * 64) for digest in "abc"]
    assert [one.name if one else None for one in standing] == [None, None, "grace@example.com"]
    again = signing_in.run("console", "sign-out", "ada", "--reason", "lost her laptop", code=1)
    assert again.stderr == "ada is not signed in\n"


def test_the_schema_of_the_people_is_for_editors_as_well(signing_in):
    schema = json.loads(signing_in.run("schema", "people").stdout)
    good = {
        "version": 1,
        "people": {"ada": {"roles": ["viewer"], "identities": {"jira": ["ada", "a@b.example"]}}},
    }
    jsonschema.Draft202012Validator(schema).validate(good)
    written = signing_in.run("schema", "people", "--write", str(signing_in.folder)).stdout
    assert (signing_in.folder / "people.schema.json").exists()
    assert "# yaml-language-server: $schema=people.schema.json    (the file of people)" in written


def findings(home):
    return [
        (one["state"], one["detail"]) for one in home.json("doctor", code=1) if one["subject"] == "console"
    ]


def test_the_doctor_looks_at_the_people(signing_in):
    file = signing_in.folder / "people.yaml"
    assert findings(signing_in) == [("good", f"2 people in {file}")]
    file.write_text(file.read_text().replace(", administrator", ""))
    file.chmod(0o644)
    assert findings(signing_in) == [("warning", f"2 people in {file}, none of them an administrator")]
    assert f"others on this host can read {file}" in signing_in.run("doctor", code=1).stdout
    file.write_text("people: x")
    ((state, _),) = findings(signing_in)
    assert state == "bad"
