#!/usr/bin/env python3
"""Three daemons that allow imports: keys that openssl made, in every form, sign as the same keys. usage: test_import.py BUILD"""
import base64
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import threading

import rig
from rig import expect, sign, verify
from cluster import Cluster, need, run_facts, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "model"))
import schnorr  # noqa: E402  the reference model: its verifiers share no code with the daemons

CURVES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1", "secp256k1": "secp256k1"}
MESSAGE = base64.b64encode(rig.MESSAGE).decode()


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            allow(cluster, index)
        cluster.start_all()
        return run_facts(facts_of(cluster))


def allow(cluster, index):
    rig.change(cluster, index, "sessionTimeout: 60",
               f"sessionTimeout: 5\n  importKeys: true\n  minChainPathLengthXPub: 0\n  auditLog: {log_of(cluster, index)}")


def log_of(cluster, index):
    return cluster.home / f"audit{index}.log"


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


def new_key(curve):
    """A private key (PKCS#8, PEM) and its public key (PEM)."""
    if curve == "Ed25519":
        pem = openssl("genpkey", "-algorithm", "ed25519")
    else:
        pem = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[curve]}")
    return pem, openssl("pkey", "-pubout", data=pem).decode()


def forms_of(pem):
    yield "PKCS#8 PEM", pem.decode()
    yield "SEC 1 PEM", openssl("pkey", "-traditional", data=pem).decode()
    yield "PKCS#8 DER", base64.b64encode(openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=pem)).decode()
    yield "SEC 1 DER", base64.b64encode(openssl("ec", "-outform", "DER", data=pem)).decode()


