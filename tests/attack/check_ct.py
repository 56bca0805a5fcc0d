#!/usr/bin/env python3
"""The functions that docs/security.md calls given secrets are run by the constant-time program named.

usage: check_ct.py ROOT
A function counts as run when the program calls it, or what the program calls in
tests/support/protocol_run.c, recovery_kit.c or export_run.c does. It must be declared in a header and not end in _vartime.
"""
import pathlib
import re
import sys

CALL = re.compile(r"\b(\w+)\(")


def bodies(text):
    """Name -> body of each function of a C file in our style."""
    found = re.finditer(r"^[a-z][^;{}#]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S)
    return {m.group(1): m.group(2) for m in found}


def reached(program, support):
    """Names that a program's text calls, through the functions of `support` as well."""
    names = set(CALL.findall(program))
    work = list(names)
    while work:
        for name in CALL.findall(support.get(work.pop(), "")):
            if name not in names:
                names.add(name)
                work.append(name)
    return names


def check(root):
    declared = set()
    for top in ("mpc", "keystore"):
        for path in pathlib.Path(root, top).rglob("*.h"):
            declared.update(CALL.findall(path.read_text()))
    support = {}
    for path in pathlib.Path(root, "tests/support").glob("*.c"):
        if path.stem in ("protocol_run", "recovery_kit", "export_run"):
            support.update(bodies(path.read_text()))
    rows = re.findall(r"^\| `(ct_\w+)` \| (.*) \|$",
                      pathlib.Path(root, "docs/security.md").read_text(), re.M)
    if len(rows) < 5:
        yield f"{len(rows)} rows of constant-time programs"
    for program, cells in rows:
        sources = list(pathlib.Path(root, "tests/ct").rglob(program + ".c"))
        if not sources:
            yield f"there is no tests/ct/*/{program}.c"
            continue
        names = reached(sources[0].read_text(), support)
        for name in re.findall(r"`(\w+)`", cells):
            if name not in declared:
                yield f"{program}: no header declares {name}"
            elif name.endswith("_vartime"):
                yield f"{program}: {name} is not for secrets"
            elif name not in names:
                yield f"{program} does not run {name}"


if __name__ == "__main__":
    wrong = list(check(sys.argv[1]))
    print("\n".join("docs/security.md: " + line for line in wrong))
    sys.exit(1 if wrong else 0)
