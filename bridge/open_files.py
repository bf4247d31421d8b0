"""How many files a process may have open, and how many a worker's calls need.

It must not lower a limit, nor raise one that only an administrator may raise.
"""

import resource

from bridge.resolving import AT_ONCE

# The ledger, logs, mapping files, idle connections, and what libraries open for a moment.
SPARE = 128


def provide(*, max_in_flight: int, comment_senders: int) -> str | None:
    """Raise this process's own limit to what so many calls may need; return what is wrong, else None.

    A call needs one connection, and up to eight while devices are looked up; the latter is only wished for.
    """
    needed = max_in_flight + comment_senders + SPARE
    wished = max_in_flight * AT_ONCE + comment_senders + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wished:
        return None
    reachable = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
    if reachable > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
            soft = reachable
        except (OSError, ValueError):
            # Some systems have a lower limit of their own than they tell; then the one that stands counts.
            pass
    if soft < needed:
        return f"{max_in_flight} calls need {needed} open files, and {soft} are allowed (raise `ulimit -n`)"
    return None
