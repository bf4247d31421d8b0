"""Who may: each way proves who somebody is, roles come from the file alone, and every sign-in ends."""

import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import select

from bridge.connections import Connections
from bridge.errors import ConfigurationError, NotPossible, Reason, SignInRefused
from bridge.ledger import sign_ins
from bridge.ledger.people import Act
from bridge.ledger.tables import audit, totals
from bridge.ledger.tables import sign_ins as table
from bridge.models import Identity, SourceName
from bridge.passwords import PLACES, Passwords, is_hash
from bridge.people_file import LOOK_SECONDS, LivePeople, load
from bridge.roles import Role, Way
from bridge.signing_in import SigningIn
from bridge.tokens import Tokens
from bridge.tries import OF_A_NAME, OF_A_PEER, Tries

PASSWORD = "correct horse battery"
SOURCES = (SourceName("jira"), SourceName("servicenow"))
PEER = "192.0.2.7"
ACT = Act(author="administrator", reason="new")


@pytest.fixture(scope="module")
def passwords():
    return Passwords()


@pytest.fixture(scope="module")
def hashed(passwords):
    return passwords.hashed(PASSWORD)


class Door:
    """The use cases of who may, with the file that they read."""

    def __init__(self, ledger, folder: Path, passwords: Passwords, hashed: str) -> None:
        self.ledger = ledger
        self.file = folder / "people.yaml"
        self.hashed = hashed
        self.people(ada=f"roles: [operator], password: '{hashed}'", grace="roles: [approver]")
        self.live = LivePeople(self.file, sources=SOURCES)
        self.tokens = Tokens(
            ledger=ledger, connections=lambda: Connections(sources=dict.fromkeys(SOURCES), portals={})
        )
        self.passwords = passwords
        self.tried_anew()

    def tried_anew(self, ways=frozenset(Way)):
        self.signing_in = SigningIn(
            ledger=self.ledger,
            people=self.live.current,
            tokens=self.tokens,
            passwords=self.passwords,
            tries=Tries(),
            ways=ways,
            lasting=timedelta(hours=8),
        )

    def people(self, **entries: str) -> None:
        lines = [f"  {name}: {{{entry}}}" for name, entry in entries.items()]
        written = self.file.with_suffix(".new")
        written.write_text("\n".join(["version: 1", "people:", *lines]))
        written.replace(self.file)

    def by_password(self, name="ada", password=PASSWORD, before=None):
        return self.signing_in.by_password(name, password, peer=PEER, before=before)

    def token(self, name, lasting=timedelta(days=1)):
        known = (Identity(source=SourceName("jira"), text="someone@example.com"),)
        return self.tokens.make(name, known, lasting=lasting, act=ACT)[0]

    def rows(self):
        with self.ledger.engine.connect() as connection:
            return connection.execute(select(table)).all()

    def audited(self):
        with self.ledger.engine.connect() as connection:
            return Counter(connection.execute(select(audit.c.event)).scalars())


@pytest.fixture
def door(ledger, tmp_path, passwords, hashed):
    return Door(ledger, tmp_path, passwords, hashed)


def refused(call, *given, **named):
    with pytest.raises(SignInRefused) as raised:
        call(*given, **named)
    return raised.value


# ── ways ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_password_lets_in_and_only_a_digest_of_what_stands_for_it_is_kept(door):
    secret = door.by_password()
    visitor = door.signing_in.visitor(secret)
    assert (visitor.name, visitor.roles) == ("ada", {Role.OPERATOR})
    (row,) = door.rows()
    assert secret not in str(row)
    assert door.hashed not in str(row)
    assert row.expires_at - row.made_at == timedelta(hours=8)
    assert door.audited()["signed_in"] == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ada", ""), ("ada", PASSWORD + " "), ("ada", "x" * 100_000), ("Ada", PASSWORD),
     ("grace", PASSWORD), ("grace", ""), ("nobody", PASSWORD), ("", ""), ("\ud800", "\x00")],
)  # fmt: skip
def test_a_wrong_name_or_password_is_refused_in_the_same_words(door, name, password):
    told = refused(door.by_password, name, password)
    assert told.reason is Reason.NOT_KNOWN
    assert str(told) == "This name and password do not belong together."
    assert door.rows() == []


def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(door):
    taken = {"ada": [], "nobody": [], "grace": []}
    for _ in range(9):
        door.tried_anew()
        for name, seconds in taken.items():
            began = time.perf_counter()
            refused(door.by_password, name, "wrong wrong wrong")
            seconds.append(time.perf_counter() - began)
    middle = {name: median(seconds) for name, seconds in taken.items()}
    # Without the work for nobody the difference is a factor of hundreds.
    assert max(middle.values()) < 3 * min(middle.values()), middle