def facts_of(cluster):
    kept = {}

    def load(index, key, private, **more):
        return cluster.call("POST", index, "api", "/v1/keys:import", {"keyId": key, "privateKey": private, **more})

    def public(index, key):
        return expect(cluster.get(index, "api", f"/v1/keys/{key}/public-key"), 200)

    def ecdsa_keys_of_every_curve_and_form_sign_as_before():
        for curve in CURVES:
            pem, pub = new_key(curve)
            for number, (form, text) in enumerate(forms_of(pem)):
                key = f"{curve}-{number}"
                body = expect(load(number % 3, key, text, derivation="none") if curve in ("P-256", "secp256k1")
                              else load(number % 3, key, text), 201)
                need((body["state"], body["curve"], body["epoch"]) == ("ACTIVE", curve, 0), f"{form}: {body}")
                need(public(2, key)["pem"] == pub, f"{form}: another public key")
                verify(cluster.home, pub, expect(sign(cluster, (number + 1) % 3, key), 200)["signature"])
            kept[curve] = (key, pub, pem)

    def a_key_of_ed25519_signs_under_the_same_public_key():
        pem, pub = new_key("Ed25519")
        expect(load(0, "ed", pem.decode(), publicKey=pub), 201)
        need(public(1, "ed")["pem"] == pub, "another public key")
        done = expect(cluster.call("POST", 2, "api", "/v1/keys/ed/sign", {"message": MESSAGE}), 200)
        need(schnorr.ed25519_verify(bytes.fromhex(public(1, "ed")["compressed"]), rig.MESSAGE,
                                    bytes.fromhex(done["signature"])), "the model does not verify")

    def bip340_keys_with_odd_and_even_y_sign():
        seen = set()
        for number in range(20):
            pem, _ = new_key("secp256k1")
            body = expect(load(0, f"tap{number}", pem.decode(), scheme="bip340", derivation="none"), 201)
            y = body["publicKey"][:2]
            if y in seen:
                continue
            seen.add(y)
            done = expect(cluster.call("POST", 1, "api", f"/v1/keys/tap{number}/sign", {"message": MESSAGE}), 200)
            need(schnorr.bip340_verify(bytes.fromhex(body["publicKey"][2:]), rig.MESSAGE, bytes.fromhex(done["signature"])),
                 f"y {y}: the model does not verify")
            if len(seen) == 2:
                return
        need(False, f"only {seen} among 20 keys")

    def an_imported_tree_has_its_chain_code():
        pem, _ = new_key("secp256k1")
        expect(load(1, "tree", pem.decode(), chainCode="ab" * 32, minPathLengthXPub=0, minPathLength=0), 201)
        root = expect(cluster.get(0, "api", "/v1/keys/tree/xpub?path=m"), 200)["xpub"]
        need(chain_code(root) == "ab" * 32, "another chain code")
        expect(load(1, "flat", pem.decode(), chainCode="ab" * 32, derivation="none"), 422)

    def chain_code(xpub):
        number = 0
        for c in xpub:
            number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(c)
        return number.to_bytes(82, "big")[13:45].hex()

    def an_imported_key_reshares_and_signs():
        key, pub, _ = kept["P-384"]
        expect(cluster.call("POST", 0, "api", f"/v1/keys/{key}/reshare", {}), 200)
        verify(cluster.home, pub, expect(sign(cluster, 1, key), 200)["signature"])

    def wrong_keys_are_refused_by_name():
        pem, pub = new_key("P-256")
        _, other = new_key("P-256")
        sealed = openssl("pkcs8", "-topk8", "-passout", "pass:word", data=pem).decode()
        rsa = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024").decode()
        zero = openssl("asn1parse", "-genconf", "/dev/stdin", "-noout", "-out", "/dev/stdout",
                       data=b"asn1=SEQUENCE:k\n[k]\nv=INTEGER:1\nx=FORMAT:HEX,OCT:" + b"00" * 32 +
                            b"\np=EXPLICIT:0,OID:prime256v1\n")
        for text, more, why in ((sealed, {}, "is encrypted"), (rsa, {}, "RSA"), ("AAAA", {}, "no private key"),
                                ("*", {}, ""), (pem.decode(), {"curve": "P-384"}, "another curve"),
                                (pem.decode(), {"publicKey": other}, "not that of the private key"),
                                (pem.decode(), {"publicKey": "02" + "11" * 32}, "not that of the private key"),
                                (base64.b64encode(zero).decode(), {}, "")):
            answer = load(0, "wrong", text, **more)
            need(answer[0] in (400, 422) and why in json.dumps(answer[1]), f"{why}: {answer}")
        expect(cluster.get(1, "api", "/v1/keys/wrong"), 404)
        expect(load(0, "right", pem.decode(), publicKey=pub, derivation="none"), 201)

    def an_existing_key_is_not_replaced():
        key, pub, _ = kept["P-256"]
        pem, _ = new_key("P-256")
        expect(load(0, key, pem.decode(), derivation="none"), 409)
        need(public(0, key)["pem"] == pub, "another key")

    def every_participant_records_it_first_and_must_allow_it():
        lines = [json.loads(line) for line in log_of(cluster, 2).read_text().splitlines()]
        need(any(r["event"] == "key.import" and r["keyId"] == "ed" for r in lines), "no record of the import")
        pem, _ = new_key("P-256")
        rig.change(cluster, 2, "importKeys: true", "importKeys: false")
        restart(2)
        answer = load(0, "denied", pem.decode(), derivation="none")
        need(answer[0] == 403 and "importKeys" in json.dumps(answer[1]), f"{answer}")
        expect(load(2, "denied2", pem.decode(), derivation="none"), 403)
        rig.change(cluster, 2, "importKeys: false", "importKeys: true")
        rig.change(cluster, 2, f"auditLog: {log_of(cluster, 2)}", "threshold: 1")
        restart(2)
        answer = load(0, "denied", pem.decode(), derivation="none")
        need(answer[0] == 403 and "auditLog" in json.dumps(answer[1]), f"{answer}")
        rig.change(cluster, 2, "threshold: 1", f"auditLog: {log_of(cluster, 2)}")
        restart(2)
        log = log_of(cluster, 1)
        whole = log.read_bytes()
        log.write_bytes(whole[:-3])
        answer = load(0, "denied", pem.decode(), derivation="none")
        need(answer[0] == 503 and answer[1]["participantIndex"] == 1, f"{answer}")
        log.write_bytes(whole)
        expect(sign(cluster, 0, "denied"), 409)
        expect(load(0, "denied", pem.decode(), derivation="none"), 201)  # the same again succeeds
        expect(sign(cluster, 1, "denied"), 200)

    def restart(index):
        cluster.stop(index)
        cluster.start(index)

    def a_kill_in_an_import_leaves_the_key_or_nothing():
        for number, delay in enumerate((0.005, 0.01, 0.02, 0.03, 0.05)):
            pem, pub = new_key("P-256")
            key = f"killed{number}"
            victim = number % 3
            killer = threading.Timer(delay, cluster.stop, (victim, signal.SIGKILL))
            killer.start()
            asked = (victim + 1) % 3 if number % 2 else victim
            try:
                load(asked, key, pem.decode(), derivation="none")
            except OSError:
                pass
            killer.join()
            wait_for(lambda v=victim: not cluster.running(v), 10, "the kill")
            cluster.start(victim)

            def settled(k=key):
                states = {i: cluster.get(i, "api", f"/v1/keys/{k}") for i in cluster.servers}
                names = {s[1].get("state") if s[0] == 200 else s[0] for s in states.values()}
                return len(names) == 1 and "PENDING" not in names or names <= {"REGISTERED", 404, 410}
            wait_for(settled, 60, f"{key} to be the same everywhere")
            if cluster.get(0, "api", f"/v1/keys/{key}")[1].get("state") == "ACTIVE":
                verify(cluster.home, pub, expect(sign(cluster, 1, key), 200)["signature"])

    def no_imported_key_is_in_a_file_or_in_memory():
        pem, _ = new_key("P-256")
        der = openssl("pkey", "-outform", "DER", data=pem)
        x = openssl("ec", "-outform", "DER", data=pem)[7:39]
        need(x in der, "the number is not in the DER")
        text = base64.b64encode(der).decode()
        expect(load(0, "canary", text, derivation="none"), 201)
        needles = {"number": x, "hex": x.hex().encode(), "base64": text[48:80].encode()}
        files = [f for f in [*cluster.home.rglob("*"), *cluster.dir.rglob("*")] if f.is_file()]
        for file in files:
            for name, needle in needles.items():
                need(needle not in file.read_bytes(), f"{name} of the key in {file}")
        for index in cluster.servers:
            found = [name for name, needle in needles.items() if in_memory(cluster.process[index].pid, needle)]
            need(not found, f"participant {index} keeps {found} in memory")
            need(in_memory(cluster.process[index].pid, b"canary"), "the search finds nothing at all")

    return [ecdsa_keys_of_every_curve_and_form_sign_as_before, a_key_of_ed25519_signs_under_the_same_public_key,
            bip340_keys_with_odd_and_even_y_sign, an_imported_tree_has_its_chain_code, an_imported_key_reshares_and_signs,
            wrong_keys_are_refused_by_name, an_existing_key_is_not_replaced,
            every_participant_records_it_first_and_must_allow_it, a_kill_in_an_import_leaves_the_key_or_nothing,
            no_imported_key_is_in_a_file_or_in_memory]


def in_memory(pid, needle):
    """True when the bytes are anywhere in the memory of a process."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            area, rights = line.split()[:2]
            start, end = (int(v, 16) for v in area.split("-"))
            if "w" not in rights:
                continue
            try:
                mem.seek(start)
                if needle in mem.read(end - start):
                    return True
            except (OSError, OverflowError, ValueError):
                continue
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
