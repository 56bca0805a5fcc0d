#!/usr/bin/env python3
"""Makes docs/performance.md: runs the benchmark and fills in tests/bench/performance.md.in.

usage: tests/bench/performance.py [--quick] [--json FILE] [-o FILE]
       tests/bench/performance.py --check [-o FILE]

  --quick      a shorter run (under 3 minutes after the build instead of under 8)
  --json FILE  take the figures of an earlier run.sh --json FILE instead of running it
  --check      do not write: fail unless the document is what the template makes of some figures
  -o FILE      the document; docs/performance.md when absent

In the template {{name}} stands for a figure by its name in the JSON, {{name|N}} for the same with N
digits after the point, {{=machine}}, {{=cores}}, {{=date}}, {{=command}} and {{=load}} for facts of the run.
"""
import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TEMPLATE = os.path.join(HERE, "performance.md.in")
PLACEHOLDER = re.compile(r"\{\{(=?[a-z0-9_.]+)(?:\|(\d))?\}\}", re.IGNORECASE)
# What a placeholder may have become, for --check.
FIGURE = r"-?[0-9][0-9,]*(?:\.[0-9]+)?"
FACT = r"[^\n|]+"


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def facts(quick, load):
    return {
        "=machine": machine(),
        "=cores": str(os.cpu_count()),
        "=date": datetime.date.today().isoformat(),
        "=command": "tests/bench/performance.py" + (" --quick" if quick else ""),
        "=load": f"{load:.1f}",
    }


def digits_of(value):
    """As many digits after the point as make three or four figures."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 10 else 2


def fill(template, figures, known):
    missing = []

    def put(match):
        name, digits = match.group(1), match.group(2)
        if name in known:
            return known[name]
        if name not in figures:
            missing.append(name)
            return "?"
        value = float(figures[name])
        return f"{value:,.{int(digits) if digits else digits_of(value)}f}"

    text = PLACEHOLDER.sub(put, template)
    if missing:
        sys.exit("error: the benchmark did not measure " + ", ".join(sorted(set(missing))))
    return text


def pattern_of(template):
    """A regular expression that every document made of the template meets."""
    parts, at = [], 0
    for match in PLACEHOLDER.finditer(template):
        parts.append(re.escape(template[at:match.start()]))
        parts.append(FACT if match.group(1).startswith("=") else FIGURE)
        at = match.end()
    parts.append(re.escape(template[at:]))
    return re.compile("".join(parts) + r"\Z")


def first_difference(template, document):
    """The first line of the document that no line of the template makes; None when there is none."""
    wanted, got = template.splitlines(), document.splitlines()
    for number, line in enumerate(got):
        if number >= len(wanted) or not pattern_of(wanted[number]).match(line):
            return f"line {number + 1}: {line}"
    return None if len(wanted) == len(got) else f"line {len(got) + 1} is missing"


def run_benchmark(quick):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "figures.json")
        command = [os.path.join(HERE, "run.sh"), "--json", path] + (["--quick"] if quick else [])
        if subprocess.call(command) != 0:
            sys.exit("error: the benchmark failed")
        with open(path, encoding="utf-8") as f:
            return json.load(f)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "docs", "performance.md"))
    args = parser.parse_args()
    with open(TEMPLATE, encoding="utf-8") as f:
        template = f.read()
    if args.check:
        with open(args.output, encoding="utf-8") as f:
            difference = first_difference(template, f.read())
        if difference:
            sys.exit(f"error: {args.output} is not what {os.path.relpath(TEMPLATE, ROOT)} makes: "
                     f"{difference}\nrun tests/bench/performance.py")
        return
    load = os.getloadavg()[0]
    if args.json:
        with open(args.json, encoding="utf-8") as f:
            figures = json.load(f)
    else:
        figures = run_benchmark(args.quick)
    text = fill(template, figures, facts(args.quick, load))
    with open(args.output, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"{args.output} is written")


if __name__ == "__main__":
    main()
