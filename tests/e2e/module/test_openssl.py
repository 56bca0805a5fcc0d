#!/usr/bin/env python3
"""OpenSSL's PKCS#11 engine over the module: req, x509, dgst, s_server with curl. usage: test_openssl.py BUILD"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Cluster, Problem, free_port, need, run_facts, wait_for  # noqa: E402

KEY = "pkcs11:token=TDSA;object=server;type=private"
ENGINE = ["-engine", "pkcs11", "-keyform", "engine"]


def main(cluster):
    home = cluster.home
    cluster.shell(f'cluster_write_openssl_conf "{cluster.dir}" "{home}/openssl.cnf"')
    env = cluster.module_env(OPENSSL_CONF=str(home / "openssl.cnf"))

    def openssl(*arguments, engine=True):
        done = cluster.run("openssl", *arguments, env=env if engine else None)
        need(done.returncode == 0, f"openssl {arguments[0]}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def a_self_signed_certificate_verifies():
        cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "server", "--id", "07")
        openssl("req", "-new", "-x509", *ENGINE, "-key", KEY, "-sha256", "-days", "3", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE", "-out", home / "cert.pem")
        need("OK" in openssl("verify", "-CAfile", home / "cert.pem", home / "cert.pem", engine=False),
             "the certificate does not verify")

    def a_request_verifies():
        openssl("req", "-new", *ENGINE, "-key", KEY, "-subj", "/CN=request", "-out", home / "request.pem")
        openssl("req", "-in", home / "request.pem", "-verify", "-noout", engine=False)

    def a_request_is_signed_as_an_authority():
        openssl("x509", "-req", "-in", home / "request.pem", "-CA", home / "cert.pem", "-CAkey", KEY, "-CAkeyform",
                "engine", "-engine", "pkcs11", "-set_serial", "1", "-days", "2", "-out", home / "leaf.pem")
        need("OK" in openssl("verify", "-CAfile", home / "cert.pem", home / "leaf.pem", engine=False),
             "the issued certificate does not verify")

    def a_file_signed_by_dgst_verifies():
        (home / "file").write_bytes(b"x" * 70000)
        openssl("dgst", *ENGINE, "-sha256", "-sign", KEY, "-out", home / "file.sig", home / "file")
        openssl("x509", "-in", home / "cert.pem", "-noout", "-pubkey", "-out", home / "pub.pem", engine=False)
        need("Verified OK" in openssl("dgst", "-sha256", "-verify", home / "pub.pem", "-signature",
                                      home / "file.sig", home / "file", engine=False), "not verified")

    def a_tls_server_answers_curl_and_ends_cleanly():
        port = free_port()
        said = home / "s_server.log"
        with open(said, "wb") as log, subprocess.Popen(
                ["openssl", "s_server", *ENGINE, "-key", KEY, "-cert", home / "cert.pem", "-accept",
                 f"127.0.0.1:{port}", "-www", "-naccept", "3"], env=env, cwd=home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log) as server:
            try:
                def listening():
                    need(server.poll() is None, f"s_server ended: {said.read_text()}")
                    with open("/proc/net/tcp", encoding="ascii") as table:
                        return f":{port:04X} 00000000:0000 0A" in table.read()

                wait_for(listening, 30, "s_server to listen")
                for _ in range(3):
                    done = cluster.run("curl", "-sS", "--cacert", home / "cert.pem", "--resolve",
                                       f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/")
                    need(done.returncode == 0 and "<HTML>" in done.stdout.upper(),
                         f"curl: {done.returncode} {done.stderr} {said.read_text()}")
                code = server.wait(timeout=30)
            finally:
                server.kill()
            need(code == 0, f"s_server ended with {code}: {said.read_text()}")

    return run_facts([a_self_signed_certificate_verifies, a_request_verifies,
                      a_request_is_signed_as_an_authority, a_file_signed_by_dgst_verifies,
                      a_tls_server_answers_curl_and_ends_cleanly])


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1]) as made:
            made.start_all()
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
