"""What would say to a shared build whose it is, as far as the source shows it."""

import pytest

from control_plane import manifest
from control_plane.rules.build_variables import uses

TEXT = """
schema = 1
name = "notes"
[build]
commands = [{commands}]
stamp = "build.json"
[stack]
function = "Function"
[tests]
endpoint = "Url"
health = "/health"
fingerprint = "build"
"""
FUNCTION = {"Properties": {"CodeUri": "src/"}, "Metadata": {"BuildMethod": "makefile"}}


def found(
    *commands: str,
    files: dict[str, str] | None = None,
    per_tenant: bool = False,
    **resources: object,
) -> list[str]:
    text = TEXT.format(commands=", ".join(f"'{command}'" for command in commands))
    if per_tenant:
        text = text.replace("[build]", "[build]\nper_tenant = true")
    return uses(manifest.parse(text), {"Resources": resources}, (files or {}).get)


@pytest.mark.parametrize("name", ["TENANT_ENV", "TENANT_ORG", "STACK_NAME"])
@pytest.mark.parametrize("written", ["echo ${} > x", "echo ${{{}}} > x", "python3 gen.py --org={}"])
def test_a_command_that_names_a_tenant_is_named(name: str, written: str) -> None:
    command = written.format(name)
    assert found("true", command) == [f"application.toml build.commands: {command}"]
    assert found(command, per_tenant=True) == []


@pytest.mark.parametrize(
    ("command", "path", "line"),
    [
        ("python3 scripts/gen.py out", "scripts/gen.py", 'os.environ["TENANT_ORG"]'),
        ("./gen.sh", "gen.sh", "cp config/$TENANT_ENV.json x"),
        ("python3 -m tools.gen", "tools/gen.py", "os.getenv('STACK_NAME')"),
        ("cd x && make all", "Makefile", "\tcp $(TENANT_ORG).json x"),
        ("make -C lib", "lib/makefile", "\tcp $(TENANT_ORG).json x"),
        ("npm run build", "package.json", '"build": "vite --mode $TENANT_ENV"'),
    ],
)
def test_a_script_that_a_command_runs_is_looked_into(command: str, path: str, line: str) -> None:
    assert found(command, files={path: f"first\n{line}\n"}) == [f"{path} line 2: {line.strip()}"]


def test_a_functions_own_makefile_and_build_metadata_are_looked_into() -> None:
    files = {"src/Makefile": "build-Function:\n\tcp $(TENANT_ORG).json $(ARTIFACTS_DIR)\n"}
    assert found(files=files, Function=FUNCTION)[0].startswith("src/Makefile line 2:")
    metadata = {"Metadata": {"BuildProperties": {"Define": ["ORG=$TENANT_ORG"]}}}
    assert found(Function=metadata)[0].startswith("template.yaml Function.Metadata:")


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("make all", {"Makefile": "STACK_NAME ?= notes\nall:\n\techo $(STACK_NAME)\n"}),
        ("make all", {"Makefile": "all:\n\ttrue\n", "other/Makefile": "\techo $(TENANT_ORG)\n"}),
        ("STACK_NAME=x ./gen.sh", {"gen.sh": "true"}),
        ("echo $MY_STACK_NAME $TENANT_ORGS", {}),
        ("cat /etc/TENANT ../Makefile", {"../Makefile": "$(TENANT_ORG)"}),
        ("cat image.bin", {}),
    ],
)
def test_what_reads_nothing_of_a_tenant_is_built(command: str, files: dict[str, str]) -> None:
    assert found(command, files=files) == []


def test_a_template_that_is_none_is_left_to_the_build() -> None:
    text = manifest.parse(TEXT.format(commands=""))
    for template in ({}, {"Resources": None}, {"Resources": {"A": "x"}}):
        assert uses(text, template, {}.get) == []


def test_a_value_that_comes_from_the_variable_itself_is_no_value() -> None:
    files = {"gen.sh": "STACK_NAME=${STACK_NAME:-x}\n"}
    assert found("./gen.sh", files=files) == ["gen.sh line 1: STACK_NAME=${STACK_NAME:-x}"]
