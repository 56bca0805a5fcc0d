#!/usr/bin/env python3
"""OpenSSH over the module: list, sign as an authority, log in to an sshd, keys in an agent. usage: test_openssh.py BUILD"""
import contextlib
import getpass
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, listens, run_test  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

KEYS = {"256": "ecdsa-sha2-nistp256", "384": "ecdsa-sha2-nistp384", "521": "ecdsa-sha2-nistp521"}
OTHERS = {"secp256k1": "31", "edwards25519": "32"}  # that OpenSSH 9.2 cannot read: its agent ends when it sees one
SSHD = """Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
PidFile none
StrictModes no
AuthorizedKeysFile {home}/authorized
TrustedUserCAKeys {home}/256.pub
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


def main(cluster):
    home = cluster.home
    for name, pin in (("ask", cluster.pin), ("ask-wrong", "no pin")):
        (home / name).write_text(f"#!/bin/sh\necho {pin}\n")
        (home / name).chmod(0o700)
    ssh = Client(cluster, SSH_ASKPASS=str(home / "ask"), SSH_ASKPASS_REQUIRE="force", SSH_AUTH_SOCK=str(home / "agent"))
    wrong = Client(cluster, **{**ssh.env, "SSH_ASKPASS": str(home / "ask-wrong")})
    for number, curve in enumerate(("prime256v1", "secp384r1", "secp521r1")):
        cluster.tool_ok("--keypairgen", "--key-type", f"EC:{curve}", "--label", f"ssh {number}", "--id", f"0{number}")
    for curve, key_id in OTHERS.items():
        cluster.tool_ok("--keypairgen", "--key-type", f"EC:{curve}", "--label", curve, "--id", key_id)
    for name in ("user", "host"):
        ssh.ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name)

    @contextlib.contextmanager
    def running(command, ready, log):
        with ssh.serving(command, ready, log.name) as server:
            yield
            need(server.poll() is None, f"{command[0]} ended meanwhile: {log.read_text()}")

    @contextlib.contextmanager
    def sshd():
        port = free_port()
        ssh.write("sshd.conf", SSHD.format(port=port, home=home))
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        with running([shutil.which("sshd"), "-D", "-e", "-f", home / "sshd.conf"], lambda: listens(port), home / "sshd.log"):
            yield port

    def agent():
        return running(["ssh-agent", "-D", "-a", home / "agent", "-P", f"{cluster.build}/*"], (home / "agent").exists,
                       home / "agent.log")

    def log_in(port, *options):
        """As sftp does it, over ssh; the server starts no shell, which would read the files of whoever runs the test."""
        done = ssh.run("sftp", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={home}/known",
                       "-o", "PreferredAuthentications=publickey", *options, "-P", port, "127.0.0.1")
        need(done.returncode == 0 and "Connected to" in done.stderr + done.stdout,
             f"exit {done.returncode}: {done.stdout}{done.stderr}{(home / 'sshd.log').read_text()}")

    def public_keys_that_ssh_can_use_are_listed_without_a_pin():
        listed = wrong.run("ssh-keygen", "-D", cluster.module).stdout.splitlines()
        need(sorted(line.split()[0] for line in listed) == sorted(KEYS.values()), listed)
        need(sorted(line.split(maxsplit=2)[2] for line in listed) == ["ssh 0", "ssh 1", "ssh 2"], listed)
        for name, kind in KEYS.items():
            ssh.write(f"{name}.pub", next(line for line in listed if line.startswith(kind)) + "\n")
        ssh.write("authorized", "\n".join(listed) + "\n")

    def without_its_view_ssh_sees_a_key_that_it_cannot_read():
        need("ssh-unknown" in Client(cluster, TDSA_PKCS11_VIEW="all").ok("ssh-keygen", "-D", cluster.module), "it can")

    def user_and_host_keys_are_certified():
        for name, options in (("user", ["-n", getpass.getuser()]), ("host", ["-h", "-n", "127.0.0.1"])):
            for authority in reversed(KEYS):
                ssh.ok("ssh-keygen", "-s", f"{authority}.pub", "-D", cluster.module, "-I", "id", *options, f"{name}.pub")
                need("Signing CA: ECDSA" in ssh.ok("ssh-keygen", "-L", "-f", f"{name}-cert.pub"), "no certificate")

    def a_wrong_pin_certifies_nothing():
        need(wrong.run("ssh-keygen", "-s", "256.pub", "-D", cluster.module, "-I", "id", "user.pub").returncode > 0, "signed")

    def ssh_logs_in_with_each_key_of_the_token():
        with sshd() as port:
            for kind in KEYS.values():
                log_in(port, "-o", f"PKCS11Provider={cluster.module}", "-o", "IdentityFile=none", "-o", "IdentityAgent=none",
                       "-o", f"PubkeyAcceptedAlgorithms={kind}")

    def sshd_trusts_the_certificate_of_a_user():
        with sshd() as port:
            log_in(port, "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-i", home / "user")

    def an_agent_holds_the_keys_and_lives_with_others_on_the_token():
        with agent():
            need(wrong.run("ssh-add", "-s", cluster.module).returncode > 0, "added with a wrong PIN")
            ssh.ok("ssh-add", "-s", cluster.module)
            need(ssh.ok("ssh-add", "-l").count("ECDSA") == len(KEYS), ssh.run("ssh-add", "-l").stdout)
            ssh.ok("ssh-add", "-T", *[f"{name}.pub" for name in KEYS])
            with sshd() as port:
                log_in(port, "-o", "IdentityFile=none")
            ssh.write("text", "what is signed\n")
            ssh.write("signers", f"somebody {(home / '384.pub').read_text()}")
            ssh.ok("ssh-keygen", "-Y", "sign", "-f", "384.pub", "-n", "file", "text")
            with open(home / "text", encoding="ascii") as text:
                done = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "somebody", "-n", "file", "-s",
                                       "text.sig"], cwd=home, stdin=text, capture_output=True, text=True, check=False)
            need("Good" in done.stdout, done.stdout + done.stderr)
            ssh.ok("ssh-add", "-e", cluster.module)
            ssh.refused("no identities", "ssh-add", "-l")
            ssh.ok("ssh-add", "-s", cluster.module)
            ssh.ok("ssh-add", "-T", "521.pub")

    return run_facts([public_keys_that_ssh_can_use_are_listed_without_a_pin,
                      without_its_view_ssh_sees_a_key_that_it_cannot_read, user_and_host_keys_are_certified,
                      a_wrong_pin_certifies_nothing, ssh_logs_in_with_each_key_of_the_token,
                      sshd_trusts_the_certificate_of_a_user,
                      an_agent_holds_the_keys_and_lives_with_others_on_the_token])


if __name__ == "__main__":
    run_test(main, programs=("ssh", "ssh-agent", "sshd"))
