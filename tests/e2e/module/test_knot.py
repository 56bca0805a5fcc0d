#!/usr/bin/env python3
"""Knot DNS over the module: keymgr, kzonesign and knotd, checked by ldns. usage: test_knot.py BUILD"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Client, run_test  # noqa: E402
from cluster import free_port, need, run_facts  # noqa: E402

ZONE, EDWARDS = "example.test.", "edwards.test."
TEXT = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\nwww A 127.0.0.2\n"
CONF = """server:
    rundir: {home}
    listen: 127.0.0.1@{port}
log:
  - target: stderr
    any: info
database:
    storage: {home}/kasp
keystore:
  - id: tdsa
    backend: pkcs11
    config: "pkcs11:token=TDSA;pin-value={pin} {module}"
acl:
  - id: everybody
    action: transfer
policy:
  - id: threshold
    keystore: tdsa
    manual: on
template:
  - id: default
    storage: {home}
    file: "%s.zone"
    dnssec-signing: on
    dnssec-policy: threshold
    acl: everybody
zone:
  - domain: example.test
  - domain: edwards.test
"""


def main(cluster):
    knot = Client(cluster)
    home = cluster.home
    port = free_port()
    (home / "kasp").mkdir()
    conf = knot.write("knot.conf", CONF.format(home=home, port=port, pin=cluster.pin, module=cluster.module))
    for name in (ZONE, EDWARDS):
        knot.write(f"{name}zone", TEXT)
    cluster.tool_ok("--keypairgen", "--key-type", "EC:secp384r1", "--label", "zone", "--id", "a0b1")
    (home / "signed").mkdir()

    def keymgr(*arguments, zone=ZONE):
        return knot.ok("keymgr", "-x", "-c", conf, zone, *arguments)

    def verify(path, zone=ZONE):
        """From the key signing key on, as a resolver with this trust anchor."""
        tag = re.search(r"^[0-9a-f]+ +([0-9]+) KSK ", keymgr("list", zone=zone), re.M)
        need(tag, "no key signing key")
        knot.write("anchor", keymgr("dnskey", tag.group(1), zone=zone))
        need("verified and complete" in knot.ok("ldns-verify-zone", "-V3", "-k", "anchor", path), "not verified")

    def keymgr_generates_a_key_in_the_token():
        key = re.search(r"^[0-9a-f]{40}$", keymgr("generate", "algorithm=ECDSAP384SHA384", "ksk=yes", "zsk=no"), re.M)
        need(key, "keymgr names no key")
        listed = cluster.tool_ok("-O", "--type", "privkey")
        need(re.search(rf"ID: +{key.group()}$", listed, re.M), listed)

    def keymgr_takes_a_key_that_is_in_the_token():
        keymgr("import-pkcs11", "a0b1", "algorithm=ECDSAP384SHA384", "ksk=no", "zsk=yes")
        need(re.search(r"^a0b1 .* ZSK ECDSAP384SHA384 ", keymgr("list"), re.M), keymgr("list"))

    def a_zone_signed_by_kzonesign_verifies():
        knot.ok("kzonesign", "-c", conf, "-o", "signed", ZONE)
        knot.ok("kzonecheck", "-d", "on", "-o", ZONE, "signed/example.test.zone")
        verify("signed/example.test.zone")

    def ed25519_keys_sign_another_zone():
        keymgr("generate", "algorithm=ED25519", "ksk=yes", "zsk=no", zone=EDWARDS)
        cluster.tool_ok("--keypairgen", "--key-type", "EC:edwards25519", "--label", "edwards", "--id", "ed")
        keymgr("import-pkcs11", "ed", "algorithm=ED25519", "ksk=no", "zsk=yes", zone=EDWARDS)
        knot.ok("kzonesign", "-c", conf, "-o", "signed", EDWARDS)
        verify("signed/edwards.test.zone", zone=EDWARDS)

    def a_zone_that_was_changed_afterwards_does_not_verify():
        signed = (home / "signed/example.test.zone").read_text()
        knot.write("changed.zone", signed.replace("127.0.0.2", "127.0.0.3"))
        need(knot.run("ldns-verify-zone", "changed.zone").returncode > 0, "a changed zone verifies")

    def knotd_signs_and_serves_the_zone():
        said = home / "knotd.log"
        with knot.serving(["knotd", "-c", conf], lambda: said.read_text().count("loaded, serial") == 2, said.name) as server:
            ask = ["kdig", "@127.0.0.1", "-p", port]
            answer = knot.ok(*ask, "+dnssec", "www.example.test", "A")
            need("RRSIG" in answer and "A 14 3" in answer, f"no signature: {answer}{said.read_text()}")
            need("A 15 3 " in knot.ok(*ask, "+dnssec", "www.edwards.test", "A"), "no signature by Ed25519")
            zone = knot.ok(*ask, "+noall", "+answer", ZONE, "AXFR").splitlines()
            knot.write("transferred.zone", "\n".join(zone[:-1]) + "\n")  # a transfer ends with the SOA once more
            verify("transferred.zone")
            server.terminate()
            code = server.wait(timeout=30)
            need(code == 0, f"knotd ended with {code}: {said.read_text()}")

    return run_facts([keymgr_generates_a_key_in_the_token, keymgr_takes_a_key_that_is_in_the_token,
                      a_zone_signed_by_kzonesign_verifies, ed25519_keys_sign_another_zone,
                      a_zone_that_was_changed_afterwards_does_not_verify,
                      knotd_signs_and_serves_the_zone])


if __name__ == "__main__":
    run_test(main, programs=("keymgr", "kzonesign", "kzonecheck", "kdig", "knotd", "ldns-verify-zone"))
