#!/usr/bin/env python3
"""NSS over the module: modutil, certutil, cmsutil, selfserv with curl. usage: test_nss.py BUILD"""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, listens, run_test  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

BASE = ["-d", "sql:db", "-f", "pins"]
TOKEN = [*BASE, "-h", "TDSA"]
EC = ["-k", "ec", "-z", "noise"]


def main(cluster):
    home = cluster.home
    nss = Client(cluster)
    (home / "db").mkdir()
    (home / "noise").write_bytes(os.urandom(64))
    nss.write("pins", f"TDSA:{cluster.pin}\nNSS Certificate DB:\n")
    nss.write("text", "what is signed\n")
    nss.ok("certutil", "-N", "-d", "sql:db", "--empty-password")

    def certutil(command, *arguments, where=TOKEN):
        return nss.ok("certutil", command, *where, *arguments)

    def keys():
        """The nickname of the certificate of each key, or (orphan)."""
        return sorted(re.findall(r"^<[ 0-9]+> ec +[0-9a-f]{40} +(\S.*)$", certutil("-K"), re.M))

    def certificates():
        return sorted(re.findall(r"^TDSA:(\S+)", certutil("-L"), re.M))

    def modutil_adds_the_module():
        # FRIENDLY: certificates are read without a login, as they can be
        nss.ok("modutil", "-dbdir", "sql:db", "-force", "-add", "tdsa", "-libfile", cluster.module, "-mechanisms", "FRIENDLY")
        listed = nss.ok("modutil", "-dbdir", "sql:db", "-list", "tdsa")
        for text in ("Token Name: TDSA", "Status: Enabled", "Login Type: Login required", "User Pin: Initialized"):
            need(text in listed, listed)

    def keys_are_made_and_requested_and_issued():
        certutil("-S", *EC, "-n", "authority", "-s", "CN=authority", "-x", "-t", "CT,C,C", "-q", "nistp256", "-m", "1", "-v", "12",
                 "--keyUsage", "certSigning,digitalSignature")
        certutil("-R", *EC, "-s", "CN=localhost", "-q", "nistp384", "-a", "-o", "leaf.csr")
        nss.ok("openssl", "req", "-in", "leaf.csr", "-verify", "-noout")
        need(keys() == ["(orphan)", "TDSA:authority"], keys())
        certutil("-C", "-c", "TDSA:authority", "-i", "leaf.csr", "-a", "-o", "leaf.pem", "-m", "2", "-v", "6", where=BASE)
        certutil("-A", "-n", "leaf", "-t", "u,u,u", "-a", "-i", "leaf.pem")
        need(keys() == ["TDSA:authority", "TDSA:leaf"], keys())
        need(certificates() == ["authority", "leaf"], certificates())

    def both_certificates_verify():
        for name, use in (("authority", "L"), ("leaf", "C")):
            need("certificate is valid" in certutil("-V", "-n", f"TDSA:{name}", "-u", use, where=BASE), name)
        nss.write("authority.pem", certutil("-L", "-n", "TDSA:authority", "-a", where=BASE))
        nss.ok("openssl", "verify", "-CAfile", "authority.pem", "leaf.pem")

    def cmsutil_signs_what_openssl_verifies():
        nss.ok("cmsutil", "-S", *BASE, "-N", "TDSA:authority", "-i", "text", "-o", "text.cms", "-G")
        need("what is signed" in nss.ok("cmsutil", "-D", *BASE, "-i", "text.cms"), "not decoded")
        nss.ok("openssl", "cms", "-verify", "-in", "text.cms", "-inform", "DER", "-CAfile", "authority.pem", "-purpose", "any",
               "-out", "text.out")

    def a_tls_server_answers_curl():
        port = free_port()
        command = ["selfserv", "-n", "TDSA:leaf", "-p", port, *BASE]
        with nss.serving(command, lambda: listens(port), "selfserv.log"):
            for version in ("1.2", "1.3"):
                nss.ok("curl", "-sS", "--http0.9", "--tls-max", version, "--cacert", "authority.pem", "--resolve",
                       f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/")

    def a_wrong_pin_signs_nothing():
        nss.write("wrong", "TDSA:no pin\n")
        nss.refused("incorrect", "certutil", "-R", "-d", "sql:db", "-f", "wrong", "-h", "TDSA", *EC, "-s", "CN=never", "-o", "never")

    def the_private_key_does_not_leave_the_token():
        nss.write("p12", "password of the file\n")
        nss.refused("PKCS12", "pk12util", "-o", "leaf.p12", "-n", "TDSA:leaf", "-d", "sql:db", "-k", "pins", "-w", "p12")

    def certificates_and_keys_are_deleted():
        certutil("-D", "-n", "TDSA:leaf")
        need(certificates() == ["authority"] and keys() == ["(orphan)", "TDSA:authority"], f"{certificates()} {keys()}")
        certutil("-F", "-n", "TDSA:authority")
        need(certificates() == [] and keys() == ["(orphan)"], f"{certificates()} {keys()}")
        nss.ok("modutil", "-dbdir", "sql:db", "-force", "-delete", "tdsa")

    return run_facts([modutil_adds_the_module, keys_are_made_and_requested_and_issued, both_certificates_verify,
                      cmsutil_signs_what_openssl_verifies, a_tls_server_answers_curl, a_wrong_pin_signs_nothing,
                      the_private_key_does_not_leave_the_token, certificates_and_keys_are_deleted])


if __name__ == "__main__":
    run_test(main, programs=("modutil", "certutil", "cmsutil", "pk12util", "selfserv", "curl"))
