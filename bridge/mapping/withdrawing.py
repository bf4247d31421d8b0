"""Holds an accepted plan against the rules of this moment: what was frozen may only get narrower.

It must not widen anything: a plan keeps its own fence, parameters and mode too.
"""

from collections.abc import Iterable

from bridge.errors import Reason
from bridge.mapping.fences import breach
from bridge.mapping.language import MappingSet
from bridge.models import Mode, Plan, Problem


def withdrawn(plan: Plan, names: Iterable[str], mapping_set: MappingSet | None) -> Problem | None:
    """Say why a plan may not be sent any more; `names` are its devices as the Engines know them.

    The mapping must still be live, the action still have this UID on this portal, and every device be inside
    the fence as it stands now. Without a mapping set in force nothing is held against it.
    """
    if mapping_set is None or plan.mapping_set == mapping_set.hash:
        return None
    rule = next((rule for rule in mapping_set.mappings if rule.id == plan.mapping), None)
    if rule is None or rule.mode is not Mode.LIVE:
        return _problem("mapping", f"the mapping '{plan.mapping}' is not live any more")
    action = mapping_set.catalogue.actions.get(plan.action)
    if action is None or (plan.portal, plan.remote_action_uid) not in action.uids:
        return _problem("action", f"the action '{plan.action}' is not in the catalogue any more as it was")
    for name in names:
        why = breach(action.fence, name)
        if why is not None:
            return _problem("devices", f"{name}: {why}")
    return None


def _problem(place: str, detail: str) -> Problem:
    return Problem(reason=Reason.WITHDRAWN, place=place, detail=detail)
