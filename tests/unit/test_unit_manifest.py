"""The manifest: strict, and every complaint names the key that is wrong."""

import pytest

from control_plane.errors import InvalidRequest
from control_plane.manifest import Manifest, parse
from control_plane.own import APPLICATION, TRIAL_APPLICATION, TRIAL_DIRECTORY

SMALLEST = """
schema = 1
name = "notes"
[build]
stamp = "build.json"
[stack]
function = "Function"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
"""


def fields(text: str) -> set[str]:
    """The keys that a refusal of `text` names."""
    with pytest.raises(InvalidRequest) as refused:
        parse(text)
    assert all(item["reason"] for item in refused.value.details)
    for item in refused.value.details:
        assert item["field"] in str(refused.value)
    return {item["field"] for item in refused.value.details}


def test_what_crosses_a_tenants_bounds_is_declared_with_a_reason() -> None:
    text = (
        SMALLEST
        + """
[isolation]
shared = {"arn:aws:sns:us-east-1:123456789012:alarms" = "the operators'"}
public = {"POST /hooks/{id}" = "signed by its sender", "Shop" = "a web shop's pictures"}
"""
    )
    found = parse(text)
    assert found.public == {"GET /health", "POST /hooks/{id}", "Shop"}
    for wrong in ('"arn:aws:s3:::notes-*" = "all"', '"*" = "all"', '"arn:aws:s3:::x" = ""'):
        shared = SMALLEST + f"[isolation]\nshared = {{{wrong}}}"
        assert all(name.startswith("isolation.shared") for name in fields(shared))
    for wrong in ('"get /x" = "why"', '"GET x" = "why"', '"Shop" = " "'):
        public = SMALLEST + f"[isolation]\npublic = {{{wrong}}}"
        assert all(name.startswith("isolation.public") for name in fields(public))


def test_the_smallest_manifest_has_neither_users_nor_configuration() -> None:
    found = parse(SMALLEST)
    assert (found.name, found.build.template) == ("notes", "template.yaml")
    assert (found.admin, found.config, found.stack.layer) == (None, None, None)
    assert found.stack.stateful_types == ()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('[tests]\nhealthh = "/x"', "tests.healthh"),
        ('[build]\ncomands = ["make"]', "build.comands"),
        ('[stack]\nstateful = ["AWS::S3::Bucket"]', "stack.stateful"),
        ('[else]\nx = "y"', "else"),
        ('[stack.parameters]\nenable_aut = "EnableAuth"', "stack.parameters.enable_aut.[key]"),
    ],
)
def test_a_misspelt_key_is_named(line: str, field: str) -> None:
    table = line.split("\n")[0]
    known = table in SMALLEST
    text = SMALLEST.replace(table, line, 1) if known else SMALLEST + line
    assert fields(text) == {field}


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ('name = "notes"', "name"),
        ("schema = 1", "schema"),
        ('stamp = "build.json"', "build.stamp"),
        ('endpoint = "Url"', "tests.endpoint"),
        ('health = "/health"', "tests.health"),
        ('fingerprint = "build"', "tests.fingerprint"),
    ],
)
def test_a_missing_part_is_named(key: str, field: str) -> None:
    assert fields(SMALLEST.replace(key, "", 1)) == {field}


def test_everything_that_is_missing_is_named_at_once() -> None:
    assert fields("") == {"schema", "name", "build", "stack", "tests"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../b", "a/..", "", "/"])
@pytest.mark.parametrize("key", ["stamp", "template", "dependencies", "dependency_overrides"])
def test_no_path_leads_out_of_the_source(path: str, key: str) -> None:
    text = SMALLEST.replace('stamp = "build.json"', "")
    lines = {"stamp": '"build.json"'} | {key: f'"{path}"'}
    table = "[build]\n" + "\n".join(f"{name} = {value}" for name, value in lines.items())
    assert fields(text.replace("[build]", table)) == {f"build.{key}"}


def test_a_configuration_outside_the_source_is_refused() -> None:
    table = '[config]\ndirectory = "../other"\nbucket = "b"\nkey = "k"\n'
    assert fields(SMALLEST + table) == {"config.directory"}


@pytest.mark.parametrize("name", ["Notes", "9lives", "two--dashes", "a_b", "end-", "n" * 31, ""])
def test_a_name_that_no_stack_could_have_is_refused(name: str) -> None:
    assert fields(SMALLEST.replace('"notes"', f'"{name}"')) == {"name"}


def test_a_schema_of_the_future_is_refused() -> None:
    assert fields(SMALLEST.replace("schema = 1", "schema = 2")) == {"schema"}


def test_a_command_is_one_line() -> None:
    two = '[build]\ncommands = ["make\\nrm -rf x"]'
    assert fields(SMALLEST.replace("[build]", two)) == {"build.commands.0"}


def test_a_protected_route_needs_to_know_where_its_answer_names_the_user() -> None:
    with pytest.raises(InvalidRequest, match="protected needs identity and groups"):
        parse(SMALLEST + 'protected = "/me"\nidentity = "email"\n')


def test_a_protected_route_needs_a_pool() -> None:
    with pytest.raises(InvalidRequest, match=r"needs \[admin\]"):
        parse(SMALLEST + 'protected = "/me"\nidentity = "email"\ngroups = "groups"\n')


def test_a_package_needs_a_function() -> None:
    package = '[package]\ncode = "code"\ninto = "code"\n'
    text = SMALLEST.replace('function = "Function"', "").replace("build.json", "code/build.json")
    with pytest.raises(InvalidRequest, match=r"\[package\] needs stack.function"):
        parse(text + package)


def test_a_trial_lies_in_the_source() -> None:
    assert fields(SMALLEST + '[trial]\ndirectory = "../trial"\n') == {"trial.directory"}


def test_the_projects_own_manifests_are_read(request: pytest.FixtureRequest) -> None:
    own = parse((request.config.rootpath / "application.toml").read_text())
    assert own.trial is not None
    assert own.trial.directory == TRIAL_DIRECTORY
    trial = parse((request.config.rootpath / own.trial.directory / "application.toml").read_text())
    assert (own.name, trial.name) == (APPLICATION, TRIAL_APPLICATION)


def test_a_runtime_configuration_needs_to_know_where_it_names_the_pool() -> None:
    with pytest.raises(InvalidRequest, match="runtime_config needs runtime_user_pool"):
        parse(SMALLEST + 'runtime_config = "/config"\n')


def test_outputs_of_which_one_lies_inside_another_are_refused() -> None:
    table = '[config]\ndirectory = "config"\nbucket = "b"\nkey = "k"\n'
    outputs = '[config.outputs]\n"auth" = "Auth"\n"auth.pool" = "PoolId"\n'
    assert any(field.startswith("config") for field in fields(SMALLEST + table + outputs))


def test_what_is_no_toml_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidRequest, match=r"application\.toml: is not TOML: .*line 1"):
        parse("schema = = 1")


def test_a_manifest_is_the_same_after_the_table_kept_it() -> None:
    found = parse(SMALLEST)
    kept = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert Manifest.model_validate(kept) == found
