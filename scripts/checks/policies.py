#!/usr/bin/env python3
"""Checks the IAM policies that Terraform would create, with parliament and cloudsplaining.

Standard input has the messages of `terraform test -json -verbose` of infra/tests/scan, whose state has the policies. Run by
scripts/infra-check.sh, in a venv that has both tools. A finding that is accepted is in ACCEPTED with its reason; one that does not
occur any more must be removed there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

# (tool, address of the policy, finding): reason.
ACCEPTED: dict[tuple[str, str, str], str] = {
    (tool, "module.api.aws_iam_role_policy.account[0]", finding): (
        "API Gateway writes the logs of all APIs of the account with this role, and accepts it only with these actions on all groups"
    )
    for tool, finding in [
        ("cloudsplaining", 'changes without a resource: "logs:CreateLogGroup"'),
        ("cloudsplaining", 'changes without a resource: "logs:CreateLogStream"'),
        ("cloudsplaining", 'changes without a resource: "logs:PutLogEvents"'),
        (
            "parliament",
            "RESOURCE_STAR: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:DescribeLogStreams', "
            "'logs:FilterLogEvents', 'logs:GetLogEvents', 'logs:PutLogEvents']",
        ),
    ]
}


def resources(module: dict) -> Iterator[dict]:
    """All resources of a module of a state, and of its own modules."""
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def policies(messages: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Address, kind (identity, resource or trust) and text of each policy in the states."""
    kinds = {
        "aws_iam_role_policy": ("policy", "identity"),
        "aws_iam_role": ("assume_role_policy", "trust"),
        "aws_s3_bucket_policy": ("policy", "resource"),
        "aws_sns_topic_policy": ("policy", "resource"),
    }
    for line in messages:
        state = json.loads(line).get("test_state")
        for resource in resources((state or {}).get("values", state or {}).get("root_module", {})):
            if resource["type"] in kinds:
                attribute, kind = kinds[resource["type"]]
                yield resource["address"], kind, resource["values"][attribute]


def parliament_findings(text: str) -> Iterator[str]:
    """Syntax, actions, resources and conditions that do not fit together."""
    import parliament

    for finding in parliament.analyze_policy_string(text).findings:
        yield f"{finding.issue}: {finding.detail or finding.title}"


def cloudsplaining_findings(text: str) -> Iterator[str]:
    """Privilege escalation, resource exposure, data exfiltration, and changes without a resource."""
    from cloudsplaining.scan.policy_document import PolicyDocument

    document = PolicyDocument(json.loads(text))
    found = {
        "privilege escalation": document.allows_privilege_escalation,
        "resource exposure": document.permissions_management_without_constraints,
        "data exfiltration": document.allows_data_exfiltration_actions,
        "changes without a resource": document.write_actions_without_constraints,
        "service wildcard": document.service_wildcard,
    }
    for risk, actions in found.items():
        for action in actions:
            yield f"{risk}: {json.dumps(action)}"


def main() -> int:
    found = list(policies(iter(sys.stdin)))
    identities = [(address, text) for address, kind, text in found if kind == "identity"]
    if len(identities) < 7:
        print(f"only {len(identities)} policies of roles were found: is infra/tests/scan complete?", file=sys.stderr)
        return 1
    findings = set()
    for address, kind, text in found:
        # parliament knows policies of identities only; others have principals.
        if kind == "identity":
            findings |= {("parliament", address, finding) for finding in parliament_findings(text)}
            findings |= {("cloudsplaining", address, finding) for finding in cloudsplaining_findings(text)}
        for statement in json.loads(text)["Statement"]:
            principal = json.dumps(statement.get("Principal", ""))
            if statement["Effect"] == "Allow" and ('"*"' in principal or ":root" in principal):
                findings.add(("principal", address, f"everybody may: {principal}"))
    for finding in sorted(findings - ACCEPTED.keys()):
        print(": ".join(finding), file=sys.stderr)
    for finding in sorted(ACCEPTED.keys() - findings):
        print(f"accepted, but not found any more: {': '.join(finding)}", file=sys.stderr)
    print(f"{len(found)} policies: {len(findings)} findings, {len(ACCEPTED)} of them accepted")
    return 0 if findings == ACCEPTED.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
