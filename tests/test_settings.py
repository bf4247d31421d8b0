"""Settings: every problem at once, by its variable's name, and never by its value."""

import os
import string
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.models import SourceKind, Trust
from bridge.settings import LiveSettings, Settings, describe, forms, in_force, read_settings

JIRA = "BRIDGE_SOURCES__JIRA__"
MAIN = "BRIDGE_PORTALS__MAIN__"
SNOW = "BRIDGE_SOURCES__SNOW__"
CANARY = "canary-5f3a91"

GOOD = {
    f"{JIRA}KIND": "jira",
    f"{JIRA}BASE_URL": "https://jira.example.com/",
    f"{JIRA}VERIFY": "hmac",
    f"{JIRA}SECRETS": '["' + "n" * 32 + '", "' + "o" * 32 + '"]',
    f"{JIRA}USERNAME": "bridge@example.com",
    f"{JIRA}TOKEN": "a token",
    f"{MAIN}BASE_URL": "https://portal.example.com",
    f"{MAIN}USERNAME": "bridge",
    f"{MAIN}PASSWORD": "a password",
}
GOOD_SNOW = {
    f"{SNOW}KIND": "servicenow",
    f"{SNOW}BASE_URL": "https://site.example.com",
    f"{SNOW}VERIFY": "standard",
    f"{SNOW}SECRETS": '["' + "s" * 32 + '"]',
    f"{SNOW}USERNAME": "bridge",
    f"{SNOW}PASSWORD": "a password",
}


