"""Tests of scripts/checks/links.py."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from scripts.checks import links


class Links(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Path(folder.name) / "page.md"
        self.root, links.ROOT = links.ROOT, Path(folder.name)
        self.addCleanup(setattr, links, "ROOT", self.root)
        links.anchors.cache_clear()

    def broken(self, text: str) -> list[str]:
        self.page.write_text(text, encoding="utf-8")
        return links.broken_links("page.md")

    def test_lead_to_files_and_headings(self) -> None:
        self.assertEqual(
            self.broken("# What a `window` says, and more\n\n[a](#what-a-window-says-and-more) [b](page.md)\n"), []
        )

    def test_that_lead_nowhere_are_named_with_their_line(self) -> None:
        self.assertEqual(
            self.broken("# A\n\n[a](#b)\n[c](gone.md#x)\n"),
            ["page.md:3: page.md has no heading #b", "page.md:4: there is no gone.md#x"],
        )

    def test_in_code_do_not_count(self) -> None:
        self.assertEqual(self.broken("`[a](gone.md)`\n\n```text\n[a](gone.md)\n```\n"), [])

    def test_to_other_sites_are_not_opened(self) -> None:
        self.assertEqual(self.broken("[a](https://example.org/gone)\n"), [])

    def test_several_files_in_one_name(self) -> None:
        self.assertEqual(links.expanded("a/{b,c}.rs"), ["a/b.rs", "a/c.rs"])


if __name__ == "__main__":
    unittest.main()
