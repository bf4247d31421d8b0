"""Every fault strikes where it says, and the witness knows what was carried out."""

import gzip
import json
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.sandbox.client import SandboxError
from bridge.sandbox.faults import FaultKind
from bridge.sandbox.running import Sandbox

RUN = "/api/remoteaction/v2/run"


def counted(nexthink):
    return [call["executed"] for call in nexthink.calls()["calls"]]


def test_a_reset_before_the_request_was_read_is_not_counted(run, nexthink):
    nexthink.fault("reset_before_read", path=RUN)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        run()
    assert counted(nexthink) == []
    assert nexthink.requests() == [
        nexthink.requests()[0] | {"fault": "reset_before_read", "status": None, "path": RUN}
    ]


def test_a_reset_on_connect_strikes_before_any_byte(nexthink, sandbox):
    nexthink.call("POST", "faults", {"kind": "reset_on_connect"})
    address = ("127.0.0.1", urlsplit(sandbox.nexthink_url).port)
    # The reset may come while the connection is still being made.
    with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=5) as connection:
        connection.recv(1)
    assert nexthink.requests() == []


def test_a_reset_after_the_request_was_read_is_counted(run, nexthink):
    nexthink.fault("reset_after_read", path=RUN)
    with pytest.raises(ConnectionResetError):
        run()
    assert counted(nexthink) == [True]


def test_a_reset_in_the_body_comes_after_the_head(run, nexthink):
    nexthink.fault("reset_mid_body", path=RUN)
    with pytest.raises((ConnectionResetError, IncompleteRead)):
        run()
    assert counted(nexthink) == [True]


@pytest.mark.parametrize("kind", ["short_body", "bad_chunks"])
def test_a_body_that_does_not_keep_its_word_cannot_be_read(run, nexthink, kind):
    nexthink.fault(kind, path=RUN)
    with pytest.raises(HTTPException):
        run()
    assert counted(nexthink) == [True]


def test_a_status_stands_in_for_the_system_unless_told_otherwise(run, nexthink):
    nexthink.fault("status", path=RUN, status=503)
    assert run(requestUid="a").status == 503
    nexthink.fault("status", path=RUN, status=503, carried_out=True)
    assert run(requestUid="b").status == 503
    seen = [(call["request_uid"], call["executed"]) for call in nexthink.calls()["calls"]]
    assert seen == [("a", False), ("b", True)]


def test_a_status_has_the_words_and_headers_of_its_system(request_, run, nexthink, jira, servicenow):
    for control in (nexthink, jira, servicenow):
        control.fault("status", status=429, retry_after="7", headers={"X-Mine": "1"})
    answers = [run(), request_(jira.url, "GET", "/rest/api/3/myself"), request_(servicenow.url, "GET", "/x")]
    assert {answer.status for answer in answers} == {429}
    assert {answer.headers["retry-after"] for answer in answers} == {"7"}
    assert {answer.headers["x-mine"] for answer in answers} == {"1"}
    assert "ratelimit-reason" in answers[1].headers
    assert answers[1].json["errorMessages"] == ["Rate limit exceeded."]
    assert answers[2].json["error"]["message"] == "Rate limit exceeded"