def problems_of(environ: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read_settings(environ, env_file)
    assert raised.value.__cause__ is None, "the library's own error holds the values"
    return list(raised.value.problems)


def only_problem(changes: Mapping[str, str], without: str = "") -> str:
    environ = {name: value for name, value in GOOD.items() if name != without} | changes
    problems = problems_of(environ)
    assert len(problems) == 1, problems
    return problems[0]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_set_gives_the_defaults() -> None:
    settings = read_settings({})
    assert settings.database_url.get_secret_value() == "sqlite:///data/bridge.sqlite3"
    assert settings.catalogue_file == Path("mappings/actions.yaml")
    assert (settings.max_in_flight, settings.comment_senders, settings.max_age) == (
        64,
        8,
        timedelta(hours=24),
    )
    assert (settings.sources, settings.portals, settings.console, settings.paused) == ((), (), "off", False)


def test_a_source_and_a_portal_are_named_by_the_middle_of_their_variables() -> None:
    settings = read_settings(GOOD)
    (source,), (portal,) = settings.sources, settings.portals
    assert (source.name, source.kind, source.base_url) == (
        "jira",
        SourceKind.JIRA,
        "https://jira.example.com",
    )
    assert [secret.get_secret_value()[0] for secret in source.secrets] == ["n", "o"]
    assert (portal.name, portal.password.get_secret_value()) == ("main", "a password")


def test_several_sources_of_one_kind_and_several_portals_work() -> None:
    more = {
        name.replace("__JIRA__", "__JIRA_EMEA__"): value for name, value in GOOD.items() if "JIRA" in name
    }
    more |= {name.replace("__MAIN__", "__US__"): value for name, value in GOOD.items() if "MAIN" in name}
    settings = read_settings(GOOD | GOOD_SNOW | more)
    assert [source.name for source in settings.sources] == ["jira", "jira_emea", "snow"]
    assert [portal.name for portal in settings.portals] == ["main", "us"]


def test_what_is_not_ours_is_ignored_and_what_is_empty_counts_as_not_set() -> None:
    settings = read_settings({**GOOD, "PATH": "/bin", "BRIDGE_CONSOLE": "", "XBRIDGE_FOO": "1"})
    assert settings.console == "off"


def test_the_environment_wins_over_the_file_of_variables(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("# a comment\nBRIDGE_MAX_DEVICES=3\nexport BRIDGE_LOG_LEVEL='debug'\nOTHER=1\n")
    settings = read_settings({"BRIDGE_MAX_DEVICES": "4"}, env_file)
    assert (settings.max_devices, settings.log_level) == (4, "debug")


def test_a_dollar_in_the_file_of_variables_stays_as_typed(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}='{value}'\n" for name, value in GOOD.items()))
    env_file.write_text(env_file.read_text().replace("'a password'", "'pa${HOME}$1'"))
    (portal,) = read_settings({}, env_file).portals
    assert portal.password.get_secret_value() == "pa${HOME}$1"


def test_a_line_of_the_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f'BRIDGE_CONSOLE=open\nBRIDGE_LOG_LEVEL="{CANARY}\n')
    (problem,) = problems_of({}, env_file)
    assert problem == f"{env_file}:2: cannot be read (write NAME=value, in quotes if need be)"


def test_a_missing_file_of_variables_is_no_problem(tmp_path: Path) -> None:
    assert read_settings({}, tmp_path / "absent").max_devices == 25


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_problem_is_told_at_once_by_the_full_name_of_its_variable() -> None:
    problems = problems_of(
        {
            f"{JIRA}KIND": "jria",
            f"{JIRA}SECRTS": "x",
            f"{JIRA}VERIFY": "hmac",
            f"{MAIN}BASE_URL": "http://portal.example.com",
            "BRIDGE_MAX_AGE": "tomorrow",
            "BRIDGE_MAX_DEVICES": "0",
        }
    )
    assert sorted(problems) == [
        "BRIDGE_MAX_AGE: must be a duration (such as 90s, 30m, 24h or 7d)",
        "BRIDGE_MAX_DEVICES: must be greater than or equal to 1",
        f"{MAIN}BASE_URL: must be https unless loopback (passwords and commands travel on it)",
        f"{MAIN}PASSWORD: is required",
        f"{MAIN}USERNAME: is required",
        f"{JIRA}BASE_URL: is required",
        f"{JIRA}KIND: must be 'jira' or 'servicenow'",
        f"{JIRA}PASSWORD: or TOKEN is required (comments are written with it)",
        f"{JIRA}SECRETS: is required, or SECRETS_FILE (without it anybody could start actions)",
        f"{JIRA}SECRTS: no such setting (did you mean {JIRA}SECRETS?)",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BRIDGE_DATABSE_URL", "BRIDGE_DATABASE_URL"),
        ("BRIDGE_MAX_DEVICE", "BRIDGE_MAX_DEVICES"),
        (f"{MAIN}PASWORD_FILE", f"{MAIN}PASSWORD_FILE"),
        ("BRIDGE_PORTAL__MAIN__USERNAME", "BRIDGE_PORTALS__<NAME>__USERNAME"),
    ],
)
def test_an_unknown_variable_is_a_problem_with_the_nearest_name(name: str, hint: str) -> None:
    assert only_problem({name: CANARY}) == f"{name}: no such setting (did you mean {hint}?)"


@pytest.mark.parametrize("name", ["BRIDGE_SOURCES", "BRIDGE_SOURCES__JIRA", "BRIDGE_PORTALS"])
def test_a_group_cannot_be_given_as_one_value(name: str) -> None:
    assert only_problem({name: "{}"}).startswith(f"{name}: no such setting")


@pytest.mark.parametrize("middle", ["A" * 41, "A-B", "_A", "9"])
def test_a_name_in_the_middle_must_be_plain(middle: str) -> None:
    name = f"BRIDGE_SOURCES__{middle}__KIND"
    assert only_problem({name: "jira"}).startswith(f"{name}: the name in the middle must be")


@given(
    name=st.sampled_from([doc.name.replace("<NAME>", "X") for doc in describe()]),
    value=st.text(string.printable, min_size=1, max_size=30),
)
def test_no_problem_repeats_a_value(name: str, value: str) -> None:
    typed = CANARY + value + CANARY
    try:
        settings = read_settings({name: typed})
    except ConfigurationError as raised:
        told = raised.problems
    else:
        # A path takes any text, and is shown where it stands; nowhere else.
        told = tuple(shown for of, shown in in_force(settings) if of != name)
    assert told
    assert CANARY not in str(told)


