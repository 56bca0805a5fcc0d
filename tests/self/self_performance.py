#!/usr/bin/env python3
"""performance.py fills in every figure, and its check refuses a document that it would not make."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "tests", "bench", "performance.py")

sys.path.insert(0, os.path.dirname(SCRIPT))
import performance  # noqa: E402


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True,
                          check=False)


def must(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def main():
    with open(performance.TEMPLATE, encoding="utf-8") as f:
        names = {m.group(1) for m in performance.PLACEHOLDER.finditer(f.read())}
    figures = {n: 1234.5 for n in names if not n.startswith("=")}
    with tempfile.TemporaryDirectory() as folder:
        document, values = os.path.join(folder, "p.md"), os.path.join(folder, "f.json")
        with open(values, "w", encoding="utf-8") as f:
            json.dump(figures, f)
        must(run("--json", values, "-o", document).returncode == 0, "a document is made")
        must(run("--check", "-o", document).returncode == 0, "what was made is accepted")
        with open(document, encoding="utf-8") as f:
            text = f.read()
        must("{{" not in text, "every figure is filled in")
        for what, changed in (("a changed word", text.replace("Targets", "Wishes", 1)),
                              ("a word for a figure", text.replace("1,234.50", "fast", 1)),
                              ("a lost line", text.split("\n", 1)[1]),
                              ("a line too many", text + "more\n")):
            must(changed != text, f"{what}: the text to change is there")
            with open(document, "w", encoding="utf-8") as f:
                f.write(changed)
            must(run("--check", "-o", document).returncode != 0, f"{what} is refused")
        figures.popitem()
        with open(values, "w", encoding="utf-8") as f:
            json.dump(figures, f)
        answer = run("--json", values, "-o", document)
        must(answer.returncode != 0 and "did not measure" in answer.stderr, "a missing figure is named")


if __name__ == "__main__":
    main()
