#!/usr/bin/env python3
"""Three daemons with keys of the Schnorr schemes. usage: test_schnorr.py BUILD"""
import base64
import pathlib
import subprocess
import sys

import rig
from rig import expect, sign
from cluster import Cluster, need, run_facts

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "model"))
import schnorr  # noqa: E402  the reference model: its verifiers share no code with the daemons

MESSAGE = base64.b64encode(rig.MESSAGE).decode()


def main(build):
    with Cluster(build, "servers") as cluster:
        cluster.start_all()
        failed = run_facts(facts_of(cluster))
    return 1 if failed else 0


def sign_message(cluster, index, key, **more):
    return cluster.call("POST", index, "api", f"/v1/keys/{key}/sign", {"message": MESSAGE, **more})


def openssl_verifies(folder, pem, signature_hex):
    folder = pathlib.Path(folder)
    (folder / "message").write_bytes(rig.MESSAGE)
    (folder / "signature").write_bytes(bytes.fromhex(signature_hex))
    (folder / "public.pem").write_text(pem)
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", folder / "public.pem", "-rawin",
                           "-in", folder / "message", "-sigfile", folder / "signature"],
                          capture_output=True, text=True, check=False)
    need(done.returncode == 0 and "Verified Successfully" in done.stdout, f"openssl: {done.stdout}{done.stderr}")


def facts_of(cluster):
    def an_ed25519_key_signs_at_every_server_and_openssl_verifies():
        made = expect(cluster.call("POST", 0, "api", "/v1/keys:generate", {"keyId": "ed", "curve": "Ed25519"}), 201)
        need((made["scheme"], made["purpose"], made["derivation"]) == ("eddsa", "message", "none"), str(made))
        need(len(made["publicKey"]) == 64, "an Ed25519 key has 32 bytes")
        for index in cluster.servers:
            public = expect(cluster.get(index, "api", "/v1/keys/ed/public-key"), 200)
            done = expect(sign_message(cluster, index, "ed"), 200)
            need(done["encoding"] == "raw" and len(done["signature"]) == 128 and "recoveryId" not in done, str(done))
            openssl_verifies(cluster.home, public["pem"], done["signature"])
            need(schnorr.ed25519_verify(bytes.fromhex(public["compressed"]), rig.MESSAGE,
                                        bytes.fromhex(done["signature"])), "the model's verifier")

    def a_bip340_key_signs_with_and_without_taproot():
        made = expect(cluster.call("POST", 1, "api", "/v1/keys:generate",
                                   {"keyId": "tap", "curve": "secp256k1", "scheme": "bip340"}), 201)
        need((made["scheme"], made["derivation"]) == ("bip340", "bip32"), str(made))
        for index in cluster.servers:
            for path in ("m/0", "m/86/0/5"):
                x = bytes.fromhex(expect(cluster.get(index, "api", f"/v1/keys/tap/public-key?path={path}"), 200)["x"])
                for root in (None, "", "5b" * 32):
                    more = {} if root is None else {"taproot": root}
                    done = expect(sign_message(cluster, index, "tap", path=path, **more), 200)
                    key = x if root is None else schnorr.taproot_output_key(x, bytes.fromhex(root))
                    need(schnorr.bip340_verify(key, rig.MESSAGE, bytes.fromhex(done["signature"])),
                         f"participant {index}, {path}, taproot {root}: the signature does not verify")

    def what_does_not_belong_to_the_scheme_is_refused():
        expect(sign(cluster, 0, "ed"), 422, "INVALID_FIELD")
        expect(sign_message(cluster, 0, "ed", algorithm="SHA-512"), 422, "INVALID_FIELD")
        expect(sign_message(cluster, 0, "ed", encoding="der"), 422, "INVALID_FIELD")
        expect(sign_message(cluster, 0, "ed", taproot=""), 422, "INVALID_FIELD")
        expect(sign_message(cluster, 0, "ed", path="m/1"), 422, "NO_DERIVATION")
        expect(sign_message(cluster, 0, "tap", path="m/1", taproot="00"), 422, "INVALID_FIELD")
        body = {"keyId": "tap", "curve": "secp256k1"}
        expect(cluster.call("POST", 0, "api", "/v1/keys", body), 409, "CONFLICT")

    def a_batch_for_schnorr_is_stocked():
        made = expect(cluster.call("POST", 2, "api", "/v1/keys/ed/presignatures", {"count": 200}), 200)
        need(made["made"] == 200, str(made))
        for _ in range(5):
            expect(sign_message(cluster, 2, "ed"), 200)

    return [value for value in locals().values() if callable(value)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
