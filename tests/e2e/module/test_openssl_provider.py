#!/usr/bin/env python3
"""The openssl command with the provider pkcs11-provider over the module: sign, certify, TLS on both ends. Debian has the
provider since version 13; before that there is nothing to install, and the test says so. usage: test_openssl_provider.py BUILD"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import listens, run_test, serving  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

PACKAGE = "pkcs11-provider"
SKIPPED = 77
CURVES = {"one": ("01", "prime256v1", "sha256"), "tall": ("02", "secp384r1", "sha384"), "coin": ("03", "secp256k1", "sha256")}
CONF = """openssl_conf = start
config_diagnostics = 1
[start]
providers = providers
[providers]
default = software
pkcs11 = token
[software]
activate = 1
[token]
pkcs11-module-path = {module}
pkcs11-module-token-pin = {pin}
activate = 1
[req]
distinguished_name = name
[name]
"""


def said(*command):
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout


def reason_to_skip():
    """OpenSSL loads the provider, or Debian has none to load."""
    if "PKCS#11 Provider" in said("openssl", "list", "-providers", "-provider", "pkcs11", "-provider", "default"):
        return None
    candidate = re.search(r"Candidate: (\S+)", said("apt-cache", "policy", PACKAGE))
    if candidate and candidate.group(1) != "(none)":
        sys.exit(f"FAILED  {PACKAGE} {candidate.group(1)} is there to be installed and is not: apt-get install {PACKAGE}")
    return f"this version of Debian has no package {PACKAGE}"


def main(cluster):
    home = cluster.home
    conf = home / "provider.cnf"
    conf.write_text(CONF.format(module=cluster.module, pin=f"file:{cluster.dir}/participant0/pin"))
    env = cluster.module_env(OPENSSL_CONF=str(conf))

    def uri(label):
        return f"pkcs11:token=TDSA;object={label};type=private"

    def cert(label):
        return home / f"{label}.pem"

    def openssl(*arguments, env=env):
        done = cluster.run("openssl", *arguments, env=env)
        need(done.returncode == 0, f"openssl {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def plain(*arguments):
        return openssl(*arguments, env=None)

    def keys_of_each_curve_certify_themselves():
        for label, (key_id, curve, digest) in CURVES.items():
            cluster.tool_ok("--keypairgen", "--key-type", f"EC:{curve}", "--label", label, "--id", key_id)
            openssl("req", "-new", "-x509", "-key", uri(label), f"-{digest}", "-days", "3", "-subj", f"/CN={label}", "-addext",
                    "subjectAltName=DNS:localhost", "-out", cert(label))
            need("OK" in plain("verify", "-CAfile", cert(label), cert(label)), f"{label} does not verify")

    def files_and_messages_are_signed():
        (home / "file").write_bytes(b"x" * 70000)
        for label, (_, _, digest) in CURVES.items():
            openssl("dgst", f"-{digest}", "-sign", uri(label), "-out", home / "file.sig", home / "file")
            plain("x509", "-in", cert(label), "-noout", "-pubkey", "-out", home / "pub.pem")
            plain("dgst", f"-{digest}", "-verify", home / "pub.pem", "-signature", home / "file.sig", home / "file")
            openssl("cms", "-sign", "-inkey", uri(label), "-signer", cert(label), "-in", home / "file", "-binary", "-outform", "DER",
                    "-md", digest, "-out", home / "file.p7s")
            plain("cms", "-verify", "-inform", "DER", "-in", home / "file.p7s", "-content", home / "file", "-binary", "-CAfile",
                  cert(label), "-purpose", "any", "-out", home / "again")

    def the_store_lists_the_keys():
        out = openssl("storeutl", "-text", f"pkcs11:token=TDSA?pin-value={cluster.pin}")
        need(out.count("PKCS11 EC Private Key") == len(CURVES), out)

    def an_ed25519_key_signs_and_a_certificate_of_the_token_is_read():
        cluster.tool_ok("--keypairgen", "--key-type", "EC:edwards25519", "--label", "odd", "--id", "04")
        (home / "short").write_bytes(b"signed as it is")
        openssl("pkeyutl", "-sign", "-rawin", "-inkey", uri("odd"), "-in", home / "short", "-out", home / "short.sig")
        openssl("pkey", "-in", uri("odd"), "-pubout", "-out", home / "odd.pub")
        plain("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", home / "odd.pub", "-in", home / "short", "-sigfile",
              home / "short.sig")
        plain("x509", "-in", cert("one"), "-outform", "DER", "-out", home / "one.der")
        cluster.tool_ok("--write-object", home / "one.der", "--type", "cert", "--id", "01", "--label", "one")
        out = openssl("x509", "-in", "pkcs11:token=TDSA;object=one;type=cert", "-noout", "-subject")
        need("CN=one" in out.replace(" ", ""), out)

    def both_ends_of_tls_1_2_and_1_3_have_keys_of_the_token():
        port = free_port()
        log = home / "s_server.log"
        with serving(["openssl", "s_server", "-key", uri("one"), "-cert", cert("one"), "-accept", f"127.0.0.1:{port}", "-naccept",
                      "2", "-Verify", "1", "-verify_return_error", "-CAfile", cert("tall")], lambda: listens(port), log, env=env,
                     cwd=home) as server:
            for version in ("-tls1_2", "-tls1_3"):
                out = openssl("s_client", "-connect", f"127.0.0.1:{port}", version, "-key", uri("tall"), "-cert", cert("tall"),
                              "-CAfile", cert("one"), "-verify_return_error")
                need("Verify return code: 0 (ok)" in out, out)
            code = server.wait(timeout=30)
            need(code == 0, f"s_server ended with {code}: {log.read_text(errors='replace')}")

    return run_facts([keys_of_each_curve_certify_themselves, files_and_messages_are_signed, the_store_lists_the_keys,
                      an_ed25519_key_signs_and_a_certificate_of_the_token_is_read,
                      both_ends_of_tls_1_2_and_1_3_have_keys_of_the_token])


if __name__ == "__main__":
    reason = reason_to_skip()
    if reason:
        print(f"SKIPPED {reason}")
        sys.exit(SKIPPED)
    run_test(main)
