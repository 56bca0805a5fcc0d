#!/usr/bin/env python3
"""The test suites that pkcs11-tool brings along, and how programs end; started by p11_host."""
import os
import subprocess
import sys
import tempfile

MODULE = os.environ["TDSA_PKCS11_MODULE"]
PIN = os.environ["TDSA_PIN"]
TOKEN = os.environ["TDSA_TOKEN"]
WORK = os.environ["TDSA_WORK"]


def run(*command, env=None):
    return subprocess.run([str(c) for c in command], cwd=WORK, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=100, check=False, env=env)


def tool(*arguments):
    return run("pkcs11-tool", "--module", MODULE, "--login", "--pin", PIN, *arguments)


def need(done, *words):
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}")
    for word in words:
        if word not in done.stdout:
            raise AssertionError(f"no {word!r} in\n{done.stdout}")


def the_general_suite_finds_no_errors():
    need(tool("--session-rw", "--test"), "No errors")


def the_suite_for_curves_passes():
    for curve in ("prime256v1", "secp256k1", "secp384r1", "secp521r1"):
        need(tool("--session-rw", "--test-ec", "--key-type", f"EC:{curve}", "--id", "07", "--label", "t"), "==> OK")


def a_child_may_initialise():
    done = tool("--test-fork")
    need(done, "C_Initialize in forked child")
    if "CKR_" in done.stdout:
        raise AssertionError(done.stdout)


def nothing_is_left_behind():
    done = tool("-O")
    need(done)
    if "Object" in done.stdout:
        raise AssertionError(done.stdout)


def ids_and_labels_may_be_anything():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "00ff", "--label", "Schlüssel ☂"),
         "Schlüssel ☂", "00ff")
    need(tool("-O"), "Schlüssel ☂")
    need(tool("--delete-object", "--type", "privkey", "--id", "00ff"))


def public_halves_are_listed_before_login():
    need(tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "one"))
    done = run("pkcs11-tool", "--module", MODULE, "-O")
    need(done, "Public Key Object")
    if "Private Key Object" in done.stdout:
        raise AssertionError(done.stdout)


def the_engine_ends_cleanly():
    with tempfile.NamedTemporaryFile("w", suffix=".cnf", dir=WORK) as conf:
        conf.write(f"openssl_conf = s\n[s]\nengines = e\n[e]\np = p\n[p]\nengine_id = pkcs11\n"
                   f"MODULE_PATH = {MODULE}\nPIN = {PIN}\ninit = 0\n")
        conf.flush()
        env = dict(os.environ, OPENSSL_CONF=conf.name)
        for _ in range(3):  # OpenSSL's own clean-up calls C_CloseSession and C_Finalize inside exit()
            need(run("openssl", "dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign",
                     f"pkcs11:token={TOKEN};object=one;type=private", "-out", "sig", conf.name, env=env))


def a_wrong_pin_is_told():
    done = run("pkcs11-tool", "--module", MODULE, "--login", "--pin", "wrong", "-O")
    if done.returncode == 0 or "CKR_PIN_INCORRECT" not in done.stdout:
        raise AssertionError(done.stdout)


FACTS = [the_general_suite_finds_no_errors, the_suite_for_curves_passes, a_child_may_initialise,
         nothing_is_left_behind, ids_and_labels_may_be_anything, public_halves_are_listed_before_login,
         the_engine_ends_cleanly, a_wrong_pin_is_told]

if __name__ == "__main__":
    failed = 0
    for fact in FACTS:
        try:
            fact()
            print(f"ok      {fact.__name__}")
        except AssertionError as problem:
            failed += 1
            print(f"FAILED  {fact.__name__}: {problem}")
    sys.exit(1 if failed else 0)
