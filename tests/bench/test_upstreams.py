"""What the contenders call answers and counts alike, whatever serves it: at once, over TLS or late."""

import shutil
import ssl
import time

import pytest
import urllib3

from bench.upstreams import Manner, upstream

COMMENT = "/rest/api/3/issue/1/comment"


@pytest.mark.parametrize(
    "manner",
    [
        Manner(),
        Manner(tls=True),
        Manner(call_seconds=0.2, other_seconds=0.1),
        Manner(tls=True, call_seconds=0.2, other_seconds=0.1),
    ],
    ids=str,
)
def test_an_upstream_answers_and_counts_in_every_manner(manner: Manner) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is missing")
    with upstream(manner) as server:
        trusted = ssl.create_default_context(cafile=server.certificate) if server.certificate else None
        with urllib3.PoolManager(ssl_context=trusted) as pool:
            began = time.monotonic()
            called = pool.request("POST", f"{server.address}/api/remoteaction/v2/run", body=b"{}")
            called_for = time.monotonic() - began
            commented = pool.request("POST", server.address + COMMENT, body=b"{}")
            elsewhere = pool.request("GET", f"{server.address}/elsewhere")
        ended = time.monotonic()
        assert server.address.startswith("https:" if manner.tls else "http:")
        assert [each["code"] for each in called.json()] == ["ok", "ok"]
        assert (commented.status, elsewhere.status) == (201, 404)
        assert called_for >= manner.call_seconds
        counts = server.counts()
        assert (counts["calls"], counts["comments"], counts["other"]) == (1, 1, 1)
        # nginx has milliseconds.
        assert began - 0.01 <= counts["last_comment_at"] <= ended + 0.01
        server.reset()
        assert server.counts().get("calls", 0) == 0
