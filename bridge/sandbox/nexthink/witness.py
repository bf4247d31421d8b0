"""Remembers every Act call that was received, what tests told the Engines to answer, and who logged on where.

It must not decide whether a call is valid.
"""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, ClassVar

from pydantic import ConfigDict

from bridge.sandbox.nexthink.act import Scripted
from bridge.sandbox.nexthink.world import Logon, SimulatedDevice, SimulatedEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One scripted answer: an Engine's code, or an error code for the whole call.

    `engine` is a name or UID, `device` a name or UID that the call must hold; empty means any. `times` 0
    lasts until the reset. `seconds` is how long the Engine takes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    engine: str = ""
    device: str = ""
    code: str = ""
    message: str = ""
    error: str = ""
    seconds: float = 0.0
    times: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
    """One Act call. `executed` says that at least one Engine took it; `dispatched` are device and Engine."""

    number: int
    at: str
    account: str | None
    request_uid: str | None
    action_uid: str | None
    device_uids: tuple[str, ...]
    engine_uids: tuple[str, ...] | None
    timeout_seconds: float | None
    params: dict[str, str]
    ignored_params: tuple[str, ...]
    executed: bool
    dispatched: tuple[tuple[str, str], ...]
    status: int | None
    answer: Any


class Witness:
    """The calls in the order of their arrival, and the script of answers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: list[SeenCall] = []
        self._scripts: list[Script] = []
        self._logons: list[Logon] = []

    def log_on(self, logon: Logon) -> None:
        """Record a logon."""
        with self._lock:
            self._logons.append(logon)

    def logons(self) -> tuple[Logon, ...]:
        """Return every logon."""
        with self._lock:
            return tuple(self._logons)

    def note(self, call: SeenCall) -> None:
        """Append a call; its number is given here."""
        with self._lock:
            self._calls.append(replace(call, number=len(self._calls) + 1))

    def tell(self, script: Script) -> None:
        """Append to the script; the last word for an Engine wins."""
        with self._lock:
            self._scripts.append(script)

    def reset(self) -> None:
        """Forget calls, script and logons."""
        with self._lock:
            self._calls.clear()
            self._scripts.clear()
            self._logons.clear()

    def scripted_error(self) -> str | None:
        """Return the error code that this call was told to get, and use it up."""
        with self._lock:
            script = next((s for s in self._scripts if s.error), None)
            return None if script is None else self._use(script).error

    def scripted_answer(
        self, engine: SimulatedEngine | None, uid: str, devices: tuple[SimulatedDevice, ...]
    ) -> tuple[Scripted, float] | None:
        """Return what an Engine was told to answer for these devices and how long it takes, if anything."""
        names = {uid} if engine is None else {uid, engine.name}
        asked = {name for device in devices for name in (device.uid, device.name)}
        with self._lock:
            for script in reversed(self._scripts):
                if script.error or (script.engine and script.engine not in names):
                    continue
                if script.device and script.device not in asked:
                    continue
                self._use(script)
                return Scripted(code=script.code, message=script.message), script.seconds
            return None

    def _use(self, script: Script) -> Script:
        index = self._scripts.index(script)
        if script.times == 1:
            del self._scripts[index]
        elif script.times > 1:
            self._scripts[index] = replace(script, times=script.times - 1)
        return script

    def report(self) -> dict[str, Any]:
        """Return the calls and the counts by request and by device and action, as JSON."""
        with self._lock:
            calls = tuple(self._calls)
        by_request = Counter(call.request_uid for call in calls if call.request_uid is not None)
        executed = Counter(
            f"{device}:{call.action_uid}" for call in calls if call.executed for device in call.device_uids
        )
        return {
            "calls": [asdict(call) for call in calls],
            "by_request_uid": dict(by_request),
            "executed_by_device_and_action": dict(executed),
        }