@pytest.mark.parametrize("value", ["", "[]", '[""]', '["   "]', '["' + "x" * 32 + '", ""]'])
def test_empty_webhook_secrets_are_refused(value: str) -> None:
    assert only_problem({f"{JIRA}SECRETS": value}).startswith(f"{JIRA}SECRETS: ")


@pytest.mark.parametrize("value", [CANARY, f'"{CANARY}"', f"[1, {CANARY}]", "[1]", "[" * 100_000])
def test_secrets_that_are_no_json_list_are_refused(value: str) -> None:
    assert "must be a JSON list of texts" in only_problem({f"{JIRA}SECRETS": value})


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9001",
        "http://127.0.0.1:9001/jira",
        "http://[::1]:9001",
        "https://api.example.com/ex/1",
    ],
)
def test_plain_http_is_for_loopback_only(url: str) -> None:
    settings = read_settings({**GOOD, f"{JIRA}BASE_URL": url, f"{MAIN}BASE_URL": url})
    assert (settings.sources[0].base_url, settings.portals[0].base_url) == (url, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://portal.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "ftp://portal.example.com",
        "portal.example.com",
        f"https://user:{CANARY}@portal.example.com",
        f"https://portal.example.com:{CANARY}",
        f"https://[{CANARY}",
        "https://portal.example.com/?a=b",
        "https://portal.example.com/#a",
        "https://portal.exa\tmple.com",
        "https://portal.exa mple.com",
        "https://pörtal.example.com",
        "https://",
    ],
)
@pytest.mark.parametrize("setting", [f"{JIRA}BASE_URL", f"{MAIN}BASE_URL"])
def test_an_address_that_is_not_safe_is_refused(setting: str, url: str) -> None:
    problem = only_problem({setting: url})
    assert problem.startswith(f"{setting}: ")
    assert CANARY not in problem


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://{address}:1671/2/query", "192.0.2.0/24, .example.com"),
        ("https://{address}:1671/2/query", '["engine.example.com"]'),
        ("http://{address}:9002/{name}/2/query", "127.0.0.0/8"),
        ("http://127.0.0.1:9002/{name}/2/query", "127.0.0.1"),
    ],
)
def test_engines_are_asked_where_the_template_and_the_hosts_say(url: str, hosts: str) -> None:
    (portal,) = read_settings({**GOOD, f"{MAIN}NXQL_URL": url, f"{MAIN}ENGINE_HOSTS": hosts}).portals
    assert portal.nxql_url == url
    assert portal.engine_hosts


@pytest.mark.parametrize(
    ("url", "hosts", "setting"),
    [
        ("https://{address}:1671/2/query", "", "ENGINE_HOSTS"),
        ("http://{address}:1671/2/query", "192.0.2.0/24", "NXQL_URL"),
        ("http://{address}:1671/2/query", "127.0.0.1,engine.example.com", "NXQL_URL"),
        ("http://engine.example.com/2/query", "127.0.0.1", "NXQL_URL"),
        ("https://{address.x}/2/query", "192.0.2.0/24", "NXQL_URL"),
        ("https://{address!r}/2/query", "192.0.2.0/24", "NXQL_URL"),
        ("https://{host}/2/query", "192.0.2.0/24", "NXQL_URL"),
        ("https://{address/2/query", "192.0.2.0/24", "NXQL_URL"),
        ("https://{address}/2/query", "0.0.0.0/0", "ENGINE_HOSTS"),
        ("https://{address}/2/query", "::/0", "ENGINE_HOSTS"),
        ("https://{address}/2/query", "192.0.2.1/24", "ENGINE_HOSTS"),
        ("https://{address}/2/query", "https://engine.example.com", "ENGINE_HOSTS"),
        ("https://{address}/2/query", "*.example.com", "ENGINE_HOSTS"),
        ("https://{address}/2/query", ".", "ENGINE_HOSTS"),
    ],
)
def test_a_query_cannot_go_where_no_setting_allows(url: str, hosts: str, setting: str) -> None:
    problem = only_problem({f"{MAIN}NXQL_URL": url, f"{MAIN}ENGINE_HOSTS": hosts})
    assert problem.startswith(f"{MAIN}{setting}: ")


