#!/usr/bin/env python3
"""Fails when a file breaks a rule of CONTRIBUTING.md that a machine can see.

usage: check_style.py ROOT [RULE...]      rules: length words readme tree shell docs (default: all)
"""
import pathlib
import re
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
README_LINES_MAX = 40
SOURCE_ROOTS = ("mpc", "keystore", "service", "pkcs11-provider", "tests", "examples")
# Trees that break the rules on purpose, and inputs of fuzzers.
SKIP = ("tests/self/", "tests/fuzz/corpus/")
LIBRARIES = ("mpc/", "keystore/", "pkcs11-provider/", "service/config/")

INSIDE = r"(?:[^();]|\([^();]*\))*"  # within the parentheses of a call, one level deep

# What never appears, with the reason that is printed.
BANNED = [
    (re.compile(r"\b(strcpy|strcat|stpcpy|sprintf|vsprintf|gets|strtok|mktemp|tmpnam)\s*\("),
     "has no bound or hidden state"),
    (re.compile(r"\b(alloca)\s*\("), "stack use without a limit"),
    (re.compile(r"\b(atoi|atol|atoll|atof)\s*\("), "cannot report an error: use strtoul and check"),
    (re.compile(r"\bv?f?s?scanf\s*\("), "does not check ranges: use tdsa_reader or strtoul"),
    (re.compile(r"\b(rand|srand|random|srandom|drand48)\s*\("), "not a source of randomness: tdsa_rng"),
    (re.compile(r"\b(system|popen)\s*\("), "starts a shell"),
    (re.compile(r"\}\s*\w+_t;|^typedef\b[^;(]*\s\w+_t;", re.M), "types have no _t"),
    (re.compile(r"\bTO" r"DO\b|\bFIX" r"ME\b|\bXX" r"X\b"), "unfinished work is not landed"),
    (re.compile(r"\bmemcmp\s*\(" + INSIDE + r"(secret\b|share\b|private\b|kappa|psk|data_key|\bpin\b|_pin\b)"),
     "compare secrets with tdsa_ct_equal"),
    (re.compile(r"\bstr(n?case)?n?cmp\s*\(" + INSIDE + r"(secret\b|\bpin\b|_pin\b|password)"),
     "compare secrets with tdsa_ct_equal"),
]
# Tests may compare what they know, and take numbers apart as they like.
PRODUCT_ONLY = ("compare secrets with tdsa_ct_equal",
                "does not check ranges: use tdsa_reader or strtoul", "starts a shell")
# Libraries do not log or print; only assert.c may, before it ends the process.
PRINTS = re.compile(r"\b(printf|puts|putchar|perror|vprintf)\s*\(|\bfprintf\s*\(\s*std(out|err)")
# A value becomes public where the code says why.
DECLASSIFIES = re.compile(r"^ +tdsa_declassify\([^;]*;(?![ \t]*/\*)", re.M)
MAY_PRINT = ("mpc/base/assert.c", "service/config/config_doc.c")  # the second is a program

README_FOLDERS = [
    ".", "mpc", "mpc/base", "mpc/group", "mpc/protocol", "mpc/peer", "mpc/participant", "keystore",
    "service", "service/config", "service/http", "service/api", "service/round", "service/admin",
    "service/vault", "service/daemon", "service/cli", "pkcs11-provider", "tests", "softhsm-conf",
    "examples", "cmake", "docs",
]
# The tree of docs/architecture.md: a trailing slash means a folder.
TREE = [f + "/" for f in README_FOLDERS if f != "."] + [
    "tests/" + kind + "/" for kind in (
        "unit", "vectors", "conformance", "sim", "attack", "fault", "fuzz", "ct", "e2e", "bench",
        "lint", "support")
] + ["keystore/sql/sqlite/", ".ci/run", ".clang-format", "CMakeLists.txt", "CMakePresets.json",
     "CONTRIBUTING.md", "docs/architecture.md", "docs/protocol.md", "docs/security.md",
     "examples/quickstart.sh", "tests/run.sh", "tests/bench/run.sh", "cmake/packages.txt"]


def sources(root, suffixes):
    for top in SOURCE_ROOTS:
        for path in sorted(pathlib.Path(root, top).rglob("*")):
            rel = path.relative_to(root).as_posix()
            if path.suffix in suffixes and path.is_file() and not rel.startswith(SKIP):
                yield rel, path.read_text(errors="replace")


