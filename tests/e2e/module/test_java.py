#!/usr/bin/env python3
"""Java 17 (SunPKCS11) over the module: keytool, jarsigner and a program with four threads. usage: test_java.py BUILD"""
import pathlib
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402

PROVIDER = "name = TDSA\nlibrary = {module}\nslotListIndex = 0\n"
TOKEN_KEYS = "attributes(generate, *, *) = {\n    CKA_TOKEN = true\n}\n"
SOURCE = pathlib.Path(__file__).resolve().with_name("Threads.java")


def main(cluster):
    home = cluster.home
    # JVMs that live for a second: one compiler, one collector
    java = Client(cluster, JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto")
    java.write("default.cfg", PROVIDER.format(module=cluster.module))
    java.write("token.cfg", PROVIDER.format(module=cluster.module) + TOKEN_KEYS)

    def store(config="default.cfg", pin=None):
        return ["-keystore", "NONE", "-storetype", "PKCS11", "-storepass", pin or cluster.pin, "-providerClass",
                "sun.security.pkcs11.SunPKCS11", "-providerArg", home / config]

    def keytool(*arguments, config="default.cfg"):
        return java.ok("keytool", *store(config), *arguments)

    def objects():
        listed = cluster.tool_ok("-O")
        return {kind: listed.count(kind) for kind in ("Private Key Object", "Public Key Object", "Certificate Object")}

    def generate(alias, config, *options):
        keytool("-genkeypair", "-alias", alias, "-keyalg", "EC", *options, "-dname", f"CN={alias}", "-validity", "10",
                config=config)

    def keytool_generates_session_keys_and_copies_them_to_the_token():
        generate("copied", "default.cfg", "-groupname", "secp256r1", "-sigalg", "SHA256withECDSA")
        found = objects()
        need(found["Private Key Object"] == found["Certificate Object"] == 1, found)

    def keytool_generates_keys_in_the_token_when_told_so():
        generate("made", "token.cfg", "-groupname", "secp384r1", "-sigalg", "SHA384withECDSA")
        found = objects()
        need(found["Private Key Object"] == found["Certificate Object"] == 2, found)

    def a_request_is_signed_and_its_certificate_comes_back():
        java.ok("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                "-subj", "/CN=authority", "-out", "ca.pem")
        keytool("-certreq", "-alias", "made", "-file", "made.csr")
        java.ok("openssl", "x509", "-req", "-in", "made.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9",
                "-out", "made.pem")
        java.write("chain.pem", (home / "made.pem").read_text() + (home / "ca.pem").read_text())
        keytool("-importcert", "-noprompt", "-alias", "made", "-file", "chain.pem")
        need(objects()["Certificate Object"] == 3, objects())

    def keytool_lists_both_with_their_chains():
        listed = keytool("-list", "-v")
        need(listed.count("Entry type: PrivateKeyEntry") == 2, listed)
        for text in ("Certificate chain length: 1", "Certificate chain length: 2", "Owner: CN=made\nIssuer: CN=authority"):
            need(text in listed, listed)
        java.refused("CKR_PIN_INCORRECT", "keytool", *store(pin="no pin"), "-list", "-v")

    def jarsigner_signs_what_jarsigner_verifies():
        with zipfile.ZipFile(home / "program.jar", "w") as jar:
            jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
            jar.writestr("text", "what is signed\n" * 100)
        java.ok("jarsigner", *store(), "-signedjar", "signed.jar", "program.jar", "made")
        need("jar verified" in java.ok("jarsigner", "-verify", "-certs", "signed.jar"), "not verified")
        with zipfile.ZipFile(home / "signed.jar") as jar, zipfile.ZipFile(home / "changed.jar", "w") as changed:
            for name in jar.namelist():
                changed.writestr(name, b"something else" if name == "text" else jar.read(name))
        java.refused("digest error", "jarsigner", "-verify", "changed.jar")

    def a_program_signs_in_four_threads():
        said = java.ok("java", SOURCE, "default.cfg", cluster.pin)
        need("verified 192 signatures of 4 threads" in said, said)

    def entries_are_deleted():
        for alias in ("copied", "made"):
            keytool("-delete", "-alias", alias)
        found = objects()
        need(found["Private Key Object"] == found["Public Key Object"] == 0, found)
        need(found["Certificate Object"] <= 1, found)  # that of the authority may stay

    return run_facts([keytool_generates_session_keys_and_copies_them_to_the_token,
                      keytool_generates_keys_in_the_token_when_told_so, a_request_is_signed_and_its_certificate_comes_back,
                      keytool_lists_both_with_their_chains, jarsigner_signs_what_jarsigner_verifies,
                      a_program_signs_in_four_threads, entries_are_deleted])


if __name__ == "__main__":
    run_test(main, programs=("keytool", "jarsigner", "java"))
