"""twarc-csv, which turns an archive of twarc2 into a table, beside `birdsong replay`: both must count the same."""

import json
import tempfile
import unittest
import warnings
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import archive
import pandas as pd
from birdsong import Case, replay
from twarc_csv import CSVConverter, DataFrameConverter

POSTS = 3_000
WINDOW_MS = 300_000


def table(path: Path) -> tuple[pd.DataFrame, dict]:
    """The archive as twarc-csv has it, without rows for the posts that others refer to, and its counters."""
    csv = path.with_suffix(".csv")
    converter = DataFrameConverter(input_data_type="tweets")
    with warnings.catch_warnings(), path.open(encoding="utf-8") as infile, csv.open("w", encoding="utf-8") as outfile:
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, about what twarc-csv calls
        CSVConverter(infile=infile, outfile=outfile, converter=converter, hide_progress=True).process()
    return pd.read_csv(csv, dtype=str, keep_default_na=False), converter.counts


def kind(row: pd.Series) -> str:
    """The kind of a post by Birdsong's precedence."""
    for column, name in (("retweeted", "reposts"), ("quoted", "quotes"), ("replied_to", "replies")):
        if row[f"referenced_tweets.{column}.id"]:
            return name
    return "originals"


def items(cell: str) -> list[str]:
    """The list in a cell of the table."""
    return json.loads(cell) if cell else []


def host(url: str) -> str | None:
    """The host of a link as Birdsong counts it. A link within X does not count."""
    name = urlsplit(url).hostname.removeprefix("www.")
    return None if name == "x.com" else name


class Archive(Case):
    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        path = folder / "search.jsonl"
        archive.write(path, POSTS)
        cls.windows, cls.ledger = replay(path)
        cls.rows, cls.counts = table(path)
        # By event time, which the id holds in milliseconds.
        cls.rows["window"] = [
            ((int(post_id) >> 22) + archive.EPOCH_MS) // WINDOW_MS * WINDOW_MS for post_id in cls.rows["id"]
        ]
        cls.rows["kind"] = cls.rows.apply(kind, axis=1)
        cls.by_window = {pd.Timestamp(w["window_start"]).value // 10**6: w for w in cls.windows}

    def same(self, count, found) -> None:
        """Compares what the table and Birdsong have of each window; both are functions that return something comparable."""
        groups = dict(list(self.rows.groupby("window")))
        self.assertEqual(set(groups), set(self.by_window))
        self.assertGreater(len(groups), 30)
        for start, rows in groups.items():
            self.assertEqual(found(self.by_window[start]), count(rows), f"window {start}")

    def test_ledger(self):
        self.assertEqual(len(self.rows), POSTS)
        self.assertEqual(self.counts["parse_errors"], 0)
        self.assertGreater(self.counts["duplicates"], 400)
        self.assertEqual(self.ledger["received"], self.counts["tweets"])
        self.assertEqual(self.ledger["duplicates"], self.counts["duplicates"])
        self.assertEqual(self.ledger["aggregated"], POSTS)
        self.assertTrue(self.ledger["balanced"])

    def test_posts_by_kind(self):
        kinds = ["originals", "replies", "quotes", "reposts"]
        self.assertEqual(set(self.rows["kind"]), set(kinds))
        self.same(
            lambda rows: (len(rows), [int((rows["kind"] == name).sum()) for name in kinds]),
            lambda window: (window["posts"], [window[name] for name in kinds]),
        )

    def test_minutes(self):
        def minutes(rows: pd.DataFrame) -> list[int]:
            found = Counter(pd.to_datetime(rows["created_at"]).dt.minute % 5)
            return [found[minute] for minute in range(5)]

        self.same(minutes, lambda window: window["per_minute"])

    def test_languages(self):
        self.assertGreater(self.rows["lang"].nunique(), 5)
        self.same(
            lambda rows: dict(Counter(rows["lang"])),
            lambda window: window["languages"],
        )

    def test_authors(self):
        self.same(
            lambda rows: (rows["author_id"].nunique(), 0),
            lambda window: (window["authors"], window["authorless"]),
        )

    def test_hashtags(self):
        def counted(rows: pd.DataFrame) -> dict[str, int]:
            tags = Counter()
            for cell in rows["entities.hashtags"]:
                tags.update({tag.removeprefix("#").lower() for tag in items(cell)})
            return dict(tags)

        def found(window: dict) -> dict[str, int]:
            self.assertEqual({one["error"] for one in window["hashtags"]} - {0}, set())
            return {one["tag"].lower(): one["count"] for one in window["hashtags"]}

        self.same(counted, found)

    def test_mentions(self):
        self.same(
            lambda rows: sum(len(items(cell)) for cell in rows["entities.mentions"]),
            lambda window: window["mentions"],
        )

    def test_link_hosts(self):
        def counted(rows: pd.DataFrame) -> dict[str, int]:
            hosts = Counter(host(url) for cell in rows["entities.urls"] for url in items(cell))
            self.assertGreater(hosts.pop(None), 0)
            return dict(hosts)

        self.same(counted, lambda window: {one["host"]: one["count"] for one in window["link_hosts"]})


if __name__ == "__main__":
    unittest.main()
