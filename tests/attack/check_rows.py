#!/usr/bin/env python3
"""Each row of docs/attacks.md names tests that exist, and no known attack is without a row.

usage: check_rows.py ROOT
A test is a function that a cmocka program runs, or a name that CTest knows.
"""
import pathlib
import re
import sys

ROWS = range(1, 30)  # of "Known failures" in docs/protocol.md


def tests_of(root):
    names = set()
    for path in pathlib.Path(root, "tests").rglob("*.c"):
        text = path.read_text(errors="replace")
        for name in re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M):
            if len(re.findall(rf"\b{name}\b", text)) > 1:  # defined, and in the list of tests
                names.add(name)
    for path in pathlib.Path(root, "tests").rglob("CMakeLists.txt"):
        text = path.read_text()
        names.update(re.findall(r"(?:tdsa_add_\w+\(|add_test\(NAME )(\w+)", text))
    for path in pathlib.Path(root, "tests").rglob("test_*.py"):
        names.update(re.findall(r"def (test_\w+)", path.read_text()))
    return names


def check(root):
    known = tests_of(root)
    seen = set()
    for line in pathlib.Path(root, "docs/attacks.md").read_text().split("\n"):
        row = re.match(r"\| (\d+) \| ", line)
        if not row:
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        seen.add(int(row.group(1)))
        if len(cells) != 4 or not all(cells):
            yield f"row {row.group(1)}: {len(cells)} cells, 4 are due"
            continue
        names = re.findall(r"`(\w+)`", cells[3])
        if not names:
            yield f"row {row.group(1)}: names no test"
        for name in names:
            if name not in known:
                yield f"row {row.group(1)}: no test is called {name}"
    for number in ROWS:
        if number not in seen:
            yield f"row {number} is missing"


if __name__ == "__main__":
    found = list(check(sys.argv[1]))
    print("\n".join("docs/attacks.md: " + line for line in found))
    sys.exit(1 if found else 0)
