"""docs/runbook.md has every alarm of infra/, in the section that the alarm's description names, and no other alarm."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALARMS = ROOT / "infra/modules/observability/alarms.tf"
RUNBOOK = ROOT / "docs/runbook.md"
SCRIPT = ROOT / "scripts/runbook.sh"
COLUMNS = ["alarm", "means", "look at", "do"]


def alarms_of(terraform: str) -> dict[str, str]:
    """Each alarm's name, as the runbook writes it, with the section that its description names."""
    alarms = {}
    # Entries of the two maps.
    for name, section in re.findall(r'^    ([a-z-]+) = \{\n\s+section\s+= "([a-z-]+)"', terraform, re.M):
        alarms[name] = section
    # Resources with names of their own.
    for body in re.split(r"^resource ", terraform, flags=re.M)[1:]:
        name = re.search(r'alarm_name\s+= "\$\{var\.name\}-(.*)"$', body, re.M)[1]
        section = re.search(r"\$\{local\.runbook\}([^\"]*)\"$", body, re.M)[1]
        if name != "${each.key}":
            name = name.replace('${replace(each.key, ":", "-")}', "SOURCE").replace("${count.index}", "N")
            alarms[name] = section
    return alarms


def rows_of(markdown: str) -> dict[str, str]:
    """Each alarm that a table has, with the anchor of the heading above it."""
    rows, section, is_table = {}, "", False
    for line in markdown.splitlines():
        if heading := re.fullmatch(r"#+ (.*)", line):
            section = heading[1].lower().replace(" ", "-")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        is_table = line.startswith("|") and (is_table or cells == COLUMNS)
        if is_table and (name := re.fullmatch(r"`([A-Za-z-]+)`", cells[0])):
            if len(cells) != len(COLUMNS) or not all(cells):
                raise ValueError(f"the row of {name[1]} has not {len(COLUMNS)} cells")
            if name[1] in rows:
                raise ValueError(f"{name[1]} has two rows")
            rows[name[1]] = section
    return rows


class Alarms(unittest.TestCase):
    def test_every_alarm_has_a_row_in_its_section_and_every_row_an_alarm(self):
        alarms = alarms_of(ALARMS.read_text(encoding="utf-8"))
        self.assertGreater(len(alarms), 25)
        self.assertEqual(rows_of(RUNBOOK.read_text(encoding="utf-8")), alarms)

    def test_every_alarm_of_the_module_is_found(self):
        text = ALARMS.read_text(encoding="utf-8")
        alarms = alarms_of(text)
        self.assertEqual(len(re.findall(r'^      description\s+= "', text, re.M)), self.count_of_map(alarms))
        for file in ALARMS.parent.glob("*.tf"):
            resources = re.findall(r'^resource "(aws_cloudwatch_[a-z_]*alarm)"', file.read_text(encoding="utf-8"), re.M)
            self.assertTrue(file == ALARMS or not resources, f"{file.name} has alarms that this test does not read")

    @staticmethod
    def count_of_map(alarms):
        own = ("SOURCE-", "idle-", "streamer-silent", "no-windows", "digest-stale")
        return len([name for name in alarms if not name.startswith(own)])

    def test_a_row_that_is_missing_or_elsewhere_is_found(self):
        terraform = 'x = {\n    api-slow = {\n      section     = "api"\n'
        table = "### Api\n\n| alarm | means | look at | do |\n| --- | --- | --- | --- |\n| `api-slow` | a | b | c |\n"
        self.assertEqual(rows_of(table), alarms_of(terraform))
        self.assertNotEqual(rows_of(table.replace("Api", "Digest")), alarms_of(terraform))
        self.assertEqual(rows_of(table.replace("alarm", "name")), {})
        with self.assertRaises(ValueError):
            rows_of(table.replace(" | c |", " |"))
        with self.assertRaises(ValueError):
            rows_of(table + "| `api-slow` | a | b | c |\n")


class Commands(unittest.TestCase):
    def test_commands_of_the_script_that_are_named_exist(self):
        named = set(re.findall(r"scripts/runbook\.sh ([a-z][a-z-]*)", RUNBOOK.read_text(encoding="utf-8")))
        known = set(re.findall(r"^  ([a-z-]+) .*  ", SCRIPT.read_text(encoding="utf-8"), re.M))
        self.assertTrue(named)
        self.assertLessEqual(named, known)

    def test_every_command_of_the_script_is_in_the_runbook(self):
        text = SCRIPT.read_text(encoding="utf-8")
        commands = re.search(r"^([a-z| -]+)\) \"\$command\" ;;", text, re.M)[1].split(" | ")
        runbook = RUNBOOK.read_text(encoding="utf-8")
        self.assertGreater(len(commands), 5)
        for command in commands:
            self.assertIn(f"scripts/runbook.sh {command}", runbook)

    def test_variables_that_are_named_exist(self):
        variables = set(
            re.findall(r'^variable "([a-z_]+)"', (ROOT / "infra/variables.tf").read_text(encoding="utf-8"), re.M)
        )
        prefixes = ("aggregator_", "api_", "digest_", "table_", "budget_", "shard_", "stream_mode", "log_")
        named = {
            name
            for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)", RUNBOOK.read_text(encoding="utf-8"))
            if name.startswith(prefixes)
        }
        self.assertTrue(named)
        self.assertLessEqual(named, variables)


if __name__ == "__main__":
    unittest.main()
