"""Passes connections on from one address to another, as the way between two hosts on one machine.

It must not look into what it passes on.
"""

import contextlib
import socket
import sys
import threading

PIECE_BYTES = 1 << 16


def pass_on(here: tuple[str, int], there: tuple[str, int] | str) -> socket.socket:
    """Listen, and connect each visitor with another address, a path being Unix's; return the listener."""
    listener = socket.create_server(here, backlog=128)
    threading.Thread(target=_serve, args=(listener, there), daemon=True).start()
    return listener


def _serve(listener: socket.socket, there: tuple[str, int] | str) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_join, args=(visitor, there), daemon=True).start()


def _join(visitor: socket.socket, there: tuple[str, int] | str) -> None:
    try:
        if isinstance(there, str):
            far = socket.socket(socket.AF_UNIX)
            far.connect(there)
        else:
            far = socket.create_connection(there, timeout=10)
            far.settimeout(None)
    except OSError:
        visitor.close()
        return
    threading.Thread(target=_pump, args=(visitor, far), daemon=True).start()
    _pump(far, visitor)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until one side ends, then end the other."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    # Arguments: LOCAL_PORT=HOST:PORT; ends with its input.
    for way in sys.argv[1:]:
        port, _, far = way.partition("=")
        host, _, far_port = far.partition(":")
        pass_on(("127.0.0.1", int(port)), (host, int(far_port)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
