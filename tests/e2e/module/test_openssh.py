#!/usr/bin/env python3
"""OpenSSH over the module: list, sign as an authority, log in to an sshd. usage: test_openssh.py BUILD"""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Cluster, Problem, free_port, need, run_facts, wait_for  # noqa: E402

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")


def main(cluster):
    home = cluster.home
    ask = home / "ask.sh"
    ask.write_text(f"#!/bin/sh\necho {cluster.pin}\n")
    ask.chmod(0o700)
    env = cluster.module_env(SSH_ASKPASS=str(ask), SSH_ASKPASS_REQUIRE="force")
    cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "ssh", "--id", "07")
    for name in ("user", "host"):
        cluster.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name)

    def ok(*command):
        done = cluster.run(*command, env=env)
        need(done.returncode == 0, f"{command[0]}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def the_public_key_is_listed_without_a_pin():
        listed = ok("ssh-keygen", "-D", cluster.module)
        need(listed.startswith("ecdsa-sha2-nistp256 ") and listed.endswith(" ssh\n"), listed)
        (home / "ca.pub").write_text(listed)

    def a_user_key_is_certified():
        ok("ssh-keygen", "-s", "ca.pub", "-D", cluster.module, "-I", "id", "-n", "somebody", "user.pub")
        need("Signing CA: ECDSA" in ok("ssh-keygen", "-L", "-f", "user-cert.pub"), "no certificate")

    def ssh_logs_in():
        port = free_port()
        (home / "sshd.conf").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {home}/ca.pub\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n")
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        said = home / "sshd.log"
        with open(said, "wb") as log, subprocess.Popen([SSHD, "-D", "-e", "-f", home / "sshd.conf"],
                                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log) as server:
            try:
                wait_for(lambda: server.poll() is not None or "listening" in said.read_text(), 30, "sshd")
                done = cluster.run(
                    "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={home}/known",
                    "-o", f"PKCS11Provider={cluster.module}", "-o", "PreferredAuthentications=publickey",
                    "-o", "IdentityFile=none", "-p", port, "127.0.0.1", "echo", "logged in", env=env)
                need("logged in" in done.stdout, f"exit {done.returncode}: {done.stderr}{said.read_text()}")
            finally:
                server.terminate()

    return run_facts([the_public_key_is_listed_without_a_pin, a_user_key_is_certified, ssh_logs_in])


if __name__ == "__main__":
    if SSHD is None or shutil.which("ssh") is None:
        print("SKIPPED ssh or sshd is not installed")
        sys.exit(0)
    try:
        with Cluster(sys.argv[1]) as made:
            made.start_all()
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
