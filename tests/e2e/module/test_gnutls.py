#!/usr/bin/env python3
"""GnuTLS over the module: p11tool, certtool, gnutls-serv with curl. usage: test_gnutls.py BUILD"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Cluster, Problem, free_port, need, run_facts, wait_for  # noqa: E402

KEY = "pkcs11:token=TDSA;object=tls"
TEMPLATE = "cn = localhost\ndns_name = localhost\nexpiration_days = 3\nsigning_key\nca\ncert_signing_key\n"


def main(cluster):
    home = cluster.home
    env = cluster.module_env(GNUTLS_PIN=cluster.pin)
    provider = ["--provider", cluster.module]
    cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "tls", "--id", "07")

    def ok(*command):
        done = cluster.run(*command, env=env)
        need(done.returncode == 0, f"{command}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def p11tool_lists_and_exports_and_signs():
        need("Requires login" in ok("p11tool", *provider, "--list-tokens"), "no token")
        need("SECP256R1" in ok("p11tool", *provider, "--login", "--list-all", "pkcs11:token=TDSA"), "no key")
        need("BEGIN PUBLIC KEY" in ok("p11tool", *provider, "--login", "--export-pubkey", KEY + ";type=public"), "no key")
        ok("p11tool", *provider, "--login", "--test-sign", KEY + ";type=private")

    def certtool_makes_a_certificate():
        (home / "template").write_text(TEMPLATE)
        ok("certtool", *provider, "--generate-self-signed", "--template", "template", "--load-privkey",
           KEY + ";type=private", "--load-pubkey", KEY + ";type=public", "--outfile", "cert.pem")
        ok("openssl", "verify", "-CAfile", "cert.pem", "cert.pem")

    def a_tls_server_answers_curl():
        port = free_port()
        said = home / "serv.log"
        with open(said, "wb") as log, subprocess.Popen(
                ["gnutls-serv", *provider, "-p", str(port), "--http", "--x509keyfile", KEY + ";type=private",
                 "--x509certfile", "cert.pem"], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log) as server:
            try:
                wait_for(lambda: server.poll() is not None or "listening" in said.read_text().lower(), 30, "gnutls-serv")
                for version in ("1.2", "1.3"):
                    ok("curl", "-sS", "--tls-max", version, "--cacert", "cert.pem", "--resolve",
                       f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/")
            finally:
                server.terminate()

    return run_facts([p11tool_lists_and_exports_and_signs, certtool_makes_a_certificate, a_tls_server_answers_curl])


if __name__ == "__main__":
    if shutil.which("p11tool") is None or shutil.which("gnutls-serv") is None:
        print("SKIPPED the tools of GnuTLS are not installed")
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
