"""Why a run waits, or ends without having been sent, in words for a service desk.

These are tables; the documentation shows them and a test compares the two. They must not promise a time.
"""

from collections.abc import Mapping
from typing import Final

from bridge.comments.wording import Words
from bridge.errors import Reason
from bridge.models import Layer, LimitKind

# Why a run waits; `what` is the headline.
HELD_WORDS: Final[Mapping[Reason, Words]] = {
    Reason.PORTAL_PAUSED: Words(
        what="Waiting: sending to the Nexthink portal is paused",
        way_out="It goes on when the bridge's operators release the portal, if it is not too old by then.",
    ),
    Reason.LOOP: Words(
        what="Held: this ticket started too many runs in an hour",
        way_out="If they are meant, the bridge's operators can release them; else the mapping needs a look.",
    ),
    Reason.PAUSED: Words(
        what="Waiting: this is paused at the bridge",
        way_out="It goes on when the pause ends or is lifted, if it is not too old by then.",
    ),
    Reason.OVER_LIMIT: Words(
        what="Waiting: a limit is reached",
        way_out="It goes on when the limit allows, if it is not too old by then, or when it is released.",
    ),
    Reason.AWAITING_APPROVAL: Words(
        what="Waiting for approval", way_out="It goes on when somebody else than who asked approves it."
    ),
    Reason.CLOCK_WENT_BACK: Words(
        what="Waiting: the bridge's clock was set back",
        way_out="It goes on when the clock is right again. The bridge's operators check the time service.",
    ),
    Reason.RESTORED: Words(
        what="Held: the bridge was restored from a copy",
        way_out="The bridge's operators check what already ran, and release or cancel it.",
    ),
    Reason.BY_OPERATOR: Words(
        what="Held by an operator of the bridge", way_out="The bridge's operators release or cancel it."
    ),
}

# Why a run ended without having been sent because time passed; `what` is the headline.
EXPIRED_WORDS: Final[Mapping[Reason, Words]] = {
    Reason.TOO_OLD: Words(
        what="Not sent: the request became too old",
        way_out="It waited longer than its mapping allows. Ask again if it is still wanted.",
    ),
    Reason.NOT_APPROVED: Words(
        what="Not sent: nobody approved it in time",
        way_out="The time for its approval is over. Ask again if it is still wanted.",
    ),
}

# Why a run is not wanted any more; `what` is the headline.
WITHDRAWN_WORDS: Final[Mapping[Reason, Words]] = {
    Reason.NOT_APPROVED: Words(
        what="Not sent: it was declined", way_out="Talk to whoever declined it before you ask again."
    ),
    Reason.PLAN_CHANGED: Words(
        what="Not sent: it is not what is asked for any more",
        way_out="Devices, parameters or Engines are others now. Ask again, and have that approved.",
    ),
    Reason.WITHDRAWN: Words(
        what="Not sent: its mapping does not exist any more",
        way_out="Have the mapping files checked, and ask again if it is still wanted.",
    ),
    Reason.TICKET_CLOSED: Words(
        what="Not sent: the ticket is closed", way_out="Open it, or a new one, and ask again if it is wanted."
    ),
    Reason.TICKET_NOT_READ: Words(
        what="Not sent: the ticket cannot be read any more",
        way_out="Have the bridge's access to the ticket checked, and ask again if it is still wanted.",
    ),
}

# What a limit counts, each one of it.
LIMITED: Final[Mapping[LimitKind, str]] = {
    LimitKind.PER_HOUR: "run",
    LimitKind.PER_DAY: "run",
    LimitKind.DEVICES_PER_DAY: "device",
    LimitKind.COOLDOWN: "run",
}

# A limit as a person reads it.
LIMIT_WORDS: Final[Mapping[LimitKind, str]] = {
    LimitKind.PER_HOUR: "{most} an hour for {whose}",
    LimitKind.PER_DAY: "{most} a day for {whose}",
    LimitKind.DEVICES_PER_DAY: "{most} a day for {whose}",
    LimitKind.COOLDOWN: "one run on a device within {window} (set for {whose})",
}

# Whose limit it is.
LAYER_WORDS: Final[Mapping[Layer, str]] = {
    Layer.BRIDGE: "the whole bridge",
    Layer.ACTION: "this action",
    Layer.MAPPING: "this mapping",
}
