"""DuckDB, which reads the files of `birdsong export --format parquet`: types, and the same cells as in CSV."""

import subprocess
import tempfile
from pathlib import Path

import archive
import duckdb
from birdsong import BIRDSONG, Case

POSTS = 3_000


class Parquet(Case):
    def birdsong(self, folder: Path, *arguments: str) -> None:
        subprocess.run([BIRDSONG, *arguments], cwd=folder, check=True, capture_output=True)

    def test_windows_have_their_types_and_the_cells_of_the_csv_file(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            archive.write(folder / "posts.jsonl", POSTS)
            self.birdsong(folder, "replay", "--everything", "all", "--data", "data", "posts.jsonl")
            span = ("--data", "data", "--from", "2026-05-22T00:00:00Z", "--to", "2026-05-25T00:00:00Z")
            for form in ("csv", "parquet"):
                self.birdsong(folder, "export", "--format", form, "--output", f"windows.{form}", *span)
            self.compare(folder)

    def compare(self, folder: Path) -> None:
        parquet = f"read_parquet('{folder}/windows.parquet')"
        csv = f"read_csv('{folder}/windows.csv', header = true, all_varchar = true)"
        query = duckdb.connect().execute
        types = {column: kind for column, kind, *_ in query(f"DESCRIBE SELECT * FROM {parquet}").fetchall()}
        texts = [column for column, *_ in query(f"DESCRIBE SELECT * FROM {csv}").fetchall()]
        self.assertEqual(list(types), texts)
        wanted = {
            "region": "VARCHAR",
            "window_start": "TIMESTAMP WITH TIME ZONE",
            "posts": "BIGINT",
            "completeness.sampled": "DOUBLE",
            "completeness.complete": "BOOLEAN",
            "hashtags": "VARCHAR",
        }
        self.assertEqual({column: types[column] for column in wanted}, wanted)
        rows, posts = query(f"SELECT count(*), sum(posts) FROM {parquet}").fetchone()
        self.assertGreater(posts, POSTS * 0.9)
        self.assertEqual(query(f"SELECT count(*), sum(posts::BIGINT) FROM {csv}").fetchone(), (rows, posts))
        for column, kind in types.items():
            differ = query(f"""
                WITH p AS (SELECT row_number() OVER () n, "{column}" v FROM {parquet}),
                     c AS (SELECT row_number() OVER () n, "{column}"::{kind} v FROM {csv})
                SELECT count(*) FROM p JOIN c USING (n) WHERE p.v IS DISTINCT FROM c.v
            """).fetchone()
            self.assertEqual(differ, (0,), column)
        # A list is JSON.
        tags = query(
            f"SELECT sum((tag->>'count')::BIGINT) FROM (SELECT unnest(json_extract(hashtags, '$[*]')) tag FROM {parquet})"
        )
        self.assertGreater(tags.fetchone()[0], 0)