def test_a_retry_after_may_be_a_date(run, nexthink):
    nexthink.fault("status", status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert run().headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"


def test_an_internal_error_is_the_object_of_the_contract(run, nexthink):
    nexthink.fault("status", status=500)
    assert run().json["code"] == "INTERNAL_ERROR"


def test_a_redirect_names_its_target_and_nothing_runs(run, nexthink):
    nexthink.fault("redirect", location="http://elsewhere.example/")
    answer = run()
    assert (answer.status, answer.headers["location"]) == (302, "http://elsewhere.example/")
    assert counted(nexthink) == [False]


@pytest.mark.parametrize(("kind", "body"), [("garbage", b'{"cut"'), ("html", b"<html>"), ("empty", b"")])
def test_an_answer_that_is_no_json_is_200_and_the_call_ran(run, nexthink, kind, body):
    nexthink.fault(kind, path=RUN)
    answer = run()
    assert answer.status == 200
    assert answer.body.startswith(body)
    with pytest.raises(ValueError, match=r".+"):
        json.loads(answer.body)
    assert counted(nexthink) == [True]


def test_a_huge_answer_has_the_size_that_was_asked_for(run, nexthink):
    nexthink.fault("huge", path=RUN, size=2_000_000)
    assert len(run().body) == 2_000_002
    assert counted(nexthink) == [True]


def test_a_bomb_is_small_on_the_wire_and_large_when_decoded(run, nexthink):
    nexthink.fault("gzip_bomb", size=20 * 1024 * 1024)
    answer = run()
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 100_000
    assert len(gzip.decompress(answer.body)) == 20 * 1024 * 1024


def test_an_answer_without_an_end_goes_on_until_the_client_leaves(sandbox, nexthink):
    nexthink.fault("endless", path=RUN)
    with socket.create_connection(("127.0.0.1", urlsplit(sandbox.nexthink_url).port), timeout=10) as client:
        client.sendall(f"GET {RUN} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode())
        received = 0
        while received < 20_000_000:
            received += len(client.recv(1 << 20))
    assert nexthink.requests()[-1]["fault"] == "endless"


def test_a_delay_comes_after_the_call_was_counted(run, nexthink):
    nexthink.fault("delay", path=RUN, seconds=30)
    with pytest.raises(TimeoutError):
        run(timeout=0.3)
    assert counted(nexthink) == [True]


@pytest.mark.parametrize("kind", ["drip_head", "drip_body"])
def test_a_drip_sends_every_byte_slowly(run, nexthink, kind):
    nexthink.fault(kind, path=RUN, seconds=0.001)
    started = time.monotonic()
    assert len(run().json) == 2
    assert time.monotonic() - started > 0.1


def test_a_fault_meets_only_what_matches_and_only_so_often(request_, run, nexthink):
    nexthink.fault(
        "status", method="POST", path="/api/remoteaction/*", body_contains="run-7", skip=1, times=2
    )
    assert request_(nexthink.url, "GET", RUN).status == 404
    assert [run(requestUid=uid).status for uid in ("run-6", "run-7", "run-7", "run-7", "run-7")] == [
        200,
        200,
        503,
        503,
        200,
    ]
    assert nexthink.call("GET", "faults") == []


def test_faults_can_be_cleared_and_bad_ones_are_refused(run, nexthink):
    nexthink.fault("status", status=500, times=99)
    nexthink.clear_faults()
    assert run().status == 200
    with pytest.raises(SandboxError, match="kind"):
        nexthink.fault("earthquake")
    with pytest.raises(SandboxError, match="secnds"):
        nexthink.fault("delay", secnds=3)


def test_the_control_api_wants_json_so_that_no_web_page_can_post_to_it(request_, nexthink):
    body = b'{"kind": "delay"}'
    answer = request_(
        nexthink.url, "POST", "/_sandbox/faults", body=body, headers={"Content-Type": "text/plain"}
    )
    assert answer.status == 415


def test_every_kind_of_fault_is_tried_in_this_file():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FaultKind if f'"{kind.value}"' not in text] == []


# ── the server itself ────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_is_kept_alive(sandbox):
    connection = HTTPConnection("127.0.0.1", urlsplit(sandbox.jira_url).port, timeout=5)
    for _ in range(3):
        connection.request("GET", "/_sandbox/comments")
        connection.getresponse().read()
        used = connection.sock.getsockname()
    connection.request("GET", "/_sandbox/comments")
    assert connection.sock.getsockname() == used
    connection.getresponse().read()
    connection.close()


def test_a_request_in_chunks_is_read_whole(run, nexthink):
    chunks = b'{"requestUid": 1}'
    raw = b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunks), chunks)
    address = ("127.0.0.1", urlsplit(nexthink.url).port)
    with socket.create_connection(address, timeout=5) as connection:
        head = b"POST /_sandbox/faults HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + raw)
        answer = connection.makefile("rb").read()
    assert b"400" in answer.splitlines()[0]
    assert b"requestUid" in answer


@pytest.mark.parametrize(("length", "status"), [("x", b"400"), ("-1", b"400"), ("99999999999", b"413")])
def test_a_length_that_cannot_be_is_refused(nexthink, length, status):
    address = ("127.0.0.1", urlsplit(nexthink.url).port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).split()[1] == status


def test_two_hundred_slow_calls_wait_together(run, nexthink):
    nexthink.answer(code="ok", seconds=1.0)
    started = time.monotonic()
    with ThreadPoolExecutor(200) as pool:
        statuses = list(
            pool.map(lambda number: run(requestUid=f"run-{number}", timeout=30).status, range(200))
        )
    assert statuses == [200] * 200
    assert len(nexthink.calls()["by_request_uid"]) == 200
    assert time.monotonic() - started < 20


def test_stopping_ends_delayed_answers_and_idle_connections():
    sandbox = Sandbox()
    sandbox.start()
    port = urlsplit(sandbox.nexthink_url).port
    idle = HTTPConnection("127.0.0.1", port, timeout=5)
    idle.request(
        "POST", "/_sandbox/faults", b'{"kind": "delay", "seconds": 60}', {"Content-Type": "application/json"}
    )
    idle.getresponse().read()
    waiting = HTTPConnection("127.0.0.1", port, timeout=5)
    waiting.request("GET", "/anything")
    started = time.monotonic()
    time.sleep(0.1)
    sandbox.stop()
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        waiting.getresponse()
    assert idle.sock.recv(1) == b""
    waiting.close()
    idle.close()
    assert time.monotonic() - started < 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_tls_is_served_and_a_client_that_never_shakes_hands_holds_up_nobody(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Sandbox(tls=context) as sandbox:
        assert sandbox.jira_url.startswith("https://")
        port = urlsplit(sandbox.jira_url).port
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            trusting = ssl.create_default_context(cafile=str(certificate))
            with trusting.wrap_socket(
                socket.create_connection(("127.0.0.1", port), timeout=5), server_hostname="127.0.0.1"
            ) as secure:
                secure.sendall(b"GET /rest/api/3/myself HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert secure.recv(12) == b"HTTP/1.1 401"