def length(root):
    for rel, text in sources(root, {".c", ".h"}):
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LINES_MAX:
            yield f"{rel}: {len(lines) - 1} lines, at most {FILE_LINES_MAX}"
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start is not None:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield (f"{rel}:{start}: a function of {number - start + 1} lines, "
                           f"at most {FUNCTION_LINES_MAX}")
                start = None
            elif start is not None and re.match(r"#\s*(if|ifdef|ifndef)\b", line):
                yield f"{rel}:{number}: preprocessor condition inside a function body"


def without_comments(text):
    keep_lines = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r"/\*.*?\*/", keep_lines, text, flags=re.S)


def words(root):
    for rel, text in sources(root, {".c", ".h"}):
        code = without_comments(text)
        for pattern, why in BANNED:
            if why in PRODUCT_ONLY and rel.startswith("tests/"):
                continue
            body = text if "unfinished" in why else code
            for hit in pattern.finditer(body):
                number = body.count("\n", 0, hit.start()) + 1
                yield f"{rel}:{number}: {hit.group(0).split('(')[0].strip()}: {why}"
        if rel.startswith(LIBRARIES) and rel not in MAY_PRINT:
            for hit in PRINTS.finditer(code):
                number = code.count("\n", 0, hit.start()) + 1
                yield f"{rel}:{number}: libraries do not print"
        if not rel.startswith("tests/"):
            for hit in DECLASSIFIES.finditer(text):
                number = text.count("\n", 0, hit.start()) + 1
                yield f"{rel}:{number}: tdsa_declassify does not say why the value is public"
    for rel, text in sources(root, {".sh", ".py", ".txt", ".md"}):
        if rel.startswith("tests/lint/"):
            continue
        for hit in BANNED[7][0].finditer(text):
            yield f"{rel}:{text.count(chr(10), 0, hit.start()) + 1}: {BANNED[7][1]}"


def readme(root):
    folders = list(README_FOLDERS)
    for top in ("mpc", "service"):
        folders += [p.relative_to(root).as_posix() for p in sorted(pathlib.Path(root, top).glob("*"))
                    if p.is_dir()]
    for folder in dict.fromkeys(folders):
        path = pathlib.Path(root, folder, "README.md")
        if not path.is_file():
            yield f"{folder}: has no README.md"
            continue
        count = path.read_text().count("\n")
        if folder != "." and count > README_LINES_MAX:
            yield f"{folder}/README.md: {count} lines, at most {README_LINES_MAX}"


def tree(root):
    for name in TREE:
        path = pathlib.Path(root, name)
        if not (path.is_dir() if name.endswith("/") else path.is_file()):
            yield f"{name}: missing (docs/architecture.md has it)"
    for path in sorted(pathlib.Path(root, "pkcs11-provider").glob("*.c")):
        entry = path.name.startswith("entry_")
        for name in re.findall(r"^(?:CK_RV|CK_DEFINE_FUNCTION\(CK_RV, )\s*(C_\w+)",
                               path.read_text(), re.M):
            if not entry:
                yield f"pkcs11-provider/{path.name}: {name} belongs into an entry_*.c"


def docs(root):
    """The tests that docs/protocol.md names exist."""
    path = pathlib.Path(root, "docs/protocol.md")
    if not path.is_file():
        return
    known = " ".join(text for _, text in sources(root, {".c", ".py", ".txt"}) if _.startswith("tests/"))
    known = set(re.findall(r"\w+", known))
    for line in path.read_text().split("\n"):
        if re.match(r"\| \d+ \| ", line):
            for name in re.findall(r"`(\w{6,})`", line.rsplit(" | ", 1)[1]):
                # fault_x is the CTest name of test_x.py
                if name not in known and not list(pathlib.Path(root, "tests").rglob(
                        f"test_{name.split('_', 1)[1]}.py")):
                    yield f"docs/protocol.md: names the test {name}, which does not exist"


def shell(root):
    for rel, text in sources(root, {".sh"}):
        first = text.split("\n", 1)[0]
        if not first.startswith("#!") and "shellcheck shell=" not in text:
            yield f"{rel}: says neither its interpreter nor its shell"


RULES = {"length": length, "words": words, "readme": readme, "tree": tree, "shell": shell, "docs": docs}

if __name__ == "__main__":
    chosen = sys.argv[2:] or list(RULES)
    found = [line for name in chosen for line in RULES[name](pathlib.Path(sys.argv[1]))]
    print("\n".join(found))
    sys.exit(1 if found else 0)
