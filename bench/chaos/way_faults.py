"""What the way to Nexthink and Jira does: refuses, stalls, shows a wrong certificate, leads to no name.

It must not touch what is sent on it.
"""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from bench.chaos.certificates import Authority, Distrusted
from bench.chaos.fronts import Front, Unreachable
from bench.chaos.house import JIRA_SOURCES, PORTALS
from bench.chaos.installation import Place
from bench.chaos.resolver import HERE, Resolver, Unresolved
from bench.chaos.stage import WEB, Stage

HOST, NAME = "127.0.0.1", "systems.chaos.test"
# What a request may take that is no Act call, and by how much it may take longer.
STALLED_SECONDS = 30.0 + 2.0
# Run by a shell in a mount of its own: nobody else on this machine asks our name server.
ASK_OURS = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


@contextlib.contextmanager
def fronted(stage: Stage, host: str = HOST) -> Iterator[None]:
    """Let the bridge reach Nexthink and Jira by fronts that speak TLS, under a name or an address."""
    bridge = stage.bridge
    authority = Authority(bridge.folder / "tls", f"IP:{HOST},DNS:{NAME}")
    nexthink, jira = (
        Front((HOST, urlsplit(url).port or 0), authority.contexts)
        for url in (bridge.nexthink.url, bridge.jira.url)
    )
    stage.fronts = (nexthink, jira)
    trusted = str(authority.trusted)
    portal = f"https://{host}:{nexthink.port}"
    bridge.environ["BRIDGE_PORTALS__MAIN__NXQL_URL"] = f"{portal}/nxql/{{name}}/2/query"
    places = {f"PORTALS__{name}": portal for name in PORTALS} | {
        f"SOURCES__{name.upper()}": f"https://{host}:{jira.port}" for name in JIRA_SOURCES
    }
    for place, address in places.items():
        bridge.environ |= {f"BRIDGE_{place}__BASE_URL": address, f"BRIDGE_{place}__CA_FILE": trusted}
    try:
        yield
    finally:
        for front in stage.fronts:
            front.close()
            stage.did += Counter({"connections that met it": front.met})
            stage.breaches += [f"trusted: {certificate}" for certificate in front.trusted]
            if front.longest > STALLED_SECONDS:
                stage.breaches.append(f"a handshake was waited for {front.longest:.1f} s")


@contextlib.contextmanager
def named(stage: Stage) -> Iterator[None]:
    """The same under a name, for which every process of the bridge asks a name server of ours."""
    servers = stage.bridge.folder / "resolv.conf"
    servers.write_text(f"nameserver {HERE[0]}\n")
    into = ("unshare", "--mount", "sh", "-c", ASK_OURS, str(servers))
    stage.bridge.places |= {name: Place(prefix=into) for name in (WEB, *stage.workers)}
    stage.resolver = Resolver()
    try:
        with fronted(stage, NAME):
            yield
    finally:
        stage.resolver.close()
        stage.did["questions without an answer"] += stage.resolver.met


def block(stage: Stage) -> None:
    """The way to one of the two is refused, stalls, or shows a certificate that nobody may trust."""
    front = stage.chance.choice(stage.fronts)
    trouble = stage.chance.choice((*Unreachable, *Distrusted))
    with front.trouble(trouble):
        _make_anew(stage)
        stage.pause(2.0, 8.0)
    stage.did[trouble] += 1


def lose_the_name(stage: Stage) -> None:
    """The name of both has no address for some seconds."""
    assert stage.resolver is not None, "this fault is for systems with a name"
    trouble = stage.chance.choice(tuple(Unresolved))
    with stage.resolver.trouble(trouble):
        _make_anew(stage)
        stage.pause(2.0, 8.0)
    stage.did[trouble] += 1


def no_openssl() -> str:
    """Say that the program is missing that makes the certificates; empty where it is there."""
    return "" if shutil.which("openssl") else "openssl cannot be found"


def _make_anew(stage: Stage) -> None:
    """Have the ticket system's connections end; those to Nexthink may carry a call that nobody may cut."""
    _, jira = stage.fronts
    jira.cut()
