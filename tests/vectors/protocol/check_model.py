#!/usr/bin/env python3
"""Fails when the committed vectors are not what the model prints."""
import subprocess
import sys

model, committed = sys.argv[1:]
fresh = subprocess.run([sys.executable, model, "vectors"], check=True, capture_output=True).stdout
if fresh != open(committed, "rb").read():
    sys.exit(f"{committed} differs from the output of {model}: print it again and look at the change")