def test_a_token_lets_in_whose_it_is_with_the_roles_of_the_file(door):
    visitor = door.signing_in.visitor(door.signing_in.by_token(door.token("grace"), peer=PEER, before=None))
    assert (visitor.name, visitor.roles, visitor.identities) == ("grace", {Role.APPROVER}, ())


def test_a_token_may_have_another_name_where_the_file_says_so(door):
    door.people(grace="roles: [viewer], tokens: [grace.2026]")
    secret = door.signing_in.by_token(door.token("grace.2026"), peer=PEER, before=None)
    assert door.signing_in.visitor(secret).name == "grace"


def test_a_token_of_nobody_in_the_file_lets_nobody_in(door):
    assert refused(door.signing_in.by_token, door.token("linus"), peer=PEER, before=None).reason is (
        Reason.NO_SUCH_PERSON
    )
    assert refused(door.signing_in.by_token, "bridge_x", peer=PEER, before=None).reason is Reason.NOT_KNOWN


def test_a_token_that_is_revoked_or_expires_ends_what_it_began(door, clock):
    first = door.signing_in.by_token(door.token("grace"), peer=PEER, before=None)
    door.people(grace="roles: [viewer], tokens: [grace, short]")
    second = door.signing_in.by_token(
        door.token("short", lasting=timedelta(minutes=30)), peer=PEER, before=None
    )
    assert door.signing_in.visitor(first)
    assert door.signing_in.visitor(second)
    door.tokens.revoke("grace", act=ACT)
    assert door.signing_in.visitor(first) is None
    clock.move(minutes=30)
    assert door.signing_in.visitor(second) is None


def test_who_is_named_from_outside_must_stand_in_the_file(door):
    assert door.signing_in.through_proxy("grace").roles == {Role.APPROVER}
    assert door.signing_in.visitor(door.signing_in.by_provider("ada", before=None)).name == "ada"
    for call in (door.signing_in.through_proxy, lambda name: door.signing_in.by_provider(name, before=None)):
        assert refused(call, "mallory").reason is Reason.NO_SUCH_PERSON


def test_a_way_that_is_not_configured_lets_nobody_in(door):
    token = door.token("grace")
    door.tried_anew(ways=frozenset())
    for call in (
        door.by_password,
        lambda: door.signing_in.by_token(token, peer=PEER, before=None),
        lambda: door.signing_in.by_provider("ada", before=None),
        lambda: door.signing_in.through_proxy("ada"),
    ):
        assert refused(call).reason is Reason.NOT_BELIEVED


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_signing_out_and_time_end_it_and_what_expired_is_removed(door, clock):
    one, other = door.by_password(), door.by_password()
    door.signing_in.sign_out(one)
    assert door.signing_in.visitor(one) is None
    assert door.audited()["signed_out"] == 1
    clock.move(hours=8)
    assert door.signing_in.visitor(other) is None
    assert len(door.rows()) == 1
    door.ledger.write(sign_ins.drop_ended, before=clock.now)
    assert door.rows() == []


def test_signing_in_again_gives_another_secret_and_ends_the_one_before(door):
    one = door.by_password()
    other = door.by_password(before=one)
    assert one != other
    assert door.signing_in.visitor(one) is None
    assert door.signing_in.visitor(other).name == "ada"


def test_a_secret_that_was_made_up_is_nobody(door):
    door.by_password()
    assert door.signing_in.visitor("made up") is None
    assert door.signing_in.visitor("") is None


def test_a_role_that_is_withdrawn_counts_at_the_next_request(door):
    secret = door.by_password()
    assert door.signing_in.visitor(secret).may(Role.OPERATOR)
    door.people(ada=f"roles: [viewer], password: '{door.hashed}'")
    visitor = door.signing_in.visitor(secret)
    assert not visitor.may(Role.OPERATOR)
    assert visitor.may(Role.VIEWER)


def test_a_new_password_ends_what_the_old_one_began(door):
    secret = door.by_password()
    door.people(ada=f"roles: [operator], password: '{door.passwords.hashed(PASSWORD)}'")
    assert door.signing_in.visitor(secret) is None
    door.people(ada=f"roles: [operator], password: '{door.hashed}'")
    assert door.signing_in.visitor(secret) is None


def test_who_is_removed_is_signed_out_and_stays_so_when_they_come_back(door):
    secret = door.by_password()
    before = door.file.read_text()
    door.people(grace="roles: [viewer]")
    assert door.signing_in.visitor(secret) is None
    door.file.write_text(before)
    assert door.signing_in.visitor(secret) is None
    assert door.signing_in.visitor(door.by_password()).name == "ada"


