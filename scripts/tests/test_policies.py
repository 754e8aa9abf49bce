"""Tests of scripts/checks/policies.py, without its tools."""

from __future__ import annotations

import json
import unittest

from scripts.checks import policies


def message(*resources: dict, **child: list) -> str:
    """A message of `terraform test -json -verbose` with these resources, and those of a module."""
    root = {"resources": list(resources), "child_modules": [child] if child else []}
    return json.dumps({"type": "test_state", "test_state": {"values": {"root_module": root}}})


ROLE = {"type": "aws_iam_role", "address": "role", "values": {"assume_role_policy": "trust", "policy": "no"}}
POLICY = {"type": "aws_iam_role_policy", "address": "module.a.policy", "values": {"policy": "text"}}
TABLE = {"type": "aws_dynamodb_table", "address": "table", "values": {"policy": "none"}}


class Policies(unittest.TestCase):
    def test_of_all_modules_are_found_with_their_kind(self) -> None:
        found = list(policies.policies(iter([message(ROLE, TABLE, resources=[POLICY])])))
        self.assertEqual(found, [("role", "trust", "trust"), ("module.a.policy", "identity", "text")])

    def test_other_messages_have_none(self) -> None:
        self.assertEqual(list(policies.policies(iter(['{"type": "test_run"}']))), [])

    def test_an_exception_has_a_reason(self) -> None:
        self.assertTrue(all(len(reason.split()) > 5 for reason in policies.ACCEPTED.values()))


if __name__ == "__main__":
    unittest.main()
