#!/usr/bin/env python3
"""What tests/ct/libraries.supp lets valgrind pass over inside libraries is what docs/security.md lists, entry by
entry and in the same order; nothing but branches may be suppressed. usage: check_suppressions.py ROOT [--table]
--table prints the table for docs/security.md."""
import pathlib
import re
import sys

LIBRARIES = (("libcrypto", "OpenSSL"), ("libsodium", "libsodium"), ("nettle", "nettle"), ("hogweed", "nettle"),
             ("gmp", "GMP"), ("secp256k1", "libsecp256k1"))
ROW = re.compile(r"^\| (\S+) \| `([a-z0-9_]+)` \| (.*) \|$", re.M)


def entries(text):
    """(library, function of ours, reason) of each suppression, and what is wrong with them."""
    rows, problems = [], []
    for block in re.findall(r"^\{\n(.*?)^\}", text, re.M | re.S):
        lines = [line.strip() for line in block.splitlines()]
        reason, kind, frames = lines[0], lines[1], lines[2:]
        library = next((name for word, name in LIBRARIES if word in " ".join(frames)), None)
        functions = [f[4:] for f in frames if f.startswith("fun:")]
        if kind != "Memcheck:Cond":
            problems.append(f"tests/ct/libraries.supp: '{reason}' suppresses {kind}")
        if library is None or not functions or "*" in functions[-1]:
            problems.append(f"tests/ct/libraries.supp: '{reason}' names no library or no function of ours")
            continue
        rows.append((library, functions[-1], reason))
    return rows, problems


def main(root, table):
    listed, problems = entries((root / "tests/ct/libraries.supp").read_text())
    if table:
        print("\n".join(f"| {a} | `{b}` | {c} |" for a, b, c in listed))
        return 0
    documented = ROW.findall((root / "docs/security.md").read_text())
    problems += [f"docs/security.md does not list: {e}" for e in listed if e not in documented]
    problems += [f"docs/security.md lists what is not suppressed: {e}" for e in documented if e not in listed]
    if not problems and listed != documented:
        problems.append("docs/security.md lists the suppressions in another order")
    if not listed:
        problems.append("tests/ct/libraries.supp holds nothing")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--table" in sys.argv))
