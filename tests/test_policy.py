"""What the policy lets go: too old before paused, paused before go."""

from datetime import timedelta

import pytest

from bridge import policy
from bridge.errors import Reason
from bridge.policy import Usage, Verdict


@pytest.mark.parametrize(
    ("age", "paused", "verdict"),
    [
        (timedelta(), None, Verdict.GO),
        (timedelta(hours=24), None, Verdict.GO),
        (timedelta(hours=24, seconds=1), None, Verdict.EXPIRE),
        (timedelta(), Reason.UNAUTHORIZED, Verdict.HOLD),
        (timedelta(hours=25), Reason.UNAUTHORIZED, Verdict.EXPIRE),
        # A sender whose clock is ahead of ours is not punished.
        (timedelta(minutes=-6), None, Verdict.GO),
    ],
)
def test_a_plan_is_admitted_by_its_age_and_its_portal(make_plan, clock, age, paused, verdict):
    plan = make_plan(max_age=timedelta(hours=24))
    assert policy.admit(plan, Usage(now=clock.now + age, paused=paused)) is verdict