USER_QUERY = '(select (a b c d) (from device (where device (eq c (string "{user}")))) (limit 100))'


def test_the_query_for_an_accounts_devices_is_a_setting_of_the_portal() -> None:
    given = {
        f"{MAIN}NXQL_USER_QUERY": USER_QUERY,
        f"{MAIN}NXQL_USER_FIELDS": "a, b, c, d",
        f"{MAIN}NXQL_TIME_ZONE": "Europe/Zurich",
    }
    (portal,) = read_settings({**GOOD, **given}).portals
    assert (portal.nxql_user_query, portal.nxql_user_fields) == (USER_QUERY, ("a", "b", "c", "d"))
    assert portal.nxql_time_zone == "Europe/Zurich"
    (shipped,) = read_settings(GOOD).portals
    assert forms.user_query(shipped.nxql_user_query) == shipped.nxql_user_query


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NXQL_USER_QUERY", USER_QUERY.replace("(select", "(update")),
        ("NXQL_USER_QUERY", USER_QUERY.replace('"{user}"', "{user}")),
        ("NXQL_USER_QUERY", USER_QUERY.replace("{user}", "ada")),
        ("NXQL_USER_QUERY", USER_QUERY.replace("(limit 100)", "(limit 10)")),
        ("NXQL_USER_QUERY", USER_QUERY + "{since}"),
        ("NXQL_USER_QUERY", USER_QUERY + "{"),
        ("NXQL_USER_QUERY", USER_QUERY + "é"),
        ("NXQL_USER_FIELDS", "a,b,c"),
        ("NXQL_USER_FIELDS", "a,b,c,c"),
        ("NXQL_TIME_ZONE", "Mars/Olympus"),
        ("NXQL_TIME_ZONE", "../etc/passwd"),
        ("NXQL_TIME_ZONE", "/etc/passwd"),
    ],
)
def test_a_query_that_could_ask_for_anything_else_is_refused(setting: str, value: str) -> None:
    assert only_problem({f"{MAIN}{setting}": value}).startswith(f"{MAIN}{setting}: ")


# ── what belongs together ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({f"{JIRA}TABLES": "incident"}, "TABLES: is only for KIND=servicenow (remove it)"),
        ({f"{JIRA}TOKEN_HEADER": "x-token"}, "TOKEN_HEADER: is only for VERIFY=token (remove it)"),
        ({f"{JIRA}PASSWORD": "p"}, "TOKEN: and PASSWORD exclude each other (give one)"),
        (
            {f"{JIRA}SIGNED_TEXT": "{timestamp}.{body}"},
            "TIMESTAMP_HEADER: is required where SIGNED_TEXT holds {timestamp}",
        ),
        ({f"{JIRA}SIGNATURE_HEADER": "x y"}, "SIGNATURE_HEADER: must be the name of an HTTP header"),
        (
            {f"{JIRA}TRUST": "doorbell", f"{JIRA}FETCH": "on"},
            "FETCH: does nothing with TRUST=doorbell, where the ticket is always read (remove it)",
        ),
        ({f"{JIRA}HISTORY": "sys_audit"}, "HISTORY: is only for KIND=servicenow (remove it)"),
        (
            {f"{JIRA}RECONCILE_JQL": "project = SUP"},
            "RECONCILE_JQL: does nothing without RECONCILE (give that too, or remove this)",
        ),
    ],
)
def test_settings_of_a_source_that_do_not_fit_together_are_told(
    changes: Mapping[str, str], problem: str
) -> None:
    assert only_problem(changes) == JIRA + problem


