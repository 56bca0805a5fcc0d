#!/usr/bin/env python3
"""Runs every command of docs/pkcs11.md in order; started by p11_host. usage: test_recipes.py ROOT"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

FENCE = re.compile(r"^```sh\n(.*?)^```$", re.S | re.M)
TOOLS = ("pkcs11-tool", "openssl", "p11tool", "ssh-keygen")


def main(root):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    recipes = FENCE.findall(pathlib.Path(root, "docs/pkcs11.md").read_text(encoding="utf-8"))
    if len(recipes) < 6:
        print(f"only {len(recipes)} recipes found: has the form of docs/pkcs11.md changed?")
        return 1
    for number, recipe in enumerate(recipes, 1):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], cwd=os.environ["TDSA_WORK"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False)
        first = recipe.strip().splitlines()[0][:60]
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} recipe {number}: {first}")
        if done.returncode != 0:
            print(f"exit code {done.returncode}\n{done.stdout}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
