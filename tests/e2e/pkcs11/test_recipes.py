#!/usr/bin/env python3
"""Runs every command of a document in order; started by p11_host. usage: test_recipes.py ROOT DOCUMENT"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import free_port  # noqa: E402

FENCE = re.compile(r"^```sh\n(.*?)^```$", re.S | re.M)
RECIPES_MIN = 5
TOOLS = ("pkcs11-tool", "openssl", "p11tool", "ssh-keygen", "curl", "nginx", "osslsigncode", "gcab", "p11-kit", "stunnel", "keytool",
         "keymgr", "kzonesign", "ldns-verify-zone", "certutil", "ods-hsmutil")


def run(recipe, port):
    """In a shell of its own. The output ends when the last process that writes it does: a recipe cleans up or fails."""
    return subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], cwd=os.environ["TDSA_WORK"], text=True,
                          env={**os.environ, "PORT": str(port)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=100, check=False)


def main(root, document):
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    os.environ["PATH"] = path
    recipes = FENCE.findall(pathlib.Path(root, document).read_text(encoding="utf-8"))
    if len(recipes) < RECIPES_MIN:
        print(f"only {len(recipes)} recipes found: has the form of {document} changed?")
        return 1
    for number, recipe in enumerate(recipes, 1):
        started = time.monotonic()
        done = run(recipe, free_port())
        first = recipe.strip().splitlines()[0][:60]
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {number}: {first} ({time.monotonic() - started:.1f} s)")
        if done.returncode != 0:
            print(f"exit code {done.returncode}\n{done.stdout}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
