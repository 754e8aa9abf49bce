"""Tests of scripts/schemata.py: which tests belong to a rule."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from schemata import Test, rules

TEXT = """
| | rule | tests |
| --- | --- | --- |
| 1.1 | Cuts `x` change nothing. | `one/tests/cuts.rs` (10 cases); `two/src/deep/mod.rs`: `a_name`, `another_name` |
| 1.2 | A contract. | the suites in `testkit/src/contract.rs`: `it_is_kept`, run elsewhere |
| 1.3 | A folder. | `two/src/deep/`, `one/tests/model/` |
| 1.4 | Not here. | `e2e/stack.test.js`, on two emulators; `three/src/lib.rs` |
"""


class Rules(unittest.TestCase):
    def test_tests_are_found_by_name_or_by_their_file(self) -> None:
        tests = [
            Test("one", "/deps/one-1f", "/one", "cuts::first"),
            Test("one", "/deps/birdsong_one-1f", "/one", "cuts::of_the_crate"),
            Test("one", "/deps/one-1f", "/one", "cutter::second"),
            Test("one", "/deps/model-1f", "/one", "third"),
            Test("two", "/deps/birdsong_two-1f", "/two", "deep::tests::a_name"),
            Test("two", "/deps/birdsong_two-1f", "/two", "deep::tests::not_named"),
            Test("embedded", "/deps/embedded-1f", "/embedded", "contract::sqlite::it_is_kept"),
        ]
        found = {rule.number: [test.name for test in rule.tests] for rule in rules(TEXT, tests)}
        self.assertEqual(
            found,
            {
                "1.1": ["cuts::first", "deep::tests::a_name"],
                "1.2": ["contract::sqlite::it_is_kept"],
                "1.3": ["deep::tests::a_name", "deep::tests::not_named", "third"],
            },
        )


if __name__ == "__main__":
    unittest.main()
