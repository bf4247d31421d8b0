"""What every answer and every failure means, and the way out, in words for a service desk.

These are tables; the documentation shows them and a test compares the two. Nothing here may claim more than
is known: an Engine that accepts has not executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.errors import Reason
from bridge.models import EngineCode, Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWords:
    """How one Engine's answer stands in the table, and what to do about it."""

    result: str
    tone: Tone
    meaning: str
    way_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is the matter, and the way out."""

    what: str
    way_out: str


ENGINE_WORDS: Final[Mapping[EngineCode, EngineWords]] = {
    EngineCode.OK: EngineWords(
        result="Accepted",
        tone=Tone.GOOD,
        meaning="The Engine took the request.",
        way_out="Accepted is not executed: whether the action ran on the device shows in Nexthink.",
    ),
    EngineCode.TIMEOUT: EngineWords(
        result="No answer in time",
        tone=Tone.WARNING,
        meaning="The Engine did not answer in the time allowed. The action may still run.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
    EngineCode.ENGINE_ERROR: EngineWords(
        result="Engine error",
        tone=Tone.BAD,
        meaning="The Engine answered with an error.",
        way_out="Give the Engine's message to your Nexthink administrators.",
    ),
    EngineCode.NOT_CONNECTED: EngineWords(
        result="Not connected",
        tone=Tone.BAD,
        meaning="The portal has no connection to this Engine.",
        way_out="Have your Nexthink administrators connect the Engine, then ask again.",
    ),
    EngineCode.EXCLUDED: EngineWords(
        result="Engine unknown",
        tone=Tone.BAD,
        meaning="The portal does not know this Engine.",
        way_out="Have the Engines that the action's catalogue entry names checked.",
    ),
    EngineCode.NO_PERMISSION: EngineWords(
        result="No permission",
        tone=Tone.BAD,
        meaning="The bridge's account may not act on this Engine.",
        way_out="Have the profile of the bridge's Nexthink account given permission on this Engine.",
    ),
    EngineCode.UNRECOGNISED: EngineWords(
        result="Not understood",
        tone=Tone.WARNING,
        meaning="The Engine's answer has a code that the bridge does not know. The action may run.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
}

# An Engine that was targeted and that the answer does not mention.
NO_WORD: Final = EngineWords(
    result="No word",
    tone=Tone.WARNING,
    meaning="The answer does not mention this Engine. The action may still run.",
    way_out="Look in Nexthink whether the action ran before you ask for it again.",
)

_OUR_FAULT: Final = (
    "This is a fault between the bridge and the portal; give the run id to whoever runs the bridge."
)
_CATALOGUE: Final = "Have the action's entry in the bridge's catalogue checked."

ERROR_WORDS: Final[Mapping[str, Words]] = {
    "INVALID_REQUEST_JSON": Words(what="The portal could not read the request as JSON.", way_out=_OUR_FAULT),
    "INVALID_REQUEST_CONTENT": Words(
        what="The portal found the request's content wrong.",
        way_out="Have PARAMS_ENCODING of the portal checked (object or list), and the action's parameters.",
    ),
    "CONTENT_TYPE": Words(what="The portal did not take the request's content type.", way_out=_OUR_FAULT),
    "ENCODING": Words(what="The portal could not read the request's characters.", way_out=_OUR_FAULT),
    "NO_REMOTE_ACTION_UID": Words(what="The request named no remote action.", way_out=_CATALOGUE),
    "NO_DEVICES": Words(what="The request named no device.", way_out=_OUR_FAULT),
    "TOO_MANY_DEVICES": Words(
        what="The request named more devices than the portal takes in one call.",
        way_out="Have MAX_DEVICES_PER_CALL of the portal made smaller.",
    ),
    "INVALID_ACTION_UID": Words(
        what="The remote action's UID is not well formed.",
        way_out="Have the uid of the action in the catalogue copied again from Nexthink.",
    ),
    "INVALID_DEVICE_UID": Words(
        what="A device's UID is not well formed.",
        way_out="Use the device_uid of Nexthink (32 hex digits), or name devices by their names.",
    ),
    "UNKNOWN_OR_DISABLED_REMOTE_ACTION": Words(
        what="The portal does not know this remote action, or it is disabled.",
        way_out="Have the remote action enabled in Nexthink, and the uid in the catalogue compared with it.",
    ),
    "NO_MANUAL_EXECUTION": Words(
        what="The remote action cannot be triggered by hand, and so not through the API either.",
        way_out="Have the remote action set to manual execution in Nexthink.",
    ),
    "NO_PERMISSION": Words(
        what="The bridge's account may not run remote actions through the API.",
        way_out='Have its profile given Finder access and "Allow API of remote actions" in Nexthink.',
    ),
    "NO_ENGINES_TO_TARGET": Words(
        what="No Engine is connected that the bridge's account may use.",
        way_out="Have the portal's Engines checked, and the account's view domain.",
    ),
    "INTERNAL_ERROR": Words(
        what="The portal had an error of its own. It is not known whether it passed the request on.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
}

NOT_SAID: Final = Words(what="No reason is known.", way_out="Give the run id to whoever runs the bridge.")

# Why a call was refused, lost or not sent, where Nexthink gave no code of its own.
CALL_WORDS: Final[Mapping[Reason, Words]] = {
    Reason.UNAUTHORIZED: Words(
        what="The portal did not accept the bridge's user name and password (401).",
        way_out="Have USERNAME and PASSWORD of the portal checked.",
    ),
    Reason.NOT_FOUND: Words(
        what="The portal has no Act API at its address (404).",
        way_out="Have BASE_URL of the portal checked: it is the portal's own address.",
    ),
    Reason.REJECTED: Words(
        what="The portal did not take the request.",
        way_out="Have BASE_URL and the proxy in front of the portal checked.",
    ),
    Reason.RATE_LIMITED: Words(
        what="The portal asked for patience (429), again and again.",
        way_out="Ask again later; fewer requests at a time help.",
    ),
    Reason.NO_PERMISSION: ERROR_WORDS["NO_PERMISSION"],
    Reason.NO_ENGINES_TO_TARGET: ERROR_WORDS["NO_ENGINES_TO_TARGET"],
    Reason.NOT_CONNECTED: Words(
        what="The portal could not be reached; nothing was sent.",
        way_out="Have the network between the bridge and the portal checked.",
    ),
    Reason.TLS_FAILED: Words(
        what="The portal's certificate was not accepted; nothing was sent.",
        way_out="Have the certificate checked, and CA_FILE of the portal.",
    ),
    Reason.TOO_LATE_TO_SEND: Words(
        what="The bridge was too slow to send in time, so it did not send.",
        way_out="Ask again. If it happens often, the bridge's machine or its database is too busy.",
    ),
    Reason.INTENT_NOT_COMMITTED: Words(
        what="The bridge could not write down that it would send, so it did not send.",
        way_out="Ask again, and have the bridge's database checked.",
    ),
    Reason.CONNECTION_LOST: Words(
        what="The connection broke before the answer came.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
    Reason.DEADLINE: Words(
        what="No answer came in the time allowed.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
    Reason.WORKER_LOST: Words(
        what="The bridge stopped while it waited for the answer.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
    Reason.ANSWER_TOO_LARGE: Words(
        what="The answer was too large to be one of Nexthink.",
        way_out="Look in Nexthink whether the action ran, and have BASE_URL of the portal checked.",
    ),
    Reason.ANSWER_UNREADABLE: Words(
        what="The answer could not be read.",
        way_out="Look in Nexthink whether the action ran, and have BASE_URL of the portal checked.",
    ),
    Reason.REDIRECTED: Words(
        what="The address answered with a redirect, which is not followed.",
        way_out="Look in Nexthink whether the action ran, and have BASE_URL of the portal checked.",
    ),
    Reason.SERVER_ERROR: Words(
        what="The portal, or a proxy in front of it, answered with an error of its own.",
        way_out="Look in Nexthink whether the action ran before you ask for it again.",
    ),
}

# Why a ticket could not be turned into calls; `what` is the headline.
PROBLEM_WORDS: Final[Mapping[Reason, Words]] = {
    Reason.WITHDRAWN: Words(
        what="Not sent: it is not allowed any more",
        way_out="The rules changed after the ticket did. Ask again if it is still wanted.",
    ),
    Reason.VALUE_MISSING: Words(
        what="Not sent: the ticket lacks a value", way_out="Fill in the field, and ask again."
    ),
    Reason.VALUE_REFUSED: Words(
        what="Not sent: a value of the ticket is not allowed", way_out="Correct the field, and ask again."
    ),
    Reason.NO_DEVICE: Words(
        what="Not sent: the ticket names no device", way_out="Name the device in the ticket, and ask again."
    ),
    Reason.DEVICE_REFUSED: Words(
        what="Not sent: a device is outside what the action is for",
        way_out="Check the device. Which devices an action may reach stands in the bridge's catalogue.",
    ),
    Reason.NOT_THEIR_DEVICE: Words(
        what="Not sent: the device is not one of the person's own",
        way_out="The action is only for devices that the ticket's person has used lately. Check both.",
    ),
    Reason.DEVICE_NOT_FOUND: Words(
        what="Not sent: Nexthink does not know the device",
        way_out="Check how the device is spelled, and whether it reports to Nexthink; then ask again.",
    ),
    Reason.SEVERAL_DEVICES: Words(
        what="Not sent: a name means several devices",
        way_out="Have the duplicate removed in Nexthink, or ask with the device's UID.",
    ),
    Reason.TOO_MANY_DEVICES: Words(
        what="Not sent: the ticket names too many devices",
        way_out="Name fewer devices. The limit stands in the bridge's catalogue and mapping.",
    ),
    Reason.NO_PORTAL: Words(
        what="Not sent: no Nexthink portal fits the ticket",
        way_out="Correct the field that chooses the portal, or have the mapping extended.",
    ),
    Reason.CONFLICT: Words(
        what="Not sent: two mappings ask for the same action differently",
        way_out="Have the mappings corrected, so that one of them decides.",
    ),
    Reason.ENGINE_UNKNOWN: Words(
        what="Not sent: an Engine in the catalogue is not known to the portal",
        way_out="Have the Engines that the action's catalogue entry names checked.",
    ),
    Reason.LOOKUP_FAILED: Words(
        what="Not sent: the devices could not be looked up in Nexthink",
        way_out="Have the portal's Engines and the bridge's access to them checked, then ask again.",
    ),
}
