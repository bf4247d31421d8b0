"""Measures events from the webhook to the comment, the bridge against a version that keeps nothing.

Every round starts each contender anew, one after the other, on the same machine and upstream, so that what
disturbs one disturbs all. It must not judge: it prints medians and ratios, and refuses a run that lost an
event or did one twice. Linux only (processor time is read from /proc).
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bench import contenders, load, node_red, processor
from bench.contenders import Contender, Name, Postgresql
from bench.load import Devices
from bench.upstreams import Manner, Upstream, upstream

# Seconds after which events that have not become comments are called lost.
LOST_SECONDS = 30.0
# What a contender still does after its last comment counts as well.
SETTLING_SECONDS = 0.3
UPSTREAM_REQUESTS = 4_000


class Way(StrEnum):
    """How the upstream answers."""

    PLAIN = "at once"
    TLS = "over TLS"
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One load of one contender; rates for each second, processor times in milliseconds for each event."""

    contender: Name
    devices: Devices
    upstream: Way
    events_per_second: float
    accepted_per_second: float
    contender_ms: float
    database_ms: float
    upstream_ms: float
    client_ms: float
    repeated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    rounds: int
    events: int
    connections: int
    tls: bool
    late_ms: float
    node_red: bool
    json: bool

    def ways(self) -> dict[Way, Manner]:
        """Return each upstream that takes part."""
        seconds = self.late_ms / 1_000
        late = {Way.LATE: Manner(call_seconds=seconds, other_seconds=seconds)} if seconds else {}
        return {Way.PLAIN: Manner()} | ({Way.TLS: Manner(tls=True)} if self.tls else {}) | late


def main() -> None:
    """Measure as the command line asks, and print what came of it."""
    options = _options()
    taking_part = list(contenders.WHOLE_WAY)
    if options.node_red and (missing := node_red.missing()):
        print(f"Node-RED is not measured: {missing}", file=sys.stderr)
    elif options.node_red:
        taking_part.insert(1, Name.NODE_RED)
    with ExitStack() as stack:
        server = stack.enter_context(contenders.postgresql())
        upstreams = {way: stack.enter_context(upstream(manner)) for way, manner in options.ways().items()}
        alone = _upstream_alone(upstreams[Way.PLAIN], options.connections)
        measured = [
            measurement
            for number in range(options.rounds)
            for measurement in _round(number, taking_part, upstreams, server, options)
        ]
    report = _report(options, taking_part, alone, measured)
    print(json.dumps(report, indent=2) if options.json else _table(report))


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.end_to_end", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is started")
    parser.add_argument("--events", type=int, default=400, help="webhooks for each measurement")
    parser.add_argument("--connections", type=int, default=24, help="kept connections that send them")
    parser.add_argument("--tls", action="store_true", help="measure over TLS as well")
    parser.add_argument("--late-ms", type=float, default=0.0, help="measure with answers so late as well")
    parser.add_argument("--node-red", action="store_true", help="measure Node-RED as well, installed by npm")
    parser.add_argument("--json", action="store_true", help="print every measurement for programs")
    return Options(**vars(parser.parse_args()))


def _upstream_alone(upstream: Upstream, connections: int) -> float:
    """Return the requests a second that the upstream answers when nobody else works."""
    body = json.dumps({"deviceUids": ["0" * 32], "timeoutSeconds": 60}).encode()
    head = f"POST /api/remoteaction/v2/run HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    sent = asyncio.run(
        load.send(upstream.port, [head.encode() + body] * UPSTREAM_REQUESTS, connections=connections)
    )
    return UPSTREAM_REQUESTS / (sent.accepted - sent.began)


