"""What stands before the outside systems in a campaign does the damage that it says, and says who bore it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench.chaos import memory, resolver
from bench.chaos.certificates import Authority, Distrusted
from bench.chaos.fronts import Front, Unreachable
from bench.chaos.pairs import Pair, pair
from bench.chaos.resolver import Resolver, Unresolved
from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, NoResponse
from bridge.transport import Transport

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
# A question for the IPv4 address of a.b, with the number 7.
QUESTION = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is missing")
    authority = Authority(tmp_path / "tls", "IP:127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as system:
        threading.Thread(target=_answer_all, args=(system,), daemon=True).start()
        made = Front(system.getsockname(), authority.contexts)
        yield made
        made.close()
        system.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def transport(front: Front, tmp_path: Path) -> Iterator[Transport]:
    made = Transport(ca_file=tmp_path / "tls" / "authority.pem")
    yield made
    made.close()


def _answer_all(system: socket.socket) -> None:
    while True:
        try:
            visitor, _ = system.accept()
        except OSError:
            return
        with visitor:
            visitor.recv(65536)
            visitor.sendall(ANSWER)


def _send(transport: Transport, front: Front) -> HttpResponse | NoResponse:
    request = HttpRequest(method="GET", url=f"https://127.0.0.1:{front.port}/", headers=(), body=b"")
    return transport.send(request, deadline=10, first_byte_within=0.5, fresh=True)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        *((each, Reason.TLS_FAILED) for each in Distrusted),
        (Unreachable.REFUSED, Reason.NOT_CONNECTED),
        (Unreachable.STALLED, Reason.NOT_CONNECTED),
    ],
)
def test_nothing_is_sent_while_there_is_trouble_and_all_is_well_behind_it(
    front: Front, transport: Transport, trouble: Unreachable | Distrusted, reason: Reason
) -> None:
    with front.trouble(trouble):
        answer = _send(transport, front)
        assert isinstance(answer, NoResponse)
        assert (answer.sent, answer.reason) == (False, reason)
    assert front.trusted == []
    assert isinstance(_send(transport, front), HttpResponse)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen where name servers are asked")
@pytest.mark.parametrize(("trouble", "code"), [(None, 0), (Unresolved.FAILED, 2), (Unresolved.UNKNOWN, 3)])
def test_a_name_server_of_ours_answers_as_it_is_told(trouble: Unresolved | None, code: int) -> None:
    server = Resolver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        try:
            if trouble is None:
                answer = _asked(client)
            else:
                with server.trouble(trouble):
                    answer = _asked(client)
        finally:
            server.close()
    assert answer[:2] == QUESTION[:2]
    assert answer[3] & 0x0F == code
    assert answer.endswith(socket.inet_aton("127.0.0.1")) == (trouble is None)


def _asked(client: socket.socket) -> bytes:
    client.sendto(QUESTION, resolver.HERE)
    return client.recv(512)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc, which is Linux's")
def test_a_peak_is_seen_although_it_is_over() -> None:
    program = "input(); b'x' * 80_000_000; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        before = memory.held([process.pid])
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        grown = memory.growth(before)
        process.stdin.write(b"\n")
    assert grown is not None
    assert 70 < grown < 100


@pytest.mark.journey
def test_what_a_primary_called_committed_is_there_behind_every_failover() -> None:
    with pair() as both:
        with psycopg.connect(both.address, autocommit=True) as connection:
            connection.execute("CREATE TABLE numbers (number int)")
        for stopped in ("walsender", "walreceiver"):
            told: list[int] = []
            client = threading.Thread(target=_commit_until_it_ends, args=(both, told))
            client.start()
            assert both.kill_primary(stopped=stopped) == 1
            client.join()
            both.promote()
            both.mend()
            with psycopg.connect(both.address) as connection:
                found = {number for (number,) in connection.execute("DELETE FROM numbers RETURNING number")}
            # Of the last one nobody was told, and it may be there or not.
            assert set(told) <= found <= {*told, len(told)}


def _commit_until_it_ends(both: Pair, told: list[int]) -> None:
    """Commit one number after the other, and note each of which the server says that it is committed."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(both.address) as connection:
        while True:
            connection.execute("INSERT INTO numbers VALUES (%s)", (len(told),))
            connection.commit()
            told.append(len(told))
