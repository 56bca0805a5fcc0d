#!/usr/bin/env python3
"""examples/quickstart.sh as a user runs it, in a folder of its own. usage: test_quickstart.py"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import ROOT, Ports, need, run_facts  # noqa: E402


def main(home):
    ports = Ports()
    env = dict(os.environ, TDSA_QUICKSTART_DIR=str(home / "quickstart"), TDSA_QUICKSTART_PORT=str(ports.first))

    def quickstart(*arguments):
        started = time.monotonic()
        done = subprocess.run([ROOT / "examples/quickstart.sh", *arguments], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=1200, check=False)
        need(done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout, time.monotonic() - started

    def sourced(script):
        return subprocess.run(["bash", "-c", f'. "{home}/quickstart/env"; {script}'], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)

    def running():
        done = subprocess.run(["pgrep", "-f", f"server {home}/quickstart/"], capture_output=True, text=True,
                              check=False)
        return done.stdout.split()

    def it_signs_and_openssl_verifies():
        out, _ = quickstart("--no-install")
        need("Verified OK" in out, f"no Verified OK:\n{out}")
        need("request verify OK" in out or "verify OK" in out, f"no verified request:\n{out}")
        need(not running(), "something still runs")
        need(not (home / "quickstart/env").exists(), "env is left behind")

    def a_second_run_builds_nothing():
        """That is what keeps it short (about 2 s); the time itself is the machine's."""
        _, seconds = quickstart("--no-install")
        log = (home / "quickstart/logs/build.log").read_text()
        need("no work to do" in log, f"took {seconds:.1f} s and built something:\n{log[-2000:]}")

    def keep_leaves_it_running_and_env_is_enough():
        out, _ = quickstart("--no-install", "--keep")
        need(". build/quickstart/env" in out or "/env" in out, f"does not say how to go on:\n{out}")
        need(len(running()) == 2, "two daemons expected")
        for name in ("TDSA_PKCS11_MODULE", "TDSA_PKCS11_CONFIG", "TDSA_PIN", "TDSA_TOKEN", "TDSA_API_URLS",
                     "TDSA_ADMIN_URLS", "TDSA_PIDS"):
            need(sourced(f'echo "${name}"').stdout.strip() != "", f"{name} is empty")
        done = sourced('pkcs11-tool --module "$TDSA_PKCS11_MODULE" --login --pin "$TDSA_PIN" --keypairgen'
                       ' --key-type EC:secp256k1 --label other && pkcs11-tool --module "$TDSA_PKCS11_MODULE" -O')
        need(done.returncode == 0 and "other" in done.stdout, done.stdout + done.stderr)
        done = sourced('for u in $TDSA_ADMIN_URLS; do curl -fsS "$u/health/ready" || exit 1; done; '
                       'kill -0 $TDSA_PIDS && command -v tdsa-service')
        need(done.returncode == 0, done.stdout + done.stderr)

    def stop_ends_it():
        quickstart("--stop")
        need(not running(), "something still runs")
        out, _ = quickstart("--stop")
        need("Nothing was running" in out, out)

    def servers_sign_over_the_api():
        out, _ = quickstart("--no-install", "--servers", "--keep")
        need("Verified OK" in out, f"no Verified OK:\n{out}")
        need(len(running()) == 3, "three daemons expected")
        need(len(sourced('echo "$TDSA_API_URLS"').stdout.split()) == 3, "three API URLs expected")
        quickstart("--stop")
        need(not running(), "something still runs")

    def an_unknown_option_is_refused():
        done = subprocess.run([ROOT / "examples/quickstart.sh", "--no-such"], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        need(done.returncode != 0 and "--no-such" in done.stderr, done.stderr)

    def missing_packages_are_installed_and_nothing_else():
        fake = home / "fake"
        fake.mkdir()
        (fake / "dpkg-query").write_text('#!/bin/sh\ncase "$*" in *curl) exit 1 ;; esac\nprintf "installed\\n"\n')
        (fake / "apt-get").write_text(f'#!/bin/sh\necho "$*" >>"{fake}/calls"\n')
        (fake / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        for program in ("dpkg-query", "apt-get", "sudo"):
            (fake / program).chmod(0o755)
        done = subprocess.run(
            ["bash", "-c", 'set -eu; . "$ROOT/examples/lib/common.sh"; . "$ROOT/examples/lib/packages.sh"; '
             "install_packages run test"], env=dict(env, ROOT=str(ROOT), PATH=f"{fake}:{os.environ['PATH']}"),
            text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        need(done.returncode == 0 and "Installing with apt-get: curl" in done.stdout, done.stdout + done.stderr)
        need((fake / "calls").read_text().splitlines() ==
             ["update", "install -y --no-install-recommends curl"], (fake / "calls").read_text())

    try:
        return run_facts([missing_packages_are_installed_and_nothing_else, it_signs_and_openssl_verifies, a_second_run_builds_nothing,
                          keep_leaves_it_running_and_env_is_enough, stop_ends_it, servers_sign_over_the_api,
                          an_unknown_option_is_refused])
    finally:
        subprocess.run([ROOT / "examples/quickstart.sh", "--stop"], env=env, capture_output=True, check=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tdsa-quickstart-") as folder:
        sys.exit(main(pathlib.Path(folder)))
