"""A tenant that is wrong in one thing never ends green: each mutation is refused, and by whom."""

import re
from collections.abc import Callable

import pytest
from deployment import Course, deploy
from healthy_tenant import Tenant
from tenant_mutations import MUTATIONS, UNSEEN, Mutation, Unseen

Record = Callable[[str, object], None]


def test_the_tenant_without_a_mutation_is_green(tenant: Tenant) -> None:
    """Otherwise no mutation says anything."""
    end = deploy(Course(tenant))
    assert end.step is None, end


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.kind}: {m.name}")
def test_a_mutation_of_the_tenant_is_refused(
    tenant: Tenant, mutation: Mutation, record_property: Record
) -> None:
    record_property("mutation", mutation.name)
    record_property("kind", mutation.kind)
    if not mutation.after:
        mutation.change(tenant)

    def then(step: str) -> None:
        if step == mutation.after:
            mutation.change(tenant)

    end = deploy(Course(tenant), then)
    record_property("step", end.step or "GREEN")
    record_property("reason", end.reason)
    assert end.step is not None, f"{mutation.name} ended green"
    assert end.step == mutation.step, end.reason
    assert re.search(mutation.reason, end.reason), end.reason


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda one: one.name)
def test_what_nobody_can_see_is_listed_with_the_reason(
    tenant: Tenant, unseen: Unseen, record_property: Record
) -> None:
    """One that is refused meanwhile belongs into the other list."""
    record_property("mutation", unseen.name)
    record_property("kind", "cannot be seen")
    if not unseen.after:
        unseen.change(tenant)

    def then(step: str) -> None:
        if step == unseen.after:
            unseen.change(tenant)

    end = deploy(Course(tenant), then)
    record_property("step", end.step or "GREEN")
    record_property("reason", unseen.why)
    assert end.step is None, end
