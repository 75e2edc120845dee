"""Whether the live configuration is what was deployed, and what a deployment would do. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control_plane.events import LiveConfig
from control_plane.models import JsonObject, Tenant
from control_plane.rules.config_paths import differing

_UPLOAD = "upload the merged configuration again"


def is_as_deployed(deployed: Mapping[str, Any], live: LiveConfig | None) -> bool:
    """Whether the live document has the very bytes that were deployed.

    By its hash, not its version: after a failed deployment the old bytes come back as a new
    version.
    """
    return live is not None and live.sha256 == deployed["sha256"]


def difference(deployed_content: JsonObject, live: LiveConfig | None) -> str:
    """How a live document that is not as deployed differs, in a line without any value of it."""
    if live is None:
        return "the configuration is missing"
    if live.content is None:
        return f"the live configuration cannot be read by the application: {live.problem}"
    paths = differing(deployed_content, live.content)
    if not paths:
        return "written differently, with the same values"
    return f"{len(paths)} {'path differs' if len(paths) == 1 else 'paths differ'}: " + ", ".join(
        paths
    )


def uploader(records: Iterable[JsonObject], live: LiveConfig | None) -> JsonObject | None:
    """The newest of a tenant's deployments that uploaded what is live: {deployment, status}.

    One that failed later has uploaded all the same; None: nobody did, it was edited by hand.
    """
    for record in records:
        if live is not None and record.get("config", {}).get("sha256", "") == live.sha256:
            return {"deployment": record["id"], "status": record["status"]}
    return None


def config_findings(
    tenant: Tenant,
    deployed: Mapping[str, Any],
    deployed_content: JsonObject,
    live: LiveConfig | None,
    uploaded_by: JsonObject | None,
    stored_version: int,
    invalid: Sequence[str] = (),
) -> list[JsonObject]:
    """The findings of a drift check: {kind, resource, detail, deployment_would}.

    `deployed` is the receipt of the last good deployment, `stored_version` the newest version of
    the stored overrides, `uploaded_by` the answer of `uploader`, `invalid` what of the live
    document does not fit the application's schema.
    """
    findings = []
    if not is_as_deployed(deployed, live):
        detail, lost = difference(deployed_content, live), ""
        if uploaded_by:
            detail += f"; uploaded by deployment {uploaded_by['deployment']}"
            detail += f", which ended {uploaded_by['status']}"
        elif live is not None:
            lost = ": the edit is lost"
        findings.append(
            {
                "kind": "config",
                "resource": f"s3://{deployed['bucket']}/{deployed['key']}",
                "detail": detail,
                "deployment_would": f"{_UPLOAD}{lost}",
            }
        )
    if invalid:
        same = is_as_deployed(deployed, live)
        findings.append(
            {
                "kind": "config",
                "resource": f"s3://{deployed['bucket']}/{deployed['key']}",
                "detail": f"does not fit its schema: {'; '.join(invalid)}",
                "deployment_would": "be refused until it is corrected" if same else _UPLOAD,
            }
        )
    if stored_version != deployed.get("overrides_version", 0):
        findings.append(
            {
                "kind": "config",
                "resource": f"stored overrides of {tenant.stack_name}",
                "detail": f"stored overrides version {stored_version} are not deployed yet",
                "deployment_would": "apply them",
            }
        )
    return findings
