"""Runs in the SAM CLI's environment: stdin a SAM template, stdout what CloudFormation gets."""

import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The translator asks for AWS's list of them, which needs an account."""

    def load(self) -> dict[str, str]:
        """No names."""
        return {}


template = yaml_parse(sys.stdin.read())
# As `sam build` and `sam package` leave it: files of this repository are objects in a bucket.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::LayerVersion":
        resource["Properties"]["ContentUri"] = "s3://bucket/key"
    if resource["Type"] == "AWS::Serverless::StateMachine":
        resource["Properties"]["DefinitionUri"] = "s3://bucket/key"
json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, default=str)
