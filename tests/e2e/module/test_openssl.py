#!/usr/bin/env python3
"""The openssl command with the PKCS#11 engine: an authority, its lists and answers, mail, TLS on both ends. A crash
after the work is done is a failure as well. usage: test_openssl.py BUILD"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Engine, listens, run_test, serving  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

# secp256k1 and Ed25519 are in the token during all of it: libp11 lists every key whatever the URI names
KEYS = {"ca": ("07", "prime256v1"), "tall": ("08", "secp384r1"), "taller": ("09", "secp521r1"), "coin": ("0a", "secp256k1")}
DIGEST = {"ca": "-sha256", "tall": "-sha384", "taller": "-sha512", "coin": "-sha256"}
AUTHORITY = """[ca]
default_ca = here
[here]
database = {home}/index
new_certs_dir = {home}
serial = {home}/serial
crlnumber = {home}/crlnumber
default_md = sha256
default_days = 2
default_crl_days = 2
unique_subject = no
policy = any
[any]
commonName = supplied
"""


def main(cluster):
    home = cluster.home
    engine = Engine(cluster)
    openssl, plain = engine.run, engine.plain
    ca = home / "ca.pem"
    issuing = ["-config", home / "authority.cnf", "-batch", "-engine", "pkcs11", "-keyform", "engine", "-keyfile",
               engine.uri("ca"), "-cert", ca]

    def a_key_of_every_curve_certifies_itself():
        engine.generate("odd", "0e", "edwards25519")
        for label, (key_id, curve) in KEYS.items():
            engine.generate(label, key_id, curve)
        for label in KEYS:
            cert = engine.self_signed(label, "basicConstraints=critical,CA:TRUE")
            need("OK" in plain("verify", "-CAfile", cert, cert), f"the certificate of {label} does not verify")

    def a_file_signed_by_dgst_verifies_on_every_curve():
        (home / "file").write_bytes(b"x" * 70000)
        for label in KEYS:
            openssl("dgst", "-engine", "pkcs11", "-keyform", "engine", DIGEST[label], "-sign", engine.uri(label), "-out",
                    home / "file.sig", home / "file")
            plain("x509", "-in", home / f"{label}.pem", "-noout", "-pubkey", "-out", home / "pub.pem")
            need("Verified OK" in plain("dgst", DIGEST[label], "-verify", home / "pub.pem", "-signature",
                                        home / "file.sig", home / "file"), f"{label}: not verified")

    def a_key_that_libp11_does_not_understand_is_not_there_for_it():
        done = cluster.run("openssl", "pkey", "-engine", "pkcs11", "-inform", "engine", "-in", engine.uri("odd"), "-pubout",
                           env=engine.env)
        need(done.returncode == 1 and "object not found" in done.stderr, f"{done.returncode} {done.stdout}{done.stderr}")
        need(cluster.tool_ok("-O").count("label:      odd") == 2, "others do not see it either")

    def a_request_verifies_and_is_signed_by_x509():
        openssl("req", "-new", *engine.key("tall"), "-subj", "/CN=request", "-out", home / "request.pem")
        plain("req", "-in", home / "request.pem", "-verify", "-noout")
        openssl("x509", "-req", "-in", home / "request.pem", "-CA", ca, "-CAkey", engine.uri("ca"), "-CAkeyform", "engine",
                "-engine", "pkcs11", "-set_serial", "99", "-days", "2", "-out", home / "leaf.pem")
        need("OK" in plain("verify", "-CAfile", ca, home / "leaf.pem"), "the issued certificate does not verify")

    def an_authority_issues_revokes_and_lists():
        (home / "authority.cnf").write_text(AUTHORITY.format(home=home))
        (home / "index").touch()
        (home / "serial").write_text("01\n")
        (home / "crlnumber").write_text("01\n")
        for name in ("good", "bad"):
            plain("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                  home / f"{name}.key", "-subj", f"/CN={name}", "-out", home / f"{name}.csr")
            openssl("ca", *issuing, "-in", home / f"{name}.csr", "-out", home / f"{name}.pem")
        openssl("ca", *issuing, "-revoke", home / "bad.pem")
        openssl("ca", *issuing, "-gencrl", "-out", home / "crl.pem")
        need("verify OK" in plain("crl", "-in", home / "crl.pem", "-CAfile", ca, "-noout"), "the list does not verify")
        checked = ["-crl_check", "-CAfile", ca, "-CRLfile", home / "crl.pem"]
        need("OK" in plain("verify", *checked, home / "good.pem"), "the good certificate is refused")
        done = cluster.run("openssl", "verify", *checked, home / "bad.pem")
        need(done.returncode != 0 and "certificate revoked" in done.stderr, f"revoked: {done.stdout}{done.stderr}")

    def a_responder_says_which_certificate_is_good():
        # the command has no -engine: the key is named by the store that openssl makes of its engines
        port = free_port()
        with serving(["openssl", "ocsp", "-index", home / "index", "-port", port, "-nrequest", "1", "-rsigner", ca, "-CA", ca,
                      "-rkey", f"org.openssl.engine:pkcs11:{engine.uri('ca')}"], lambda: listens(port),
                     home / "responder.log", env=engine.env, cwd=home) as responder:
            said = plain("ocsp", "-url", f"http://127.0.0.1:{port}", "-issuer", ca, "-CAfile", ca, "-cert",
                         home / "good.pem", "-cert", home / "bad.pem")
            for words in ("Response verify OK", "good.pem: good", "bad.pem: revoked"):
                need(words in said, f"no {words!r} in {said}")
            code = responder.wait(timeout=30)
            need(code == 0, f"the responder ended with {code}: {(home / 'responder.log').read_text()}")

    def a_signed_message_verifies_and_a_changed_one_does_not():
        (home / "mail").write_text("Pay 10 to Ann.\n")
        for label in KEYS:
            signed = home / "mail.p7m"
            openssl("cms", "-sign", "-engine", "pkcs11", "-keyform", "engine", "-inkey", engine.uri(label), "-signer",
                    home / f"{label}.pem", "-nodetach", "-outform", "DER", "-in", home / "mail", "-out", signed,
                    "-md", DIGEST[label][1:])
            verify = ["openssl", "cms", "-verify", "-inform", "DER", "-in", signed, "-CAfile", home / f"{label}.pem",
                      "-purpose", "any", "-binary"]
            done = cluster.run(*verify)
            need(done.returncode == 0 and "Pay 10 to Ann." in done.stdout, f"{label}: {done.stdout}{done.stderr}")
            signed.write_bytes(signed.read_bytes().replace(b"Pay 10", b"Pay 99"))
            done = cluster.run(*verify)
            need(done.returncode != 0, f"{label}: a changed message verifies")

    def talk(server_key, server_more, clients):
        """One server, one client after the other; both ends must end well. clients: arguments of s_client each."""
        port = free_port()
        log = home / "s_server.log"
        with serving(["openssl", "s_server", *engine.key(server_key), "-cert", home / f"{server_key}.pem", "-accept",
                      f"127.0.0.1:{port}", "-naccept", len(clients), *server_more], lambda: listens(port), log,
                     env=engine.env, cwd=home) as server:
            said = []
            for arguments in clients:
                done = subprocess.run(
                    [str(a) for a in ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
                                      "-verify_return_error", "-CAfile", home / f"{server_key}.pem", *arguments)],
                    env=engine.env, cwd=home, input="hello\nQ\n", text=True, capture_output=True, timeout=30, check=False)
                need(done.returncode == 0, f"s_client {arguments}: {done.returncode} {done.stdout}{done.stderr}"
                                           f"{log.read_text(errors='replace')[-2000:]}")
                said.append(done.stdout)
            code = server.wait(timeout=30)
            need(code == 0, f"s_server ended with {code}: {log.read_text(errors='replace')}")
        return said

    def a_server_speaks_tls_1_2_and_1_3_on_both_curves():
        for label, bits, digest in (("ca", 256, "SHA256"), ("tall", 384, "SHA384")):
            old, new = talk(label, [], [["-tls1_2"], ["-tls1_3"]])
            for said, words in ((old, "New, TLSv1.2"), (old, f"Server public key is {bits} bit"), (new, "New, TLSv1.3"),
                                (new, f"Peer signing digest: {digest}"), (new, "Peer signature type: ECDSA")):
                need(words in said, f"{label}: no {words!r} in {said}")

    def a_client_shows_its_certificate_in_tls_1_2_and_1_3():
        anybody = home / "anybody.pem"
        anybody.write_text("".join((home / f"{label}.pem").read_text() for label in ("ca", "tall")))
        clients = [[version, *engine.key(label), "-cert", home / f"{label}.pem"]
                   for version in ("-tls1_2", "-tls1_3") for label in ("ca", "tall")]
        talk("ca", ["-Verify", "1", "-verify_return_error", "-CAfile", anybody], clients)
        said = (home / "s_server.log").read_text(errors="replace")
        need(said.count("hello") == 4 and said.count("Client certificate") == 4, said)

    return run_facts([a_key_of_every_curve_certifies_itself, a_file_signed_by_dgst_verifies_on_every_curve,
                      a_key_that_libp11_does_not_understand_is_not_there_for_it,
                      a_request_verifies_and_is_signed_by_x509, an_authority_issues_revokes_and_lists,
                      a_responder_says_which_certificate_is_good, a_signed_message_verifies_and_a_changed_one_does_not,
                      a_server_speaks_tls_1_2_and_1_3_on_both_curves, a_client_shows_its_certificate_in_tls_1_2_and_1_3])


if __name__ == "__main__":
    run_test(main)