@pytest.mark.parametrize(
    ("verify", "trust", "believed"),
    [
        ("hmac", "", Trust.PAYLOAD),
        ("standard", "", Trust.PAYLOAD),
        ("token", "", Trust.DOORBELL),
        ("basic", "", Trust.DOORBELL),
        ("hmac", "doorbell", Trust.DOORBELL),
        ("token", "payload", Trust.PAYLOAD),
    ],
)
def test_who_cannot_sign_only_rings_unless_told_otherwise(verify: str, trust: str, believed: Trust) -> None:
    word = "user:" + "n" * 32 if verify == "basic" else "n" * 32
    chosen = {f"{JIRA}VERIFY": verify, f"{JIRA}SECRETS": f'["{word}"]', f"{JIRA}TRUST": trust}
    (source,) = read_settings({**GOOD, **chosen}).sources
    assert source.believed is believed


def test_reconciling_is_refused_where_one_change_would_have_two_names() -> None:
    problems = problems_of({**GOOD_SNOW, f"{SNOW}RECONCILE": "10m"})
    assert problems == [
        f"{SNOW}RECONCILE: needs TRUST=doorbell here (its webhooks name a change otherwise than its history)"
    ]
    ringing = {**GOOD_SNOW, f"{SNOW}RECONCILE": "10m", f"{SNOW}TRUST": "doorbell"}
    assert read_settings(ringing).sources[0].reconcile == timedelta(minutes=10)
    assert read_settings({**GOOD, f"{JIRA}RECONCILE": "10m"}).sources[0].reconcile is not None


@pytest.mark.parametrize(
    ("jql", "problem"),
    [
        ("project = SUP", None),
        ('summary ~ "a) (b ORDER BY" AND (labels = x)', None),
        ("project = A ORDER  BY key", "ORDER BY"),
        ("project = A) OR (project = B", "brackets"),
        ("((project = A)", "brackets"),
        ('summary ~ "x', "quotations"),
    ],
)
def test_the_jql_that_narrows_reconciling_stays_one_condition(jql: str, problem: str | None) -> None:
    environ = {**GOOD, f"{JIRA}RECONCILE": "10m", f"{JIRA}RECONCILE_JQL": jql}
    if problem is None:
        assert read_settings(environ).sources[0].reconcile_jql == jql
    else:
        (told,) = problems_of(environ)
        assert problem in told


def test_a_token_for_servicenow_needs_to_say_whose_it_is() -> None:
    environ = {name: value for name, value in GOOD_SNOW.items() if "USERNAME" not in name}
    del environ[f"{SNOW}PASSWORD"]
    environ[f"{SNOW}TOKEN"] = "t"
    assert problems_of(environ) == [
        f"{SNOW}ACCOUNT: is required with TOKEN (our own changes are known by it)"
    ]


def test_queries_have_both_user_name_and_password_of_their_own_or_neither() -> None:
    problem = only_problem({f"{MAIN}NXQL_USERNAME": "q", f"{MAIN}NXQL_URL": "https://portal.example.com/q"})
    assert problem == f"{MAIN}NXQL_USERNAME: and NXQL_PASSWORD belong together (give both or neither)"


def test_the_word_none_takes_the_prefix_of_a_signature_away() -> None:
    (source,) = read_settings({**GOOD, f"{JIRA}SIGNATURE_PREFIX": "none"}).sources
    assert source.signature_prefix == ""


@pytest.mark.parametrize(
    ("portals", "own", "expected"), [(1, "", 64), (2, "", 32), (2, "5", 5), (1, "500", 64)]
)
def test_w4_one_of_several_portals_cannot_take_every_sender(portals: int, own: str, expected: int) -> None:
    environ = dict(GOOD)
    if portals == 2:
        environ |= {name.replace("MAIN", "US"): value for name, value in GOOD.items() if "MAIN" in name}
    settings = read_settings({**environ, f"{MAIN}MAX_IN_FLIGHT": own})
    assert settings.in_flight_of(settings.portals[0]) == expected


# ── secrets from files ───────────────────────────────────────────────────────────────────────────────────


