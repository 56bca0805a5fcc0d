#!/usr/bin/env python3
"""Proves that every lint can fail: builds a bad tree, runs the check, wants exit 1 and the reason.

usage: self_lint.py CASE   (no argument: all)
"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LINT = HERE.parent / "lint"
STYLE = ["python3", LINT / "check_style.py"]
SUPPRESSIONS = ["python3", LINT / "check_suppressions.py"]
FUZZ = ["python3", LINT / "check_fuzz.py"]
LAYERS = ["python3", LINT / "check_layers.py"]


SUPPRESSION = "{\n   a reason\n   Memcheck:%s\n   obj:*/libcrypto.so.3\n   fun:ours\n}\n"


def function(body_lines):
    return "int f(void)\n{\n" + "    f();\n" * body_lines + "}\n"


def compiled(root, name, text):
    source = root / "mpc/base" / (name + ".c")
    source.write_text(text)
    made = root / "mpc/base" / (name + ".o")
    subprocess.run(["cc", "-c", source, "-o", made], check=True)
    subprocess.run(["ar", "rcs", root / "mpc/base" / f"lib{name}.a", made], check=True)


# case -> (command, files, options after ROOT, words that the output must hold)
CASES = {
    "function_length": (STYLE, {"mpc/base/a.c": function(69)}, ["length"], ["a function of 71 lines"]),
    "file_length": (STYLE, {"mpc/base/a.h": "\n" * 601}, ["length"], ["601 lines, at most 600"]),
    "ifdef_in_function": (STYLE, {"keystore/a.c": "int f(void)\n{\n#ifdef X\n#endif\n}\n"}, ["length"],
                          ["a.c:3: preprocessor condition"]),
    "unbounded_copy": (STYLE, {"service/api/a.c": "void f(void)\n{\n    strcpy(a, b);\n}\n"}, ["words"],
                       ["service/api/a.c:3: strcpy"]),
    "atoi": (STYLE, {"service/api/a.c": "int f(void)\n{\n    return atoi(s);\n}\n"}, ["words"], ["atoi"]),
    "alloca": (STYLE, {"mpc/base/a.c": "void f(void)\n{\n    alloca(3);\n}\n"}, ["words"], ["alloca"]),
    "shell": (STYLE, {"mpc/base/a.c": "void f(void)\n{\n    system(s);\n}\n"}, ["words"], ["starts a shell"]),
    "libc_random": (STYLE, {"tests/unit/a.c": "int f(void)\n{\n    return rand();\n}\n"}, ["words"], ["rand"]),
    "memcmp_on_secret": (STYLE, {"mpc/base/a.c": "int f(void)\n{\n    return memcmp(my_secret, b, 3);\n}\n"},
                         ["words"], ["tdsa_ct_equal"]),
    "strcmp_on_pin": (STYLE, {"keystore/a.c": "int f(void)\n{\n    return strcmp(pin, b);\n}\n"},
                      ["words"], ["tdsa_ct_equal"]),
    "type_with_t": (STYLE, {"mpc/base/a.h": "typedef struct {\n    int a;\n} thing_t;\n"}, ["words"],
                    ["types have no _t"]),
    "unfinished": (STYLE, {"mpc/base/a.c": "/* TO" "DO: later */\n"}, ["words"], ["unfinished work"]),
    "unfinished_in_script": (STYLE, {"examples/a.sh": "#!/bin/sh\n# FIX" "ME\n"}, ["words"], ["unfinished"]),
    "library_prints": (STYLE, {"keystore/a.c": "void f(void)\n{\n    printf(s);\n}\n"}, ["words"],
                       ["libraries do not print"]),
    "declassified_without_reason": (STYLE, {"mpc/base/a.c": "void f(void)\n{\n    tdsa_declassify(p, 3);\n}\n"},
                                    ["words"], ["mpc/base/a.c:3: tdsa_declassify does not say why"]),
    "readme_missing": (STYLE, {"mpc/group/a.h": "\n"}, ["readme"], ["mpc/group: has no README.md"]),
    "readme_of_new_folder": (STYLE, {"service/extra/a.h": "\n"}, ["readme"], ["service/extra: has no"]),
    "readme_long": (STYLE, {"keystore/README.md": "x\n" * 41}, ["readme"], ["41 lines, at most 40"]),
    "tree": (STYLE, {"mpc/a.h": "\n"}, ["tree"], ["keystore/: missing", "docs/protocol.md: missing"]),
    "entry_point_elsewhere": (STYLE, {"pkcs11-provider/sign.c": "CK_RV C_Sign(void)\n{\n}\n"}, ["tree"],
                              ["C_Sign belongs into an entry_*.c"]),
    "test_in_document": (STYLE, {"docs/protocol.md": "| 1 | a | b | `no_such_test_here` |\n"}, ["docs"],
                         ["names the test no_such_test_here"]),
    "parser_without_fuzz": (FUZZ, {"mpc/peer/a.h": "int peer_a_parse(const char *t);\n"}, [],
                            ["mpc/peer/a.h: no fuzz target names peer_a_parse"]),
    "fuzz_without_corpus": (FUZZ, {"tests/fuzz/peer/fuzz_a.c": "int a;\n"}, [],
                            ["fuzz_a.c: not built", "no corpus in tests/fuzz/corpus/fuzz_a"]),
    "suppression_not_listed": (SUPPRESSIONS, {"tests/ct/libraries.supp": SUPPRESSION % "Cond",
                                              "docs/security.md": "| nettle | `ours` | a reason |\n"}, [],
                               ["does not list: ('OpenSSL', 'ours', 'a reason')", "lists what is not suppressed"]),
    "suppression_of_an_address": (SUPPRESSIONS, {"tests/ct/libraries.supp": SUPPRESSION % "Value8",
                                                 "docs/security.md": "| OpenSSL | `ours` | a reason |\n"}, [],
                                  ["suppresses Memcheck:Value8"]),
    "shell_without_name": (STYLE, {"examples/a.sh": "echo\n"}, ["shell"], ["neither its interpreter"]),
    "layer": (LAYERS, {"mpc/protocol/a.c": '#include "peer/channel.h"\n'}, [],
              ['mpc/protocol/a.c: may not include "peer/channel.h"']),
    "input_output": (LAYERS, {"mpc/group/a.c": "#include <time.h>\n"}, [], ["does no I/O, so no <time.h>"]),
    "wrapped_library": (LAYERS, {"service/api/a.c": "#include <sqlite3.h>\n"}, [], ["is wrapped by"]),
    "thread_in_participant": (LAYERS, {"mpc/participant/run.c": "#include <pthread.h>\n"}, [],
                              ["participant/engine"]),
    "unknown_folder": (LAYERS, {"service/extra/a.c": "int a;\n"}, [], ["service/extra is not in the table"]),
    "system_in_base": (LAYERS, {"mpc/base/a.c": "#include <sys/socket.h>\n"}, [], ["os_*.c"]),
    "layers_in_document": (LAYERS, {"docs/architecture.md": "| `mpc/group` | base, peer |\n"}, [],
                           ["docs/architecture.md: mpc/group may include ['base', 'peer']"]),
    "format": ([LINT / "check_format.sh"], {"mpc/base/a.c": "int  f( void );\n"}, [], ["clang-format"]),
    "header_alone": ([LINT / "check_headers.sh"], {"mpc/base/a.h": "size_t f(void);\n"}, [],
                     ["mpc/base/a.h: does not compile alone"]),
    "failpoint_defined": ([LINT / "check_failpoints.sh"],
                          {"obj:fp": "void tdsa_failpoint_hit(const char *n);\n"
                                     "void tdsa_failpoint_hit(const char *n) { (void)n; }\n"}, [],
                          ["holds tdsa_failpoint_hit"]),
    "failpoint_called": ([LINT / "check_failpoints.sh"],
                         {"obj:fp": "void tdsa_failpoint_hit(const char *n);\nvoid f(void);\n"
                                    'void f(void) { tdsa_failpoint_hit("a"); }\n'}, [],
                         ["holds tdsa_failpoint_hit"]),
    "failpoint_by_name": ([LINT / "check_failpoints.sh"],
                          {"obj:fp": 'extern const char *p;\nconst char *p = "TDSA_FAILPOINT_KILL";\n'}, [],
                          ["knows TDSA_FAILPOINT_KILL"]),
    "shellcheck": ([LINT / "check_shell.sh"], {"examples/a.sh": "#!/bin/sh\nrm $1\n"}, [], ["SC2086"]),
}


def run(case):
    command, files, options, wanted = CASES[case]
    with tempfile.TemporaryDirectory(prefix="tdsa-self-") as folder:
        root = pathlib.Path(folder)
        (root / "mpc/base").mkdir(parents=True)
        for name, text in files.items():
            if name.startswith("obj:"):
                compiled(root, name[4:], text)
                continue
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([*map(str, command), str(root), *options], capture_output=True, text=True,
                              check=False)
    output = done.stdout + done.stderr
    missing = [word for word in wanted if word not in output]
    # xargs reports the failure of the tool it ran as 123
    if done.returncode not in (1, 123) or missing:
        print(f"{case}: exit {done.returncode}, missing {missing}, output:\n{output}")
        return False
    print(f"{case}: the check fails as it must")
    return True


if __name__ == "__main__":
    results = [run(case) for case in (sys.argv[1:] or CASES)]
    sys.exit(0 if all(results) else 1)
