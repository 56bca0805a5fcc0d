#!/usr/bin/env python3
"""Every parser has a fuzz target: a function of the headers that is called *_decode, *_parse or *_take must be
named by a file in tests/fuzz, and each target must be built and have a corpus. usage: check_fuzz.py ROOT"""
import pathlib
import re
import sys

# Functions of these names that read no bytes from outside.
NO_PARSER = {
    "mpc_round_may_take": "asks whether a message is due",
    "part_rate_take": "takes a token",
    "part_stock_take": "takes a presignature",
    "svc_metric_take": "takes a snapshot",
}
NAME = re.compile(r"\b([a-z][a-z0-9_]*_(?:decode|parse|take))\s*\(")


def main(root):
    problems = []
    targets = sorted(root.glob("tests/fuzz/*/fuzz_*.c"))
    text = "\n".join(f.read_text() for f in sorted(root.glob("tests/fuzz/*/*.c")))
    builds = "\n".join(f.read_text() for f in root.glob("tests/fuzz/*/CMakeLists.txt"))
    found = set()
    for folder in ("mpc", "keystore", "service"):
        for header in sorted((root / folder).rglob("*.h")):
            for name in NAME.findall(re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)):
                found.add(name)
                if name not in NO_PARSER and not re.search(rf"\b{name}\b", text):
                    problems.append(f"{header.relative_to(root)}: no fuzz target names {name}")
    problems += [f"tests/lint/check_fuzz.py: there is no {name} any more" for name in NO_PARSER if name not in found]
    for f in targets:
        if not re.search(rf"\b{f.stem}\b", builds):
            problems.append(f"{f.relative_to(root)}: not built")
        if not any((root / "tests/fuzz/corpus" / f.stem).glob("*")):
            problems.append(f"{f.relative_to(root)}: no corpus in tests/fuzz/corpus/{f.stem}")
    print("\n".join(problems))
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
