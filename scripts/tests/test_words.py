"""Tests of scripts/checks/words.py."""

from __future__ import annotations

import unittest

from scripts.checks.words import findings


class Findings(unittest.TestCase):
    def found(self, text: str) -> list[tuple[int, str]]:
        return [(line, words) for line, words, _ in findings(text)]

    def test_name_line_and_words(self) -> None:
        self.assertEqual(self.found("A line.\nIt Tells of it.\n"), [(2, "Tells")])

    def test_go_over_the_end_of_a_line_and_of_a_comment(self) -> None:
        self.assertEqual(self.found("which is put\naside here\n"), [(1, "put aside")])
        self.assertEqual(self.found("    // repairs, or puts\n    // right, a row\n"), [(1, "puts right")])

    def test_find_them_in_names(self) -> None:
        self.assertEqual(self.found("fn a_gap_is_told_once() {\n"), [(1, "a_gap_is_told_once")])
        self.assertEqual(self.found("A link within X is none.\n"), [(1, "is none")])

    def test_leave_out_parts_of_words_and_what_is_allowed(self) -> None:
        self.assertEqual(self.found("if shape is None:\n"), [])
        self.assertEqual(self.found("A foretold hotel and intellect.\n"), [])
        self.assertEqual(self.found("Null when there is none.\n"), [])
        self.assertEqual(self.found("As a user told us: <!-- words: allow -->\n"), [])


if __name__ == "__main__":
    unittest.main()
