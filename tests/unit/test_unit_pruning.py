"""Which versions and roles go: nothing that a running execution can still call."""

from datetime import UTC, datetime, timedelta

from control_plane.rules.pruning import Version, called_by, unused_roles, unused_versions

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:control-plane-prod-main-stack"
DAY = timedelta(days=1)


def version(number: int, age: timedelta) -> Version:
    return Version(f"{FUNCTION}:{number}", number, NOON - age, f"role-{number}")


VERSIONS = [version(10, 1 * DAY), version(9, 5 * DAY), version(2, 40 * DAY)]


def numbers(found: list[Version]) -> list[int]:
    return [item.number for item in found]


def test_the_newest_stays_whatever_its_age() -> None:
    assert unused_versions([version(1, 900 * DAY)], [], NOON, timedelta(0)) == []


def test_what_was_replaced_goes() -> None:
    assert numbers(unused_versions(VERSIONS, [], NOON, timedelta(0))) == [2, 9]


def test_what_is_called_stays() -> None:
    called = [f"{FUNCTION}:2"]
    assert numbers(unused_versions(VERSIONS, called, NOON, timedelta(0))) == [9]


def test_a_version_is_kept_for_some_time_after_it_was_replaced() -> None:
    """Not after it was published: 2 is 40 days old, and was in use until 5 days ago."""
    assert numbers(unused_versions(VERSIONS, [], NOON, 6 * DAY)) == []
    assert numbers(unused_versions(VERSIONS, [], NOON, 5 * DAY)) == [2]


def test_a_definition_calls_exactly_the_versions_that_it_names() -> None:
    text = f'{{"FunctionName": "{FUNCTION}:12"}} and {FUNCTION} and {FUNCTION}:live'
    assert called_by([text, "{}"]) == {f"{FUNCTION}:12"}


def test_a_version_is_not_taken_for_one_that_its_number_begins_like() -> None:
    assert numbers(unused_versions(VERSIONS, called_by([f"{FUNCTION}:1"]), NOON, timedelta(0))) == [
        2,
        9,
    ]


def test_roles_go_but_for_those_in_use_and_those_of_the_build_that_runs() -> None:
    role = "arn:aws:iam::123456789012:role/control-plane-prod-main/{}/x-{}"
    old, used, current = (role.format(path, path) for path in ("aaa", "bbb", "ccc"))
    path = "/control-plane-prod-main/ccc/"
    assert unused_roles([old, used, current], [used], path) == [old]


def test_a_builds_roles_stay_while_any_of_them_is_in_use() -> None:
    """A version that is kept names its build's UpdateRole, in which no version runs."""
    role = "arn:aws:iam::123456789012:role/control-plane-prod-main/{}/x-{}"
    roles = [role.format(path, name) for path in ("aaa", "bbb", "bbbb") for name in ("stack", "u")]
    path = "/control-plane-prod-main/ccc/"
    unused = unused_roles(roles, [role.format("bbb", "stack"), "arn:aws:iam::1:role/x"], path)
    assert unused == [arn for arn in roles if "/bbb/" not in arn]
