"""Tests of scripts/release_notes.py."""

from __future__ import annotations

import unittest

from scripts.release_notes import NoNotes, notes

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-12-01

### Added

- Feeds ([#7]; [Sources](docs/sources.md), [format](https://example.org/f)).

## [1.1.0] - 2026-11-01

- Older.

[#7]: https://example.org/7
[#8]: https://example.org/8
"""


FILES = "https://example.org/blob/v1"


class Notes(unittest.TestCase):
    def test_are_those_of_the_version_with_the_links_that_they_use(self) -> None:
        self.assertEqual(
            notes(CHANGELOG, "1.2.0", FILES),
            "### Added\n\n- Feeds ([#7]; [Sources](https://example.org/blob/v1/docs/sources.md), [format](https://example.org/f)).\n\n"
            "[#7]: https://example.org/7\n",
        )

    def test_of_the_last_version_have_no_definitions_of_links(self) -> None:
        self.assertEqual(notes(CHANGELOG, "1.1.0", FILES), "- Older.\n")

    def test_of_a_version_that_is_not_there_are_an_error(self) -> None:
        with self.assertRaisesRegex(NoNotes, "no section 1.3.0"):
            notes(CHANGELOG, "1.3.0", FILES)

    def test_that_are_empty_are_an_error(self) -> None:
        with self.assertRaisesRegex(NoNotes, "Unreleased of CHANGELOG.md is empty"):
            notes(CHANGELOG, "Unreleased", FILES)


if __name__ == "__main__":
    unittest.main()
