"""Every function gets the variables that it reads, and no others; so does a build."""

import ast
import re

import pytest
from asl_graph import ROOT
from aws_lambda_powertools.shared import constants
from sam_template import (
    environment,
    functions,
    handler_module,
    of_type,
    template,
)
from source_code import arguments_of, function_named, with_imports

import control_plane.settings
from control_plane.observability import NAMESPACE
from workers.build import TOOL_VERSIONS

FROM_LAMBDA = {"AWS_REGION"}
FROM_CODEBUILD = {"CODEBUILD_SRC_DIR", "CODEBUILD_BUILD_SUCCEEDING", "PATH"}
FROM_SAM_AND_MAKE = {"ARTIFACTS_DIR", "CURDIR"}
POWERTOOLS = {value for value in vars(constants).values() if isinstance(value, str)}
BUILDSPEC = ROOT / "buildspec.yml"


def _read(function: str) -> set[str]:
    """The variables of the settings that a function's modules ask for."""
    module = handler_module(function).__name__
    paths = with_imports(module, module.split(".")[0])
    names = {name for path in paths for name in arguments_of(path, "settings")}
    assert names, f"{module} has no settings"
    models = [getattr(control_plane.settings, name) for name in names]
    return {field.upper() for model in models for field in model.model_fields}


@pytest.mark.parametrize("function", functions())
def test_a_function_gets_every_variable_that_it_reads(function: str) -> None:
    assert _read(function) - FROM_LAMBDA - set(environment(function)) == set()


@pytest.mark.parametrize("function", functions())
def test_a_function_gets_no_variable_that_nobody_reads(function: str) -> None:
    assert set(environment(function)) - _read(function) - POWERTOOLS == set()


def test_the_metrics_that_alarms_watch_are_those_that_are_counted() -> None:
    """Namespace, name and dimension are three chances for an alarm that never rings."""
    watched = [a for a in of_type("AWS::CloudWatch::Alarm").values() if a["Namespace"] == NAMESPACE]
    assert watched
    counted = (ROOT / "control_plane" / "observability.py").read_text()
    for alarm in watched:
        assert f'"{alarm["MetricName"]}"' in counted
        assert alarm["Dimensions"] == [{"Name": "service", "Value": "syndi"}]
        assert 'service="syndi"' in counted
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


# Builds -----------------------------------------------------------------------------------------


def _given_to_builds() -> set[str]:
    """The variables that the build worker sets."""
    start = function_named(ROOT / "workers" / "build.py", "_start")
    assigned = next(
        node.value
        for node in ast.walk(start)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "variables"
    )
    assert isinstance(assigned, ast.Dict)
    literal = {key.value for key in assigned.keys if isinstance(key, ast.Constant)}
    return {str(key) for key in literal} | set(TOOL_VERSIONS)


def _exported_by_the_buildspec() -> set[str]:
    return set(re.findall(r"export ([A-Z_]+)=", BUILDSPEC.read_text()))


def test_every_variable_of_the_buildspec_is_given_by_the_build_worker() -> None:
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", BUILDSPEC.read_text()))
    assert used - FROM_CODEBUILD == used & _given_to_builds()


def test_every_variable_that_the_build_worker_gives_is_used() -> None:
    makefiles = [ROOT / "requirements" / "Makefile", *(ROOT / "backend").rglob("Makefile")]
    makefiles += (ROOT / "tests" / "applications").rglob("Makefile")
    text = "\n".join(path.read_text() for path in [BUILDSPEC, *makefiles])
    used = set(re.findall(r"\$[({]?([A-Z][A-Z_]+)", text))
    assert _given_to_builds() - used == set()


def test_every_variable_of_the_layer_is_given_by_the_build_worker() -> None:
    makefiles = [ROOT / "requirements" / "Makefile", *(ROOT / "backend").rglob("Makefile")]
    for path in makefiles:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        used = set(re.findall(r"\$\(?([A-Z][A-Z_]+)\)", "\n".join(lines)))
        assert used <= _given_to_builds() | _exported_by_the_buildspec() | FROM_SAM_AND_MAKE, path


@pytest.mark.parametrize(
    ("variable", "lock", "package"),
    [("UV_VERSION", "uv", "uv"), ("SAM_VERSION", "sam", "aws-sam-cli")],
)
def test_a_build_installs_the_tools_that_are_locked(variable: str, lock: str, package: str) -> None:
    pinned = f"{package}=={TOOL_VERSIONS[variable]}"
    requirements = ROOT / "requirements"
    assert pinned in (requirements / f"{lock}.in").read_text().split()
    assert pinned in (requirements / f"{lock}.txt").read_text().split()
