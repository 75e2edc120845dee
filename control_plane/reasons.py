"""Why something failed, in one line that says it in plain words. Pure: text in, text out."""

import json
import re
from collections.abc import Mapping

from control_plane import crashes

APPROVAL_HOURS = 24
"""How long an approval is waited for: AwaitApproval's TimeoutSeconds in the state machine."""

LENGTH = 1500
"""Characters of a reason: a line is to be read, and an execution's cause has its limit too."""

# What AWS says of a missing permission (IAM guide, "Troubleshoot access denied error messages"),
# and around it: botocore's words, CloudFormation's, and EC2's code for those who may decode it.
_DENIED = re.compile(
    r"(?:An error occurred \([\w.]+\) when calling the \w+ operation[^:]*: )?"
    r"(?:You are not authorized to perform this operation\. )?"
    r"(?:API: \S+ )?"
    r"(?:User:? )?(?:(?P<who>arn:\S+|anonymous) )?"
    r"is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on (?:the )?resource: (?P<resource>\"[^\"]*\"|\S+))?"
    r"(?: because no (?P<none>[\w -]+?) allows the \S+ action"
    r"| with an explicit deny(?: in (?P<deny>(?:an?|the) [\w -]+?(?:policy|boundary))(?:: \S+)?)?)?"
    r"(?:\.? Encoded authorization failure message: [\w-]+)?"
)

# Some services name neither who asked nor for what: then the call itself is all there is.
_CALL_DENIED = re.compile(
    r"An error occurred \((?:AccessDenied\w*|Unauthorized\w*|AuthorizationError\w*|403|Forbidden)\)"
    r" when calling the (?P<operation>\w+) operation[^:]*: (?P<told>.*)"
)
_LEGACY_DENIED = re.compile(r"API: (?P<action>[\w-]+:\w+) (?:Access Denied|You are not authorized)")

_HANDLER = re.compile(
    r"Resource handler returned message: \"(?P<told>.*?)\""
    r" \(RequestToken: [\w-]+, HandlerErrorCode: (?P<code>\w+)\)"
)
_SERVICE = r" ?\((?:AWS )?Service: (?P<service>[\w -]+)[,;] Status Code: \d+[,;] [^()]*\)"
_REQUEST = re.compile(_SERVICE + r"(?: \(SDK Attempt Count: \d+\))?")
_BARE = re.compile(
    r"(?:Access Denied\.?|You are not authorized to perform this operation\.?)" + _SERVICE
)


def one_line(failure: Mapping[str, str], control_plane: str) -> str:
    """What went wrong and where, of {state, error, cause}.

    The cause is Lambda's JSON of an exception, or a plain text, or empty. `control_plane`: the
    stack whose functions the workers are, to name the log of one that crashed.
    """
    state, error, cause = failure["state"], failure["error"], failure["cause"]
    if state == "AwaitApproval" and error == "States.Timeout":
        return f"{state}: nobody approved within {APPROVAL_HOURS} hours"
    if crashes.is_crash(failure):
        return shortened(crashes.reason(failure, control_plane))
    try:
        parsed = json.loads(cause)
    except json.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and "errorMessage" in parsed:
        cause = str(parsed["errorMessage"])
    return shortened(f"{state}: {plain(cause) or error}")


def plain(text: str) -> str:
    """A message of AWS in one line, without what only AWS's support can use.

    A missing permission is said as such: "missing permission X on Y for role Z".
    """
    told = _HANDLER.sub(_handler, " ".join(text.split()))
    told = _DENIED.sub(_denied, told)
    told = _CALL_DENIED.sub(r"missing permission for \g<operation>: \g<told>", told)
    told = _LEGACY_DENIED.sub(r"missing permission \g<action>", told)
    told = _BARE.sub(r"missing permission in \g<service>, which does not say which", told)
    return _REQUEST.sub("", told)


def shortened(text: str) -> str:
    """At most LENGTH characters."""
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _handler(match: re.Match[str]) -> str:
    code = match["code"]
    known = code in ("AccessDenied", "GeneralServiceException", "InvalidRequest")
    return match["told"] if known else f"{match['told']} ({code})"


def _denied(match: re.Match[str]) -> str:
    resource = (match["resource"] or "").strip('"')
    end = resource[len(resource.rstrip(".,;)")) :]  # the sentence goes on around the resource
    told = f"missing permission {match['action']}"
    if resource:
        told += f" on {resource.rstrip('.,;)')}"
    if match["who"]:
        told += f" for {_principal(match['who'])}"
    if match["none"] and match["none"] != "identity-based policy":
        told += f" (no {match['none']} allows it)"
    elif match["deny"]:
        told += f" (denied explicitly in {match['deny']})"
    elif "explicit deny" in match[0]:
        told += " (denied explicitly)"
    return told + end


def _principal(arn: str) -> str:
    """Who asked: of an assumed role only the role, which is what somebody can mend."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    match kind:
        case "assumed-role":
            return f"role {name.partition('/')[0]}"
        case "role" | "user":
            return f"{kind} {name.rpartition('/')[2]}"
        case _:
            return arn
