"""The process apart: calls what it is told to, and has neither our environment nor files to write to."""

import os
import pickle
import resource
import select
import signal
import sys

# Bytes of memory, and seconds after which a process that nobody asks ends.
MEMORY = 1024 * 1024 * 1024
IDLE_SECONDS = 300.0
# Where nobody is left to end a call that takes too long, it ends so much later by itself.
GRACE_SECONDS = 2.0


def main() -> None:
    """Take one call after another from standard input, and write what each came to."""
    # What prints must not write into the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Pipes are no files: everything but the answers is refused.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        try:
            seconds, function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - only our parent writes there
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
        try:
            answer = pickle.dumps((function(*args, **kwargs),))
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            answer = pickle.dumps(type(error).__name__)
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(answer)
        answers.flush()


if __name__ == "__main__":
    main()
