#!/usr/bin/env python3
"""A client's module and two servers: pkcs11-tool writes a private key of openssl's into the token. usage: test_import_module.py BUILD"""
import json
import subprocess
import sys

import rig
from cluster import Cluster, need, run_facts


def main(build):
    with Cluster(build, "client") as cluster:
        for index in range(3):
            rig.change(cluster, index, "sessionTimeout: 60", f"sessionTimeout: 60\n  auditLog: {cluster.home}/audit{index}.log")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


def facts_of(cluster):
    home = cluster.home

    def new_key(curve):
        pem = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}")
        (home / "key.der").write_bytes(openssl("pkey", "-outform", "DER", data=pem))
        (home / "public.der").write_bytes(openssl("pkey", "-pubout", "-outform", "DER", data=pem))
        (home / "public.pem").write_bytes(openssl("pkey", "-pubout", data=pem))

    def write(kind, name, number):
        return cluster.tool("--write-object", home / f"{name}.der", "--type", kind, "--id", number, "--label", f"old{number}")

    def signs(number):
        (home / "data").write_bytes(b"what is signed")
        cluster.tool_ok("--sign", "--mechanism", "ECDSA-SHA256", "--id", number, "--signature-format", "openssl",
                        "--input-file", home / "data", "--output-file", home / "sig")
        done = openssl("dgst", "-sha256", "-verify", home / "public.pem", "-signature", home / "sig", home / "data")
        need(b"Verified OK" in done, f"openssl: {done}")

    def nobody_imports_by_default():
        new_key("P-256")
        done = write("privkey", "key", "01")
        need(done.returncode != 0 and "0x1b" in done.stdout + done.stderr, f"{done}")  # CKR_ACTION_PROHIBITED

    def one_server_that_does_not_allow_it_is_enough():
        for index in (0, 1):
            rig.change(cluster, index, "sessionTimeout: 60", "sessionTimeout: 60\n  importKeys: true")
        restart(1)
        done = write("privkey", "key", "01")
        need(done.returncode != 0 and "0x1b" in done.stdout + done.stderr, f"{done}")  # CKR_ACTION_PROHIBITED
        need("old01" not in cluster.tool_ok("--list-objects"), "a key is there")

    def restart(index):
        cluster.stop(index)
        cluster.start(index)

    def keys_of_every_curve_are_written_and_sign():
        rig.change(cluster, 2, "sessionTimeout: 60", "sessionTimeout: 60\n  importKeys: true")
        restart(2)
        for number, curve in enumerate(("P-256", "P-384", "P-521", "secp256k1"), 1):
            new_key(curve)
            done = write("privkey", "key", f"0{number}")
            need(done.returncode == 0, f"{curve}: {done}")
            signs(f"0{number}")
        last = json.loads((home / "audit2.log").read_text().splitlines()[-1])
        need((last["event"], last["participant"]) == ("key.import", 2), f"{last}")

    def the_public_key_object_is_accepted_for_a_key_that_is_there():
        done = write("pubkey", "public", "04")
        need(done.returncode == 0, f"{done}")
        signs("04")
        new_key("P-256")
        need(write("pubkey", "public", "09").returncode == 0, "a public key alone is kept, to verify with")

    def the_key_is_in_no_file():
        new_key("P-256")
        raw = openssl("ec", "-inform", "DER", "-in", home / "key.der", "-outform", "DER")[7:39]
        need(raw in (home / "key.der").read_bytes(), "not the number")
        need(write("privkey", "key", "0A").returncode == 0, "not written")
        (home / "key.der").unlink()
        for file in [f for f in home.rglob("*") if f.is_file()]:
            bytes_ = file.read_bytes()
            need(raw not in bytes_ and raw.hex().encode() not in bytes_.lower(), f"the key is in {file}")

    return [nobody_imports_by_default, one_server_that_does_not_allow_it_is_enough, keys_of_every_curve_are_written_and_sign,
            the_public_key_object_is_accepted_for_a_key_that_is_there, the_key_is_in_no_file]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
