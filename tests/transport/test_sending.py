"""What the transport says of every way in which a request can go wrong, over real sockets."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from bridge.errors import ConfigurationError, Reason
from bridge.models import HttpRequest, HttpResponse, NoResponse
from bridge.transport import MAX_BODY, MAX_IDLE_LINES, Transport, boot_clock

Serve = Callable[..., Any]


def post(url: str, body: bytes = b'{"a": 1}') -> HttpRequest:
    headers = (("Content-Type", "application/json"), ("Authorization", "Basic c2VjcmV0"))
    return HttpRequest(method="POST", url=f"{url}/api/run", headers=headers, body=body)


def good(visit: Any) -> None:
    while visit.read_request():
        visit.answer(b"[]", "Content-Type: application/json", "X-Twice: a", "X-Twice: b")


def test_an_answer_comes_back_whole_with_lower_case_header_names(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    answer = transport.send(post(server.url), deadline=5)
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.header("content-type") == "application/json"
    assert [value for name, value in answer.headers if name == "x-twice"] == ["a", "b"]


def test_the_request_on_the_wire_is_what_was_asked_for(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    transport.send(post(server.url), deadline=5)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /api/run HTTP/1.1"
    assert b"Authorization: Basic c2VjcmV0" in lines
    assert b"User-Agent: nexthink-ticket-bridge" in lines
    assert b"Content-Length: 8" in lines
    assert body == b'{"a": 1}'


def test_a_get_has_no_body(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    transport.send(HttpRequest(method="GET", url=server.url + "/x?q=1"), deadline=5)
    assert server.requests[0].startswith(b"GET /x?q=1 HTTP/1.1\r\n")
    assert b"content-length" not in server.requests[0].lower()


# ── nothing left ─────────────────────────────────────────────────────────────────────────────────────────


def assert_not_sent(answer: HttpResponse | NoResponse, reason: Reason) -> None:
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (False, reason)


def test_s2_a_refused_connection_was_not_sent(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert_not_sent(transport.send(post(f"http://127.0.0.1:{port}"), deadline=5), Reason.NOT_CONNECTED)


def test_s2_a_name_that_cannot_be_resolved_was_not_sent(transport: Transport) -> None:
    # A label of 64 characters is refused by the resolver itself, so no question leaves this machine.
    url = f"http://{'a' * 64}.example"
    assert_not_sent(transport.send(post(url), deadline=5), Reason.NOT_CONNECTED)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "http://", "http://u:p@127.0.0.1", "http://127.0.0.1:x", "x"]
)
def test_s2_an_address_that_cannot_be_sent_to_was_not_sent(url: str, transport: Transport) -> None:
    assert_not_sent(transport.send(post(url), deadline=5), Reason.NOT_CONNECTED)


def test_s2_a_header_that_cannot_be_written_was_not_sent(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    request = HttpRequest(method="GET", url=server.url, headers=(("X-Bad", "a\r\nInjected: b"),))
    assert_not_sent(transport.send(request, deadline=5), Reason.NOT_CONNECTED)
    assert server.requests == []


def test_s2_an_unknown_certificate_was_not_sent(serve: Serve, transport: Transport, certificate: Any) -> None:
    server = serve(good, certificate.server_context)
    assert_not_sent(transport.send(post(server.url), deadline=5), Reason.TLS_FAILED)
    assert server.requests == []


def test_s2_a_certificate_of_another_name_was_not_sent(serve: Serve, other_certificate: Any) -> None:
    server = serve(good, other_certificate.server_context)
    transport = Transport(ca_file=other_certificate.file)
    assert_not_sent(transport.send(post(server.url), deadline=5), Reason.TLS_FAILED)
    assert server.requests == []


def test_s2_a_server_without_tls_was_not_sent(serve: Serve, transport: Transport) -> None:
    server = serve(lambda visit: visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    url = server.url.replace("http:", "https:")
    assert_not_sent(transport.send(post(url), deadline=5), Reason.TLS_FAILED)


def test_s2_a_handshake_that_never_ends_was_not_sent_and_ends(serve: Serve, transport: Transport) -> None:
    server = serve(lambda visit: visit.over.wait(10))
    began = time.monotonic()
    answer = transport.send(post(server.url.replace("http:", "https:")), deadline=0.4)
    assert isinstance(answer, NoResponse)
    assert not answer.sent
    assert time.monotonic() - began < 2


def test_a_trusted_certificate_is_answered(serve: Serve, certificate: Any) -> None:
    server = serve(good, certificate.server_context)
    answer = Transport(ca_file=certificate.file).send(post(server.url), deadline=5)
    assert isinstance(answer, HttpResponse)


def test_a_ca_file_replaces_the_public_certificates(certificate: Any) -> None:
    context = Transport(ca_file=certificate.file)._context
    assert [ca["subject"] for ca in context.get_ca_certs()] == [((("commonName", "bridge test"),),)]


def test_a_ca_file_that_is_none_is_told_at_start(tmp_path: Any) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not a certificate")
    for path in (wrong, tmp_path / "absent.pem"):
        with pytest.raises(ConfigurationError, match="CA_FILE"):
            Transport(ca_file=path)


# ── S4: too late ─────────────────────────────────────────────────────────────────────────────────────────


def test_s4_a_sender_that_is_late_does_not_send(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    answer = transport.send(post(server.url), deadline=60, first_byte_within=5, started=boot_clock() - 5.1)
    assert_not_sent(answer, Reason.TOO_LATE_TO_SEND)
    assert server.requests == []


def test_s4_lateness_is_looked_at_after_the_handshake(serve: Serve, certificate: Any) -> None:
    context = certificate.server_context

    def slow_handshake(visit: Any) -> None:
        time.sleep(0.5)
        visit.sock = context.wrap_socket(visit.sock, server_side=True)
        good(visit)

    server = serve(slow_handshake)
    transport = Transport(ca_file=certificate.file)
    url = server.url.replace("http:", "https:")
    answer = transport.send(post(url), deadline=60, first_byte_within=0.3)
    assert isinstance(answer, NoResponse)
    assert not answer.sent
    assert server.requests == []


def test_s4_a_sender_in_time_sends(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    answer = transport.send(post(server.url), deadline=60, first_byte_within=5, started=boot_clock() - 4)
    assert isinstance(answer, HttpResponse)


def test_s4_the_deadline_counts_from_the_intent(serve: Serve, transport: Transport) -> None:
    server = serve(lambda visit: (visit.read_request(), visit.over.wait(10)))
    began = time.monotonic()
    answer = transport.send(post(server.url), deadline=10, started=boot_clock() - 9.6)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.DEADLINE)
    assert time.monotonic() - began < 2


# ── something left ───────────────────────────────────────────────────────────────────────────────────────

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset_before_reading(visit: Any) -> None:
    time.sleep(0.05)  # the client must have connected and written, which the kernel takes without us
    visit.reset()


def reset_after_reading(visit: Any) -> None:
    visit.read_request()
    visit.reset()


def close_after_reading(visit: Any) -> None:
    visit.read_request()


def after(head: bytes) -> Callable[[Any], None]:
    def script(visit: Any) -> None:
        visit.read_request()
        visit.say(head)

    return script


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (reset_before_reading, Reason.CONNECTION_LOST),
        (reset_after_reading, Reason.CONNECTION_LOST),
        (close_after_reading, Reason.CONNECTION_LOST),
        (after(HEAD + b"Content-Length: 100\r\n\r\nshort"), Reason.CONNECTION_LOST),
        (after(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"), Reason.CONNECTION_LOST),
        (after(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"), Reason.ANSWER_UNREADABLE),
        (after(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"), Reason.ANSWER_UNREADABLE),
        (after(b"SSH-2.0-OpenSSH_9.9\r\n"), Reason.ANSWER_UNREADABLE),
        (after(b"HTTP/1.1 abc\r\n\r\n"), Reason.ANSWER_UNREADABLE),
        (after(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), Reason.ANSWER_UNREADABLE),
        (after(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n"), Reason.ANSWER_UNREADABLE),
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_s2_an_error_after_the_first_byte_was_sent(
    script: Any, reason: Reason, fresh: bool, serve: Serve, transport: Transport
) -> None:
    server = serve(script)
    answer = transport.send(post(server.url), deadline=5, fresh=fresh)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, reason)
    assert server.visits == 1


def test_s2_a_tls_error_after_the_first_byte_was_sent(serve: Serve, certificate: Any) -> None:
    def garble(visit: Any) -> None:
        visit.read_request()
        with socket.socket(fileno=visit.sock.detach()) as raw:
            raw.sendall(b"this is no TLS record at all, is it")

    server = serve(garble, certificate.server_context)
    answer = Transport(ca_file=certificate.file).send(post(server.url), deadline=5)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.CONNECTION_LOST)
    assert len(server.requests) == 1


def test_s2_a_body_that_the_server_does_not_take_was_sent(serve: Serve, transport: Transport) -> None:
    def take_little(visit: Any) -> None:
        visit.sock.recv(100)
        visit.reset()

    server = serve(take_little)
    answer = transport.send(post(server.url, b"x" * 8_000_000), deadline=5)
    assert isinstance(answer, NoResponse)
    assert answer.sent
    assert server.visits == 1


# ── bounded in time ──────────────────────────────────────────────────────────────────────────────────────


def stall(visit: Any) -> None:
    visit.read_request()
    visit.over.wait(10)


def drip_headers(visit: Any) -> None:
    visit.read_request()
    visit.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 500, 0.05)


def drip_body(visit: Any) -> None:
    visit.read_request()
    visit.say(HEAD + b"Content-Length: 500\r\n\r\n")
    visit.drip(b"a" * 500, 0.05)


def drip_chunks(visit: Any) -> None:
    visit.read_request()
    visit.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    visit.drip(b"1\r\na\r\n" * 100, 0.05)


def endless_continues(visit: Any) -> None:
    visit.read_request()
    while not visit.over.is_set():
        visit.say(b"HTTP/1.1 100 Continue\r\n\r\n")


def refuse_to_read(visit: Any) -> None:
    visit.over.wait(10)


@pytest.mark.parametrize(
    "script", [stall, drip_headers, drip_body, drip_chunks, endless_continues, refuse_to_read]
)
def test_everything_ends_at_the_deadline(script: Any, serve: Serve, transport: Transport) -> None:
    server = serve(script)
    began = time.monotonic()
    answer = transport.send(post(server.url, b"x" * 8_000_000), deadline=0.5)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.DEADLINE)
    assert 0.4 < time.monotonic() - began < 2


def test_a_dripping_tls_answer_ends_at_the_deadline(serve: Serve, certificate: Any) -> None:
    server = serve(drip_headers, certificate.server_context)
    began = time.monotonic()
    answer = Transport(ca_file=certificate.file).send(post(server.url), deadline=0.5)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.DEADLINE)
    assert time.monotonic() - began < 2


# ── bounded in memory ────────────────────────────────────────────────────────────────────────────────────


def test_a_huge_answer_is_cut_off(serve: Serve, transport: Transport) -> None:
    def huge(visit: Any) -> None:
        visit.read_request()
        visit.say(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        while not visit.over.is_set():
            visit.say(b"a" * 65536)

    answer = transport.send(post(serve(huge).url), deadline=5)
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.ANSWER_TOO_LARGE)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_gzip_bomb_stays_small(framing: str, serve: Serve, transport: Transport) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=9)

    def explode(visit: Any) -> None:
        visit.read_request()
        if framing == "length":
            visit.answer(bomb, "Content-Encoding: gzip")
        else:
            visit.say(HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
            visit.say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(bomb), bomb))

    server = serve(explode)
    tracemalloc.start()
    try:
        answer = transport.send(post(server.url), deadline=10)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answer, NoResponse)
    assert (answer.sent, answer.reason) == (True, Reason.ANSWER_TOO_LARGE)
    assert peak < 10 * MAX_BODY


def test_a_gzip_answer_is_decoded(serve: Serve, transport: Transport) -> None:
    server = serve(
        lambda visit: (visit.read_request(), visit.answer(gzip.compress(b"[1]"), "Content-Encoding: gzip"))
    )
    answer = transport.send(post(server.url), deadline=5)
    assert isinstance(answer, HttpResponse)
    assert answer.body == b"[1]"


def test_an_answer_of_exactly_the_limit_is_whole(serve: Serve) -> None:
    server = serve(lambda visit: (visit.read_request(), visit.answer(b"a" * visit.number * 1000)))
    transport = Transport(ca_file=None, max_body=1000)
    exact = transport.send(post(server.url), deadline=5, fresh=True)
    over = transport.send(post(server.url), deadline=5, fresh=True)
    assert isinstance(exact, HttpResponse)
    assert len(exact.body) == 1000
    assert isinstance(over, NoResponse)


# ── nothing is followed, kept or borrowed ────────────────────────────────────────────────────────────────


def test_a_redirect_is_an_answer_and_is_not_followed(serve: Serve, transport: Transport) -> None:
    target = serve(good)
    server = serve(
        lambda visit: (
            visit.read_request(),
            visit.answer(b"", f"Location: {target.url}/elsewhere", status="307 Temporary Redirect"),
        )
    )
    answer = transport.send(post(server.url), deadline=5)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 307
    assert (server.visits, target.visits) == (1, 0)


def test_cookies_are_not_kept(serve: Serve, transport: Transport) -> None:
    def bake(visit: Any) -> None:
        while visit.read_request():
            visit.answer(b"{}", "Set-Cookie: session=1; Path=/")

    server = serve(bake)
    for _ in range(2):
        transport.send(post(server.url), deadline=5)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


def test_the_environment_chooses_no_proxy_and_no_password(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server = serve(good)
    answer = transport.send(HttpRequest(method="GET", url=server.url), deadline=5)
    assert isinstance(answer, HttpResponse)
    assert b"authorization" not in server.requests[0].lower()


def test_a_failure_leaks_no_secret(serve: Serve, transport: Transport) -> None:
    server = serve(reset_after_reading)
    request = HttpRequest(
        method="POST",
        url=f"{server.url}/canary-path?token=canary-query",
        headers=(("Authorization", "Basic canary-header"),),
        body=b"canary-body",
    )
    answer = transport.send(request, deadline=5)
    assert isinstance(answer, NoResponse)
    assert "canary" not in repr(answer)
    assert "127.0.0.1" not in repr(answer)
    assert "canary" not in repr(request).replace("canary-path?token=canary-query", "")


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────


def test_s3_an_act_call_has_a_connection_of_its_own(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    transport.send(post(server.url), deadline=5)
    for _ in range(2):
        transport.send(post(server.url), deadline=5, fresh=True)
    assert server.visits == 3
    assert b"Connection: close" in server.requests[1]


def test_s3_reads_and_comments_reuse_a_connection(serve: Serve, transport: Transport) -> None:
    server = serve(good)
    for _ in range(3):
        transport.send(post(server.url), deadline=5)
    assert (server.visits, len(server.requests)) == (1, 3)


def test_s3_tls_connections_share_one_context(serve: Serve, certificate: Any) -> None:
    server = serve(good, certificate.server_context)
    transport = Transport(ca_file=certificate.file)
    before = transport._context.cert_store_stats()
    for _ in range(2):
        assert isinstance(transport.send(post(server.url), deadline=5, fresh=True), HttpResponse)
    assert transport._context.cert_store_stats() == before  # nothing was added on the way


def test_hosts_do_not_share_connections(serve: Serve, transport: Transport) -> None:
    first, second = serve(good), serve(good)
    for server in (first, second, first):
        assert isinstance(transport.send(post(server.url), deadline=5), HttpResponse)
    assert (len(first.requests), len(second.requests)) == (2, 1)


def test_a_line_that_the_server_closed_is_opened_anew(serve: Serve, transport: Transport) -> None:
    def once(visit: Any) -> None:
        visit.read_request()
        visit.answer(b"[]")

    server = serve(once)
    for _ in range(2):
        assert isinstance(transport.send(post(server.url), deadline=5), HttpResponse)
        time.sleep(0.05)
    assert server.visits == 2


def test_a_reused_line_that_dies_under_the_request_was_sent_once(serve: Serve, transport: Transport) -> None:
    def second_dies(visit: Any) -> None:
        visit.read_request()
        visit.answer(b"[]")
        visit.read_request()
        visit.reset()

    server = serve(second_dies)
    assert isinstance(transport.send(post(server.url), deadline=5), HttpResponse)
    answer = transport.send(post(server.url), deadline=5)
    assert isinstance(answer, NoResponse)
    assert answer.sent
    assert (server.visits, len(server.requests)) == (1, 2)


def test_a_line_with_an_unread_rest_is_not_reused(serve: Serve) -> None:
    def too_much(visit: Any) -> None:
        while visit.read_request():
            visit.answer(b"a" * 5000)

    server = serve(too_much)
    transport = Transport(ca_file=None, max_body=1000)
    for _ in range(2):
        assert isinstance(transport.send(post(server.url), deadline=5), NoResponse)
    assert server.visits == 2


def test_concurrent_requests_each_have_a_line(serve: Serve, transport: Transport) -> None:
    together = threading.Barrier(8, timeout=5)

    def wait_for_all(visit: Any) -> None:
        visit.read_request()
        together.wait()
        visit.answer(b"[]")

    server = serve(wait_for_all)
    answers: list[HttpResponse | NoResponse] = []
    threads = [
        threading.Thread(target=lambda: answers.append(transport.send(post(server.url), deadline=5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(answer) for answer in answers] == [HttpResponse] * 8


def test_idle_lines_are_capped_and_the_oldest_is_closed(serve: Serve, transport: Transport) -> None:
    hung_up = threading.Event()

    def until_closed(visit: Any) -> None:
        good(visit)  # returns when the client closes
        hung_up.set()

    oldest = serve(until_closed)
    transport.send(post(oldest.url), deadline=5)
    for _ in range(MAX_IDLE_LINES - 1):
        transport.send(post(serve(good).url), deadline=5)
    assert not hung_up.is_set()
    transport.send(post(serve(good).url), deadline=5)
    assert hung_up.wait(2)