def with_files(folder: Path) -> dict[str, str]:
    (folder / "password").write_text("from a file\n")
    (folder / "secrets").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    environ = {name: value for name, value in GOOD.items() if not name.endswith(("__SECRETS", "__PASSWORD"))}
    environ[f"{MAIN}PASSWORD_FILE"] = str(folder / "password")
    environ[f"{JIRA}SECRETS_FILE"] = str(folder / "secrets")
    return environ


def secrets_of(settings: Settings) -> tuple[str, list[str]]:
    secrets = [secret.get_secret_value()[0] for secret in settings.sources[0].secrets]
    return settings.portals[0].password.get_secret_value(), secrets


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    assert secrets_of(read_settings(with_files(tmp_path))) == ("from a file", ["a", "b"])


def test_a_file_of_webhook_secrets_may_hold_a_json_list(tmp_path: Path) -> None:
    environ = with_files(tmp_path)
    (tmp_path / "secrets").write_text('["' + "c" * 32 + '"]\n')
    assert secrets_of(read_settings(environ))[1] == ["c"]


def test_the_same_secret_from_a_file_and_a_variable_is_a_problem(tmp_path: Path) -> None:
    name = f"{MAIN}PASSWORD"
    assert problems_of({**with_files(tmp_path), name: CANARY}) == [
        f"{name}_FILE: {name} is set too (remove one of them)"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"\xff" + CANARY.encode(), "it is not UTF-8 text"),
        (CANARY.encode() * 10_000, "it is over 64 KiB"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_one_problem(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    environ = with_files(tmp_path)
    (tmp_path / "password").unlink()
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    assert problems_of(environ) == [f"{MAIN}PASSWORD_FILE: the file cannot be used: {reason}"]


def test_a_changed_secret_file_is_read_again(tmp_path: Path) -> None:
    live = LiveSettings(with_files(tmp_path))
    first = live.current()
    assert live.current() is first
    (tmp_path / "password").write_text("replaced, with another length")
    assert secrets_of(live.current())[0] == "replaced, with another length"


def test_a_secret_file_that_is_swapped_for_another_of_the_same_size_and_time_is_read_again(
    tmp_path: Path,
) -> None:
    live = LiveSettings(with_files(tmp_path))
    seen = (tmp_path / "password").stat()
    (tmp_path / "new").write_text("FROM A FILE\n")
    os.utime(tmp_path / "new", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "password")
    assert secrets_of(live.current())[0] == "FROM A FILE"


def test_the_last_good_secret_stays_in_force_and_the_problem_is_told_until_it_is_mended(
    tmp_path: Path,
) -> None:
    live = LiveSettings(with_files(tmp_path))
    (tmp_path / "password").unlink()
    assert secrets_of(live.current())[0] == "from a file"
    assert live.problems == (f"{MAIN}PASSWORD_FILE: the file cannot be used: No such file or directory",)
    (tmp_path / "password").write_text("mended")
    assert secrets_of(live.current())[0] == "mended"
    assert live.problems == ()


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_in_force_shows_every_value_but_no_secret(tmp_path: Path) -> None:
    environ = {
        **{name: value for name, value in GOOD.items() if name != f"{JIRA}TOKEN"},
        f"{JIRA}PASSWORD": CANARY,
        f"{JIRA}SECRETS": f'["{CANARY * 3}"]',
        f"{MAIN}PASSWORD": CANARY,
        f"{MAIN}NXQL_URL": "https://portal.example.com/q",
        f"{MAIN}NXQL_USERNAME": "q",
        f"{MAIN}NXQL_PASSWORD": CANARY,
        "BRIDGE_DATABASE_URL": f"postgresql://u:{CANARY}@db.example.com:5432/bridge?password={CANARY}",
    }
    settings = read_settings(environ)
    shown = dict(in_force(settings))
    assert CANARY not in str(shown) + repr(settings) + str(settings)
    assert shown["BRIDGE_DATABASE_URL"] == "postgresql://db.example.com:5432/bridge"
    assert shown[f"{JIRA}SECRETS"] == shown[f"{MAIN}PASSWORD"] == "********"
    assert shown["BRIDGE_MAX_AGE"] == "24h"
    assert shown[f"{JIRA}BASE_URL"] == "https://jira.example.com"


def test_what_is_in_force_leaves_out_what_the_kind_and_the_proof_of_a_source_do_not_use() -> None:
    shown = {name for name, _ in in_force(read_settings(GOOD))}
    assert {f"{JIRA}DEPLOYMENT", f"{JIRA}INTERNAL_COMMENTS", f"{JIRA}SIGNATURE_HEADER"} <= shown
    other = {"TABLES", "CODE_TAGS", "API_KEY_HEADER", "TOKEN_HEADER"}
    assert not shown & {f"{JIRA}{name}" for name in other}


# A console that is on, with every way in.
CONSOLE = {
    "BRIDGE_CONSOLE": "on",
    "BRIDGE_CONSOLE_PEOPLE": "people.yaml",
    "BRIDGE_CONSOLE_SECRET": CANARY * 4,
    "BRIDGE_CONSOLE_SIGN_IN": "password,token,proxy,oidc",
    "BRIDGE_CONSOLE_PROXY_PEERS": "192.0.2.7, 2001:DB8::7",
    "BRIDGE_CONSOLE_PROXY_SECRET": CANARY * 4,
    "BRIDGE_CONSOLE_OIDC_ISSUER": "https://login.example.com/",
    "BRIDGE_CONSOLE_OIDC_CLIENT_ID": "console",
    "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": CANARY,
    "BRIDGE_PUBLIC_URL": "https://bridge.example.com",
}


def test_a_console_that_is_on_shows_what_is_in_force_and_no_secret() -> None:
    shown = dict(in_force(read_settings(CONSOLE)))
    assert CANARY not in str(shown)
    assert shown["BRIDGE_CONSOLE_PROXY_PEERS"] == "192.0.2.7,2001:db8::7"
    assert shown["BRIDGE_CONSOLE_OIDC_ISSUER"] == "https://login.example.com/"
    assert shown["BRIDGE_CONSOLE_SIGN_IN"] == "password,token,proxy,oidc"


def test_every_setting_is_described_and_a_default_reads_back_as_itself() -> None:
    for doc in describe():
        assert doc.description.endswith("."), doc.name
        if doc.default and "<NAME>" not in doc.name:
            beside = CONSOLE if doc.name.startswith("BRIDGE_CONSOLE_") else {}
            settings = read_settings({**beside, doc.name: doc.default})
            assert dict(in_force(settings))[doc.name] == doc.default


def test_every_secret_may_come_from_a_file() -> None:
    names = {doc.name for doc in describe()}
    assert {f"{doc.name}_FILE" for doc in describe() if doc.secret} <= names


@pytest.mark.parametrize(
    ("bind", "allowed"),
    [("127.0.0.1:8080", True), ("[::1]:8080", True), ("localhost:8080", True), ("0.0.0.0:8080", False)],
)
def test_a_console_is_open_on_loopback_only(bind: str, allowed: bool) -> None:
    given = {**GOOD, "BRIDGE_CONSOLE": "open", "BRIDGE_BIND": bind}
    if allowed:
        assert read_settings(given).console == "open"
    else:
        with pytest.raises(ConfigurationError, match="BRIDGE_CONSOLE: may be open only where BRIDGE_BIND"):
            read_settings(given)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://bridge.example.com/", "https://bridge.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://bridge.example.com", None),
        ("https://bridge.example.com/path", None),
        ("https://bridge.example.com?x=1", None),
        ("https://bridge|x].example.com", None),
        ("https://[::1]:8080", None),
        ("bridge.example.com", None),
    ],
)
def test_the_public_address_is_the_top_of_an_https_host(given: str, read: str | None) -> None:
    if read is None:
        with pytest.raises(ConfigurationError, match="BRIDGE_PUBLIC_URL: "):
            read_settings({**GOOD, "BRIDGE_PUBLIC_URL": given})
    else:
        assert read_settings({**GOOD, "BRIDGE_PUBLIC_URL": given}).public_url == read
