#!/usr/bin/env python3
"""GnuTLS over the module: p11tool, certtool, gnutls-serv with gnutls-cli and curl. usage: test_gnutls.py BUILD"""
import contextlib
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, listens, run_test  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

TOKEN = "pkcs11:token=TDSA"
SERVER, CLIENT, EDWARDS = (f"{TOKEN};object={name}" for name in ("tls", "tls-client", "tls-edwards"))
AUTHORITY = "cn = localhost\ndns_name = localhost\nexpiration_days = 3\nsigning_key\nca\ncert_signing_key\ncrl_signing_key\n"
LEAF = "cn = somebody\nexpiration_days = 2\nsigning_key\ntls_www_client\n"


def main(cluster):
    home = cluster.home
    gnutls = Client(cluster, GNUTLS_PIN=cluster.pin)
    provider = ["--provider", cluster.module]
    gnutls.write("authority", AUTHORITY)
    gnutls.write("leaf", LEAF)

    def p11tool(*arguments, login=True):
        return gnutls.ok("p11tool", *provider, *(["--login"] if login else []), "--batch", *arguments)

    def certtool(*arguments, template):
        return gnutls.ok("certtool", *provider, *arguments, "--template", template)

    def p11tool_shows_the_token_and_its_mechanisms():
        need("Requires login" in p11tool("--list-tokens", login=False), "no token")
        listed = p11tool("--list-mechanisms", TOKEN, login=False)
        for name in ("CKM_ECDSA ", "CKM_ECDSA_SHA256", "CKM_EDDSA", "CKM_SHA512"):
            need(name in listed, f"no {name}: {listed}")
        for name in ("first", "second"):
            p11tool("--generate-random", "32", TOKEN, "--outfile", name)
        first, second = (home / "first").read_bytes(), (home / "second").read_bytes()
        need(len(first) == len(second) == 32 and first != second, f"{first} {second}")

    def p11tool_generates_a_key_on_each_of_its_curves():
        for kind, curve, name, shown in (("ecdsa", "secp256r1", "tls", "EC/ECDSA-SECP256R1"),
                                         ("ecdsa", "secp384r1", "tls-client", "EC/ECDSA-SECP384R1"),
                                         ("ecdsa", "secp521r1", "tls-521", "EC/ECDSA-SECP521R1"),
                                         ("ed25519", "ed25519", "tls-edwards", "EdDSA (Ed25519)")):
            p11tool("--generate-privkey", kind, "--curve", curve, "--label", name, "--id", name.encode().hex(), "--outfile",
                    f"{name}.pub", TOKEN)
            gnutls.ok("openssl", "pkey", "-pubin", "-in", f"{name}.pub", "-noout")
            listed = p11tool("--list-all", f"{TOKEN};object={name}")
            for text in (f"Public key ({shown})", f"Private key ({shown})", "CKA_NEVER_EXTRACTABLE; CKA_SENSITIVE"):
                need(text in listed, listed)
            if kind == "ecdsa":  # p11tool 3.7 tests with SHA-256 whatever the key
                p11tool("--test-sign", f"{TOKEN};object={name};type=private")

    def a_public_key_is_exported_from_either_half():
        for kind in ("public", "private"):
            p11tool("--export-pubkey", f"{SERVER};type={kind}", "--outfile", f"{kind}.pem")
        need("BEGIN PUBLIC KEY" in (home / "public.pem").read_text(), "no key")
        need((home / "public.pem").read_bytes() == (home / "private.pem").read_bytes(), "two keys")

    def labels_and_ids_change():
        p11tool("--set-label", "renamed", f"{TOKEN};object=tls-521;type=private")
        p11tool("--set-id", "5c5d", f"{TOKEN};object=renamed;type=private")
        need("id=%5C%5D;object=renamed;type=public" in p11tool("--list-all", TOKEN), p11tool("--list-all", TOKEN))

    def certtool_signs_requests_certificates_and_lists():
        certtool("--generate-self-signed", "--load-privkey", f"{SERVER};type=private", "--load-pubkey", f"{SERVER};type=public",
                 "--outfile", "ca.pem", template="authority")
        certtool("--generate-request", "--load-privkey", f"{CLIENT};type=private", "--load-pubkey", f"{CLIENT};type=public",
                 "--outfile", "leaf.csr", template="leaf")
        certtool("--generate-certificate", "--load-request", "leaf.csr", "--load-ca-certificate", "ca.pem", "--load-ca-privkey",
                 f"{SERVER};type=private", "--outfile", "leaf.pem", template="leaf")
        certtool("--generate-crl", "--load-ca-certificate", "ca.pem", "--load-ca-privkey", f"{SERVER};type=private",
                 "--load-certificate", "leaf.pem", "--outfile", "crl.pem", template="authority")
        gnutls.ok("openssl", "req", "-in", "leaf.csr", "-verify", "-noout")
        for name in ("ca.pem", "leaf.pem"):
            gnutls.ok("openssl", "verify", "-CAfile", "ca.pem", name)
        need("verify OK" in gnutls.ok("openssl", "crl", "-in", "crl.pem", "-CAfile", "ca.pem", "-noout"), "the list is not signed")
        gnutls.refused("revoked", "openssl", "verify", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", "ca.pem", "leaf.pem")

    def certificates_are_kept_in_the_token():
        for name, path in (("tls", "ca.pem"), ("tls-client", "leaf.pem")):
            p11tool("--write", "--load-certificate", path, "--label", name, "--id", name.encode().hex(), TOKEN)
        need(p11tool("--list-all-certs", TOKEN, login=False).count("Type: X.509 Certificate") == 2, "not two certificates")
        p11tool("--export", f"{CLIENT};type=cert", "--outfile", "read.pem", login=False)
        need((home / "read.pem").read_text().strip() == (home / "leaf.pem").read_text().strip(), "another one")

    def an_ed25519_key_is_read_and_signs():
        p11tool("--export-pubkey", f"{EDWARDS};type=public", "--outfile", "edwards.pub")
        need("ED25519" in gnutls.ok("openssl", "pkey", "-pubin", "-in", "edwards.pub", "-noout", "-text"), "no key")
        certtool("--generate-self-signed", "--load-privkey", f"{EDWARDS};type=private", "--load-pubkey", f"{EDWARDS};type=public",
                 "--outfile", "edwards.pem", template="authority")
        gnutls.ok("openssl", "verify", "-CAfile", "edwards.pem", "edwards.pem")

    @contextlib.contextmanager
    def server(key, cert, *options):
        port = free_port()
        command = ["gnutls-serv", *provider, "-p", port, "--http", "--x509keyfile", f"{key};type=private", "--x509certfile",
                   cert, *options]
        with gnutls.serving(command, lambda: listens(port), "serv.log") as process:
            yield port
            need(process.poll() is None, f"gnutls-serv ended meanwhile: {(home / 'serv.log').read_text()}")

    def a_tls_server_answers_curl_and_gnutls():
        for key, cert, file in ((SERVER, f"{SERVER};type=cert", "ca.pem"), (EDWARDS, "edwards.pem", "edwards.pem")):
            with server(key, cert) as port:
                for version in ("1.2", "1.3"):
                    gnutls.ok("curl", "-sS", "--tls-max", version, "--cacert", file, "--resolve",
                              f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/")
                    gnutls.ok("gnutls-cli", "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--x509cafile", file,
                              "--verify-hostname", "localhost", "-p", port, "127.0.0.1")

    def a_tls_client_shows_a_certificate_of_the_token():
        with server(SERVER, f"{SERVER};type=cert", "--x509cafile", "ca.pem", "--require-client-cert") as port:
            connect = ["gnutls-cli", *provider, "--x509cafile", "ca.pem", "--verify-hostname", "localhost", "-p", port, "127.0.0.1"]
            said = gnutls.ok(*connect, "--x509keyfile", f"{CLIENT};type=private", "--x509certfile", f"{CLIENT};type=cert")
            need("Handshake was completed" in said, said)
            gnutls.refused("", *connect)

    def objects_are_deleted():
        for uri in (f"{CLIENT};type=cert", f"{CLIENT};type=private", f"{TOKEN};object=renamed;type=private"):
            need("1 objects deleted" in p11tool("--delete", uri), uri)
        left = p11tool("--list-all", TOKEN)
        need("object=tls;type=private" in left and "tls-client" not in left and "renamed" not in left, left)

    return run_facts([p11tool_shows_the_token_and_its_mechanisms, p11tool_generates_a_key_on_each_of_its_curves,
                      a_public_key_is_exported_from_either_half, labels_and_ids_change,
                      certtool_signs_requests_certificates_and_lists, certificates_are_kept_in_the_token,
                      an_ed25519_key_is_read_and_signs, a_tls_server_answers_curl_and_gnutls,
                      a_tls_client_shows_a_certificate_of_the_token, objects_are_deleted])


if __name__ == "__main__":
    run_test(main, programs=("p11tool", "certtool", "gnutls-serv", "gnutls-cli", "curl"))
