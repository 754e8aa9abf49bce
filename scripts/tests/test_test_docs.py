"""Tests of scripts/test_docs.py: a page that is wrong has to fail."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from scripts.test_docs import Block, Page, Problem, check_unrun, commands_of, is_shown, options, parse, subcommands


class Parse(unittest.TestCase):
    def test_finds_blocks_with_their_annotations_and_lines(self) -> None:
        page = "A\n\n```sh skip=account\nmake deploy\n```\n\n<!-- docs-test: stop -->\n\n1. B\n\n   ```console\n   $ ls\n   a\n   ```\n"
        self.assertEqual(
            parse(page),
            [
                Block(4, "sh", "make deploy\n", {"skip": "account"}),
                Block(7, "stop", ""),
                Block(12, "console", "$ ls\na\n"),
            ],
        )

    def test_rejects_what_would_not_be_run(self) -> None:
        for page, problem in [
            ("A:\n\n    cargo run\n", "3: an indented block"),
            ("```\ncargo run\n```\n", "1: a block needs one of these languages"),
            ("```bash\ncargo run\n```\n", "1: a block needs one of these languages"),
            ("```sh skipped=x\ncargo run\n```\n", "1: unknown annotation skipped"),
            ("```sh\ncargo run\n", "does not end"),
        ]:
            with self.subTest(page), self.assertRaisesRegex(Problem, problem):
                parse(page)

    def test_takes_a_paragraph_in_a_list_for_text(self) -> None:
        self.assertEqual(parse("- A\n\n    more of A\n"), [])


class Output(unittest.TestCase):
    def test_is_compared_without_white_space_and_lines_of_tables(self) -> None:
        self.assertTrue(is_shown("a   b\n", "────\n a  │ b \n════\n"))

    def test_may_be_cut(self) -> None:
        self.assertTrue(is_shown("sent …\n…\nend\n", "sent 10\nother\nend\n"))
        self.assertFalse(is_shown("sent …\nend\n", "sent 10\n"))
        self.assertFalse(is_shown("sent 9\n", "sent 10\n"))

    def test_belongs_to_its_command(self) -> None:
        self.assertEqual(commands_of("$ a \\\n  b\nout\n$ c\n"), [("a \\\n  b", "out\n"), ("c", "")])


class Help(unittest.TestCase):
    TEXT = """Does things.

Usage: birdsong [OPTIONS]

Commands:
  run        Run it, with
             two lines
  key-x      Show --this or that
  help       Print this message

Options:
      --data <DIR>
          Not --an-option
  -h, --help
          Print help
"""

    def test_lists_commands_and_options(self) -> None:
        self.assertEqual(subcommands(self.TEXT), ["run", "key-x"])
        self.assertEqual(options(self.TEXT), {"--data"})


class Run(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Page(Path("page.md"), Path(folder.name), Path(folder.name))

    def test_fails_with_the_first_command_that_fails(self) -> None:
        with self.assertRaisesRegex(Problem, "exits with 1"):
            self.page.check(Block(1, "sh", "false\ntrue\n"))

    def test_fails_with_other_output(self) -> None:
        self.assertIsNone(self.page.check(Block(1, "console", "$ echo a b\na b\n")))
        with self.assertRaisesRegex(Problem, "prints something else"):
            self.page.check(Block(1, "console", "$ echo a\nb\n"))

    def test_fails_with_python(self) -> None:
        with self.assertRaisesRegex(Problem, "ZeroDivisionError"):
            self.page.check(Block(1, "python", "1 / 0\n"))

    def test_fails_with_a_server_that_does_not_start(self) -> None:
        with self.assertRaisesRegex(Problem, "the server exits with 3"):
            self.page.check(Block(1, "sh", "exit 3\n", {"background": ""}))

    def test_skips_what_needs_something_else(self) -> None:
        block = Block(1, "sh", "false\n", {"needs": "no-such-command"})
        self.assertEqual(self.page.check(block), "no no-such-command here")
        self.assertEqual(self.page.check(Block(1, "sh", "false\n", {"skip": "an-account"})), "an account")

    def test_takes_other_ports(self) -> None:
        self.assertNotIn("8080", self.page.prepared("http://localhost:8080/ 18080").replace("18080", ""))
        self.assertIn("18080", self.page.prepared("18080"))

    def test_checks_what_is_not_run(self) -> None:
        for text, problem in [
            ("if\n", "syntax error"),
            ("ENV=1 make no-such-target\n", "no target no-such-target"),
            ("scripts/no-such.sh\n", "no scripts/no-such.sh"),
        ]:
            with self.subTest(text), self.assertRaisesRegex(Problem, problem):
                check_unrun(Block(1, "sh", text))
        check_unrun(Block(1, "sh", "make deploy ENV=prod\nEMULATOR=ministack make local-up\n"))


if __name__ == "__main__":
    unittest.main()
