"""What settings need of each other, judged on the texts that were given.

It must not judge a single value, which the model does; so both kinds of problem are told together.
"""

from collections.abc import Iterator, Mapping

from bridge.settings import forms

Given = Mapping[str, str]

# A setting that would do nothing is told, for somebody thinks that it does something.
_ONLY_WITH: Mapping[str, tuple[str, str]] = {
    "deployment": ("kind", "jira"),
    "site_url": ("kind", "jira"),
    "internal_comments": ("kind", "jira"),
    "api_key_header": ("kind", "servicenow"),
    "account": ("kind", "servicenow"),
    "tables": ("kind", "servicenow"),
    "code_tags": ("kind", "servicenow"),
    "history": ("kind", "servicenow"),
    "reconcile_jql": ("kind", "jira"),
    "signature_header": ("verify", "hmac"),
    "signature_prefix": ("verify", "hmac"),
    "signature_encoding": ("verify", "hmac"),
    "signed_text": ("verify", "hmac"),
    "timestamp_header": ("verify", "hmac"),
    "id_header": ("verify", "hmac"),
    "token_header": ("verify", "token"),
}

_CONSOLE_NEEDS = ("console_people", "console_secret", "console_sign_in")
# What a way to sign in to the console cannot be without.
_WAY_NEEDS: Mapping[str, tuple[str, ...]] = {
    "proxy": ("console_proxy_peers", "console_proxy_secret"),
    "oidc": ("public_url", "console_oidc_issuer", "console_oidc_client_id", "console_oidc_client_secret"),
}


def of_bridge(given: Given) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong) for the bridge's own."""
    host = given.get("bind", "127.0.0.1:8080").rpartition(":")[0].strip("[]")
    if given.get("console") == "open" and not forms.is_loopback(host):
        yield "console", "may be open only where BRIDGE_BIND is loopback (anybody could act there)"
    yield from _console(given)


def of_source(given: Given) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong) for one source."""
    for setting, (selector, wanted) in _ONLY_WITH.items():
        if setting in given and not has_effect(setting, given):
            yield setting, f"is only for {selector.upper()}={wanted} (remove it)"
    if "secrets" not in given and "secrets_file" not in given:
        yield "secrets", "is required, or SECRETS_FILE (without it anybody could start actions)"
    yield from _signed_parts(given)
    yield from _account(given)
    yield from _trust(given)


def has_effect(setting: str, given: Given) -> bool:
    """Say whether a setting of a source does anything beside the KIND and VERIFY that are given."""
    selector, wanted = _ONLY_WITH.get(setting, ("", ""))
    return given.get(selector, wanted) == wanted


def of_portal(given: Given) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong) for one portal."""
    template = given.get("nxql_url", "")
    hosts = forms.words(given.get("engine_hosts", ""))
    assert isinstance(hosts, tuple)
    if "{address}" in template and not hosts:
        yield "engine_hosts", "is required where NXQL_URL holds {address} (name where your Engines may be)"
    elif _is_open(template) and not all(forms.is_loopback(host) for host in hosts):
        yield "nxql_url", "must be https unless loopback (passwords travel on it)"
    if ("nxql_username" in given) != ("nxql_password" in given or "nxql_password_file" in given):
        yield "nxql_username", "and NXQL_PASSWORD belong together (give both or neither)"
    if "nxql_url" not in given:
        for setting in ("engine_hosts", "nxql_username", "name_case"):
            if setting in given:
                yield setting, "does nothing without NXQL_URL (give that too, or remove this)"


def _console(given: Given) -> Iterator[tuple[str, str]]:
    own = sorted(name for name in given if name.startswith("console_") and not name.endswith("_secret_file"))
    if given.get("console") != "on":
        for setting in own:
            yield setting, "does nothing without BRIDGE_CONSOLE=on (give that too, or remove this)"
        return
    for setting in _CONSOLE_NEEDS:
        if setting not in given:
            yield setting, "is required where BRIDGE_CONSOLE is on"
    ways = forms.words(given.get("console_sign_in", ""))
    assert isinstance(ways, tuple)
    for way, needed in _WAY_NEEDS.items():
        if way in ways:
            missing = (setting for setting in needed if setting not in given)
            yield from ((one, f"is required where BRIDGE_CONSOLE_SIGN_IN holds {way}") for one in missing)
        else:
            idle = (setting for setting in own if setting.startswith(f"console_{way}_"))
            why = f"does nothing where BRIDGE_CONSOLE_SIGN_IN does not hold {way} (remove it)"
            yield from ((setting, why) for setting in idle)


def _signed_parts(given: Given) -> Iterator[tuple[str, str]]:
    if given.get("verify") != "hmac":
        return
    signed = given.get("signed_text", "")
    for part, setting in (("{timestamp}", "timestamp_header"), ("{id}", "id_header")):
        if part in signed and setting not in given:
            yield setting, f"is required where SIGNED_TEXT holds {part}"


def _trust(given: Given) -> Iterator[tuple[str, str]]:
    signs = given.get("verify") in ("hmac", "standard")
    trust = given.get("trust", "payload" if signs else "doorbell")
    if "fetch" in given and trust == "doorbell":
        yield "fetch", "does nothing with TRUST=doorbell, where the ticket is always read (remove it)"
    if "reconcile_jql" in given and "reconcile" not in given:
        yield "reconcile_jql", "does nothing without RECONCILE (give that too, or remove this)"
    # A change that is read bears the ticket system's own number. Where webhooks name it otherwise, a change
    # that did arrive would count as another one, and its action would be sent again.
    same_names = trust == "doorbell" or (given.get("kind") == "jira" and given.get("verify") == "hmac")
    if "reconcile" in given and not same_names:
        yield "reconcile", "needs TRUST=doorbell here (its webhooks name a change otherwise than its history)"


def _account(given: Given) -> Iterator[tuple[str, str]]:
    has_token = "token" in given or "token_file" in given
    has_password = "password" in given or "password_file" in given
    if has_password and "username" not in given:
        yield "username", "is required with PASSWORD"
    if not has_token and not has_password:
        yield "password", "or TOKEN is required (comments are written with it)"
    if has_token and has_password:
        yield "token", "and PASSWORD exclude each other (give one)"
    if "api_key_header" in given and not has_token:
        yield "token", "is required with API_KEY_HEADER"
    if given.get("kind") == "servicenow" and has_token and not {"account", "username"} & given.keys():
        yield "account", "is required with TOKEN (our own changes are known by it)"


def _is_open(template: str) -> bool:
    """Say whether a template sends plain http to wherever the Engine's address says."""
    return (
        template.startswith("http://") and "{address}" in template.removeprefix("http://").partition("/")[0]
    )