def test_somebody_is_signed_out_everywhere_by_anothers_word_and_may_come_again(door):
    secrets = [door.by_password() for _ in range(3)]
    door.people(ada=f"roles: [viewer], password: '{door.hashed}'", linus="roles: [viewer]")
    other = door.signing_in.by_provider("linus", before=None)
    assert door.ledger.write(sign_ins.end_all, name="ada", act=ACT) == 3
    assert [door.signing_in.visitor(secret) for secret in secrets] == [None] * 3
    assert door.signing_in.visitor(other).name == "linus"
    assert door.ledger.write(sign_ins.end_all, name="ada", act=ACT) == 0
    assert door.audited()["signed_out"] == 1
    assert door.signing_in.visitor(door.by_password()).name == "ada"


def test_a_way_that_is_taken_away_ends_what_it_began(door):
    secret = door.by_password()
    door.tried_anew(ways=frozenset({Way.TOKEN}))
    assert door.signing_in.visitor(secret) is None


# ── tries ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_name_is_tried_so_often_whether_it_exists_or_not(door, name):
    reasons = [refused(door.by_password, name, "wrong").reason for _ in range(OF_A_NAME.amount + 2)]
    assert reasons == [Reason.NOT_KNOWN] * OF_A_NAME.amount + [Reason.TOO_MANY_TRIES] * 2
    if name == "ada":
        assert refused(door.by_password).reason is Reason.TOO_MANY_TRIES


def test_an_address_tries_so_often_in_one_way_and_no_other_way_is_closed_by_it(door):
    for _ in range(OF_A_PEER.amount):
        assert (
            refused(door.signing_in.by_token, "bridge_x", peer=PEER, before=None).reason is Reason.NOT_KNOWN
        )
    good = door.token("ada")
    assert refused(door.signing_in.by_token, good, peer=PEER, before=None).reason is Reason.TOO_MANY_TRIES
    assert door.signing_in.by_token(good, peer="192.0.2.8", before=None)
    assert door.by_password()


def test_refused_tries_and_good_ones_are_counted(door):
    door.by_password()
    door.ledger.write(sign_ins.count_refused, counted={(Way.PASSWORD, Reason.NOT_KNOWN): 3})
    with door.ledger.engine.connect() as connection:
        found = connection.execute(
            select(totals.c.name, totals.c.label, totals.c.count).where(totals.c.kind == "sign_in")
        ).all()
    assert sorted(map(tuple, found)) == [("password", "not_known", 3), ("password", "signed_in", 1)]


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────

