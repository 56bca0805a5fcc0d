#!/usr/bin/env python3
"""osslsigncode signs a program for Windows with keys of the token, through the engine. usage: test_osslsigncode.py BUILD"""
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Engine, run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402

KEYS = {"code": ("01", "prime256v1", "sha256"), "tall": ("02", "secp384r1", "sha384")}


def small_program():
    """The smallest PE32+ file that Windows would start: one section of code that returns."""
    directories = bytes(16 * 8)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 0x200, 0, 0, 0x1000, 0x1000)  # magic, linker, sizes, entry, base of code
    optional += struct.pack("<QII", 0x140000000, 0x1000, 0x200)  # image base, alignments
    optional += struct.pack("<HHHHHHIIIIHH", 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 3, 0)  # versions, sizes, checksum, console
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + directories  # stack, heap
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = struct.pack("<8sIIIIIIHHI", b".text", 1, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    headers = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + section
    return headers.ljust(0x200, b"\0") + b"\xc3".ljust(0x200, b"\0")


def main(cluster):
    home = cluster.home
    engine = Engine(cluster)
    plain = home / "plain.exe"
    plain.write_bytes(small_program())

    def signed(label):
        return home / f"{label}.exe"

    def verify(label, program):
        return cluster.run("osslsigncode", "verify", "-CAfile", home / f"{label}.pem", "-in", program)

    def a_program_signed_with_a_key_of_each_curve_verifies():
        for label, (key_id, curve, digest) in KEYS.items():
            engine.generate(label, key_id, curve)
            cert = engine.self_signed(label, "extendedKeyUsage=codeSigning", "keyUsage=digitalSignature")
            done = cluster.run("osslsigncode", "sign", "-pkcs11module", cluster.module, "-pass", cluster.pin, "-key",
                               engine.uri(label), "-certs", cert, "-h", digest, "-n", "A program", "-in", plain, "-out",
                               signed(label))
            need(done.returncode == 0, f"{label}: {done.returncode} {done.stdout}{done.stderr}")
            done = verify(label, signed(label))
            for words in ("Signature verification: ok", f"Subject: /CN={label}", f"Message digest algorithm  : {digest.upper()}"):
                need(done.returncode == 0 and words in done.stdout, f"{label}: no {words!r}: {done.stdout}{done.stderr}")

    def a_changed_program_does_not_verify():
        program = bytearray(signed("code").read_bytes())
        program[0x201] ^= 1
        (home / "changed.exe").write_bytes(program)
        done = verify("code", home / "changed.exe")
        need(done.returncode != 0 and "Signature verification: ok" not in done.stdout, done.stdout)

    def a_key_and_a_certificate_of_the_token_sign_a_second_time():
        done = cluster.run("osslsigncode", "sign", "-nest", "-pkcs11module", cluster.module, "-pass", cluster.pin, "-key",
                           engine.uri("tall"), "-pkcs11cert", engine.store("tall", "02"), "-h", "sha384", "-in", signed("code"), "-out", home / "both.exe")
        need(done.returncode == 0, f"{done.returncode} {done.stdout}{done.stderr}")
        both = home / "both.pem"
        both.write_text((home / "code.pem").read_text() + (home / "tall.pem").read_text())
        done = verify("both", home / "both.exe")
        need(done.returncode == 0 and "Number of verified signatures: 2" in done.stdout, f"{done.stdout}{done.stderr}")

    return run_facts([a_program_signed_with_a_key_of_each_curve_verifies, a_changed_program_does_not_verify,
                      a_key_and_a_certificate_of_the_token_sign_a_second_time])


if __name__ == "__main__":
    run_test(main)