def _round(
    number: int,
    taking_part: list[Name],
    upstreams: dict[Way, Upstream],
    server: Postgresql,
    options: Options,
) -> list[Measurement]:
    measured: list[Measurement] = []
    for name in taking_part:
        for way, answering in upstreams.items():
            with contenders.running(name, answering, server) as contender:
                database = server.process if name is Name.POSTGRESQL else None
                for devices in Devices:
                    # Before it counts, every process has loaded what it needs and every connection is made.
                    carry(answering, contender, devices, max(20, options.events // 10), options.connections)
                    measured.append(_measure(answering, way, name, contender, database, devices, options))
                    _progress(number, measured[-1])
    return measured


def _measure(
    upstream: Upstream,
    way: Way,
    name: Name,
    contender: Contender,
    database: int | None,
    devices: Devices,
    options: Options,
) -> Measurement:
    def used() -> tuple[float, float, float, float]:
        return (
            sum(map(processor.seconds, contender.processes)),
            processor.seconds(database) if database else 0.0,
            processor.seconds(upstream.process),
            time.process_time(),
        )

    before = used()
    sent, last_comment_at = carry(upstream, contender, devices, options.events, options.connections)
    time.sleep(SETTLING_SECONDS)
    mine, databases, upstreams, clients = (
        1_000 * (after - start) / options.events for after, start in zip(used(), before, strict=True)
    )
    return Measurement(
        contender=name,
        devices=devices,
        upstream=way,
        events_per_second=options.events / (last_comment_at - sent.began),
        accepted_per_second=options.events / (sent.accepted - sent.began),
        contender_ms=mine,
        database_ms=databases,
        upstream_ms=upstreams,
        client_ms=clients,
        repeated=sent.repeated,
    )


def carry(
    upstream: Upstream, contender: Contender, devices: Devices, count: int, connections: int
) -> tuple[load.Sent, float]:
    """Send so many events and wait for their comments; return when the last one came (monotonic).

    Raises RuntimeError where one is lost, or made two calls or comments.
    """
    # Numbers never repeat: what is an event for the bridge must be an issue of its own.
    requests = load.webhooks(devices, count, first=time.time_ns() // 1_000_000)
    upstream.reset()
    sent = asyncio.run(load.send(contender.port, requests, connections=connections))
    while (counts := upstream.counts()).get("comments", 0) < count:
        if time.monotonic() > sent.accepted + LOST_SECONDS:
            raise RuntimeError(f"of {count} events only {counts.get('comments', 0)} became comments")
        time.sleep(0.02)
    if (counts["calls"], counts["comments"], counts.get("other", 0)) != (count, count, 0):
        raise RuntimeError(f"{count} events made {counts}")
    return sent, counts["last_comment_at"]


def _progress(number: int, measured: Measurement) -> None:
    print(
        f"round {number + 1}: {measured.contender}, by {measured.devices}, {measured.upstream}: "
        f"{measured.events_per_second:.0f} events/s, {measured.contender_ms:.1f} ms",
        file=sys.stderr,
        flush=True,
    )


def _report(
    options: Options, taking_part: list[Name], upstream_alone: float, measured: list[Measurement]
) -> dict[str, Any]:
    rows = [
        _median(measured, name, devices, way)
        for way in options.ways()
        for devices in Devices
        for name in taking_part
    ]
    return {
        "machine": {"processors": os.cpu_count(), "sync_ms": round(_sync_ms(), 2)},
        "rounds": options.rounds,
        "events": options.events,
        "connections": options.connections,
        "upstream_alone_per_second": round(upstream_alone),
        "medians": rows,
        "measurements": [asdict(measurement) for measurement in measured],
    }


def _median(measured: list[Measurement], name: Name, devices: Devices, way: Way) -> dict[str, Any]:
    """Return one contender's medians, its ratios to the handwritten version, and what its upstream adds."""

    def median(of: Name, figure: str, over: Way = way) -> float:
        mine = [
            each for each in measured if (each.contender, each.devices, each.upstream) == (of, devices, over)
        ]
        return float(statistics.median(getattr(each, figure) for each in mine))

    def own(over: Way) -> float:
        return median(name, "contender_ms", over) + median(name, "database_ms", over)

    figures = [
        figure for figure in Measurement.__slots__ if figure not in {"contender", "devices", "upstream"}
    ]
    return {
        "contender": name,
        "devices": devices,
        "upstream": way,
        **{figure: round(median(name, figure), 2) for figure in figures},
        "events_ratio": round(
            median(name, "events_per_second") / median(Name.HANDWRITTEN, "events_per_second"), 2
        ),
        "processor_ratio": round(own(way) / median(Name.HANDWRITTEN, "contender_ms"), 2),
        "more_ms": round(own(way) - own(Way.PLAIN), 2),
    }


def _sync_ms() -> float:
    """Return what one durable write of a page costs where the ledgers lie."""
    taken: list[float] = []
    with tempfile.NamedTemporaryFile(prefix="bench-") as file:
        for _ in range(50):
            file.write(b"x" * 4_096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return 1_000 * statistics.median(taken)


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [
        (
            f"{machine['processors']} processors, a durable write {machine['sync_ms']} ms; "
            f"medians of {report['rounds']} rounds of {report['events']} events over "
            f"{report['connections']} connections"
        ),
        f"the upstream alone: {report['upstream_alone_per_second']} requests/s",
        "",
        (
            f"{'':<20} {'devices':<8} {'upstream':<8} {'events/s':>9} {'ratio':>6} | "
            "ms of processor time an event: "
            f"{'contender':>9} {'database':>9} {'ratio':>6} {'more':>6} {'upstream':>9} {'client':>7}"
        ),
    ]
    lines += [
        f"{row['contender']:<20} by {row['devices']:<5} {row['upstream']:<8} "
        f"{row['events_per_second']:>9.0f} {row['events_ratio']:>6.2f} | {'':<31}"
        f"{row['contender_ms']:>9.2f} {row['database_ms']:>9.2f} "
        f"{row['processor_ratio']:>6.2f} {row['more_ms']:>6.2f} {row['upstream_ms']:>9.2f} "
        f"{row['client_ms']:>7.2f}"
        for row in report["medians"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