GOOD = """\
version: 1
people:
  ada@example.com:
    roles: [operator, approver]
    identities:
      jira: 5b10ac8d82e05b22cc7d4e01
      servicenow: [ada.example, ada@example.com]
"""


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("version: 1", "version: 2", "people.yaml:1:10: 'version' must be 1"),
        ("    roles: [operator, approver]\n", "    groups: [x]\n", "people.yaml:4:5: unknown key 'groups'"),
        ("operator", "operater", "people.yaml:4:13: this entry cannot be 'operater' (did you mean"),
        ("ada@example.com:", "ada lovelace:", "people.yaml:3:3: 'ada lovelace' is not a name of letters"),
        ("      jira:", "      jria:", "people.yaml:6:7: unknown source 'jria' (did you mean 'jira'?)"),
        ("[ada.example,", "[bob@example.com,", "people.yaml:7:19: 'bob@example.com' and 'ada@"),
        ("roles:", "password: hunter2hunter2\n    roles:", "people.yaml:4:15: 'password' is not a hash"),
        ("roles:", "tokens: [A B]\n    roles:", "people.yaml:4:14: 'A B' is not the name of a token"),
        ("roles: [operator", "roles: [*operator", "people.yaml:4:13: alias"),
        (GOOD, GOOD + "  bob: {roles: [viewer], identities: {jira: 5B10AC8D82E05B22CC7D4E01}}\n",
         "people.yaml:8:45: the identity in jira '5B10AC8D82E05B22CC7D4E01' is ada@example.com's too"),
        (GOOD, GOOD + "  ada@example.com: {roles: [viewer]}\n", "people.yaml:8:3: key 'ada@example.com'"),
        (GOOD, GOOD + "  Ada@example.com: {roles: [viewer]}\n", "people.yaml:8:3: 'Ada@example.com' and"),
        (GOOD, GOOD + "  ada@example.com.: {roles: [viewer]}\n", "people.yaml:8:3: 'ada@example.com.' and"),
        ("ada@example.com:", '"ada@example.com\\n":', "people.yaml:3:3: 'ada@example.com"),
        ("ada@example.com]", '"ada@example.com\\u200b"]', "people.yaml:7:19: 'ada@example.com\\u200b' has"),
        ("ada.example,", '"ad\\u0430.example",', "people.yaml:7:19: 'ad\\u0430.example' has letters of"),
        ("ada@example.com]", "ada@example.com.]", "people.yaml:7:19: 'ada@example.com.' is no plain e-mail"),
        (GOOD, "", "people.yaml:1:1: the file is empty"),
        (GOOD, "version: 1\npeople: {}\n", "people.yaml:2:9: 'people' is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_told_with_its_place_and_no_password(tmp_path, before, after, problem):
    file = tmp_path / "people.yaml"
    file.write_text(GOOD)
    assert load(file, sources=SOURCES)["ada@example.com"].visitor.may(Role.APPROVER)
    assert before in GOOD
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(ConfigurationError) as raised:
        load(file, sources=SOURCES)
    assert any(one.startswith(problem) for one in raised.value.problems), raised.value.problems
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_is_a_problem(tmp_path):
    with pytest.raises(ConfigurationError, match=r"people\.yaml: cannot be read: No such file"):
        load(tmp_path / "people.yaml", sources=SOURCES)
    (tmp_path / "people.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(tmp_path / "people.yaml", sources=SOURCES)


def test_a_bad_new_file_keeps_the_last_good_one_and_is_told(door, capsys):
    secret = door.by_password()
    door.file.write_text("version: 1\npeople: [ada]\n")
    assert door.signing_in.visitor(secret).name == "ada"
    assert "people.refused" in capsys.readouterr().out
    door.file.unlink()
    assert door.signing_in.visitor(secret).name == "ada"
    door.people(ada="roles: [administrator]")
    assert door.signing_in.visitor(secret) is None


def test_the_last_good_one_is_the_newest_also_where_nobody_asked_meanwhile(door):
    """Who was removed does not come back when the next change of the file is a mistake."""
    live = LivePeople(door.file, sources=SOURCES)
    stopping = threading.Event()
    thread = threading.Thread(target=live.run, args=(stopping,))
    thread.start()
    try:
        door.people(grace="roles: [approver]")
        time.sleep(LOOK_SECONDS + 1)
        door.file.write_text("version: 1\npeople: [ada]\n")
        assert set(live.current()) == {"grace"}
    finally:
        stopping.set()
        thread.join(5)


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_password_that_is_short_is_not_hashed(passwords):
    for password in ("", "x" * 11, "x" * 257):
        with pytest.raises(NotPossible, match="12 to 256 characters"):
            passwords.hashed(password)


def all_at_once(door, count, password):
    """Have so many come with a password at once; return what became of each: its secret, or why not."""
    together = threading.Barrier(count)

    def come(number):
        together.wait(10)
        try:
            return door.signing_in.by_password("ada", password, peer=f"192.0.2.{number}", before=None)
        except SignInRefused as error:
            return error.reason

    with ThreadPoolExecutor(count) as people:
        return Counter(people.map(come, range(count)))


def test_passwords_are_looked_at_one_by_one_and_who_waits_too_long_is_told(door, hashed):
    door.passwords = Passwords(wait_seconds=0)
    door.tried_anew()
    found = all_at_once(door, 8, PASSWORD)
    assert found[Reason.TOO_MANY_TRIES] >= 4
    assert len(door.rows()) == 8 - found[Reason.TOO_MANY_TRIES] >= 1


def test_few_threads_wait_for_a_password_to_be_looked_at(door, hashed):
    door.passwords = Passwords(wait_seconds=20)
    door.tried_anew()
    found = all_at_once(door, 12, "wrong")
    assert found[Reason.TOO_MANY_TRIES] > 0
    assert found[Reason.NOT_KNOWN] >= PLACES
    assert found.total() == 12


def test_the_example_of_the_documentation_is_a_good_file(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "console.md"
    (example,) = re.findall(r"```yaml\n(version: 1\npeople:.*?)```", page.read_text(), re.DOTALL)
    file = tmp_path / "people.yaml"
    file.write_text(example)
    found = load(file, sources=SOURCES)
    assert found["ada.example"].visitor.may(Role.APPROVER)
    assert found["grace@example.com"].tokens == {"grace.2026"}


def test_a_hash_is_ours_or_none(passwords, hashed):
    assert is_hash(hashed)
    assert passwords.hashed(PASSWORD) != hashed
    for other in (
        "",
        PASSWORD,
        hashed + "x",
        hashed.replace("m=47104", "m=8"),
        "$2b$12$abcdefghijklmnopqrstuv",
    ):
        assert not is_hash(other)
