#!/usr/bin/env python3
"""Three daemons with a recovery certificate: packages that the model verifies, keys that openssl signs with.
usage: test_recovery.py BUILD"""
import base64
import subprocess
import sys

import rig
from rig import MESSAGE, expect, make_key
from cluster import ROOT, Cluster, need, run_facts, wait_for

sys.path.insert(0, str(ROOT / "tests/model"))
import recovery  # noqa: E402
from recovery import GROUPS  # noqa: E402

AUX = b"vault 7"


def openssl(*args, **more):
    done = subprocess.run(["openssl", *args], capture_output=True, check=False, **more)
    need(done.returncode == 0, f"openssl {args}: {done.stderr.decode()}")
    return done.stdout


def make_certificate(folder, name, *how):
    """A self-signed certificate; its DER."""
    openssl("req", "-x509", "-nodes", *how, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
            "-days", "30", "-subj", f"/CN={name}")
    return openssl("x509", "-in", folder / f"{name}.pem", "-outform", "der")


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main(build):
    with Cluster(build, "servers") as cluster:
        der = make_certificate(cluster.home, "ers", "-newkey", "rsa:2048", "-addext", "keyUsage=critical,keyEncipherment")
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "sessionTimeout: 60", f"sessionTimeout: 60\n  ersCertificates:\n    - {b64url(der)}")
        cluster.start_all()
        return run_facts(facts_of(cluster, recovery.Certificate(der), build))


def facts_of(cluster, cert, build):
    home = cluster.home
    pem, kept = {}, {}

    def ask(index, key, **body):
        return cluster.call("POST", index, "api", f"/v1/keys/{key}/recovery-info", body)

    def infos_of(package):
        found = []
        for place, one in enumerate(package["participants"]):
            need(one["participantIndex"] == place, f"participants {package['participants']}")
            need([i["certificate"] for i in one["infos"]] == [cert.hash.hex()], "another certificate")
            found.append(base64.b64decode(one["infos"][0]["recoveryInfo"]))
        return found

    def verified(package, curve):
        """The infos of a package, each verified by the model, all of one context."""
        infos = infos_of(package)
        need(len(infos) == 3, f"{len(infos)} infos")
        contexts = set()
        for index, info in enumerate(infos):
            recovery.verify(info, GROUPS[curve], cert)
            ctx, j, *_ = recovery.read(info, GROUPS[curve])
            need(j == index, f"participant {j} in the place of {index}")
            contexts.add(ctx)
        need(len(contexts) == 1, "several contexts")
        need(AUX in contexts.pop(), "the auxiliary data is not there")
        return infos

    def recover(infos, status=0):
        """What the program says: the key, and what is wrong."""
        names = []
        for i, info in enumerate(infos):
            names.append(home / f"info{i}")
            names[-1].write_bytes(info)
        done = subprocess.run([f"{build}/tests/e2e/service/recover", home / "ers.key", *names], capture_output=True, text=True,
                              check=False)
        need(done.returncode == status, f"exit {done.returncode}: {done.stderr}")
        return done.stdout, done.stderr

    def package(index, key):
        return expect(ask(index, key, auxiliaryData=base64.b64encode(AUX).decode()), 200)

    def signs_with_openssl(key_text, public):
        (home / "recovered.pem").write_text(key_text)
        (home / "message").write_bytes(MESSAGE)
        (home / "public.pem").write_text(public)
        openssl("dgst", "-sha256", "-sign", home / "recovered.pem", "-out", home / "signature", home / "message")
        said = openssl("dgst", "-sha256", "-verify", home / "public.pem", "-signature", home / "signature", home / "message")
        need(b"Verified OK" in said, f"{said}")

    def a_recovered_key_signs_with_plain_openssl():
        for place, curve in enumerate(("P-256", "secp256k1", "P-384")):
            key = f"key-{curve}"
            pem[key] = make_key(cluster, 0, key, curve)
            answer = package(place, key)
            need((answer["keyId"], answer["epoch"]) == (key, 0), f"{answer['keyId']} {answer['epoch']}")
            kept[key] = verified(answer, curve)
            signs_with_openssl(recover(kept[key][1:])[0], pem[key])

    def a_recovered_ed25519_scalar_is_that_of_the_public_key():
        expect(cluster.call("POST", 0, "api", "/v1/keys:generate", {"keyId": "ed", "curve": "Ed25519"}), 201)
        answer = package(0, "ed")
        word, scalar = recover(verified(answer, "Ed25519")[:2])[0].split()
        g = GROUPS["Ed25519"]
        need(word == "ed25519-scalar", word)
        need(g.enc_p(g.base(int.from_bytes(bytes.fromhex(scalar), "little"))).hex() == answer["publicKey"], "another key")

    def a_corrupt_info_is_named_and_the_others_recover():
        infos = list(kept["key-P-256"])
        infos[0] = infos[0][:-128 * cert.k] + bytes(128 * cert.k)
        text, said = recover(infos)
        need("participant 0: none of its ciphertexts holds the share" in said, said)
        signs_with_openssl(text, pem["key-P-256"])
        need("1 good recovery infos, 2 are needed" in recover(infos[:2], 1)[1], "one good info is enough")

    def infos_of_two_epochs_recover_apart_only():
        expect(cluster.call("POST", 1, "api", "/v1/keys/key-P-256/reshare", {}), 200)
        answer = package(2, "key-P-256")
        need(answer["epoch"] == 1, f"epoch {answer['epoch']}")
        fresh = verified(answer, "P-256")
        for infos in (fresh[:2], kept["key-P-256"][:2]):
            signs_with_openssl(recover(infos)[0], pem["key-P-256"])
        need("of another key, epoch" in recover([fresh[0], kept["key-P-256"][1]], 1)[1], "epochs were mixed")

    def a_participant_gives_its_own_without_the_others():
        cluster.stop(2)
        answer = ask(0, "key-P-256")
        need(answer[0] in (503, 504) and answer[1]["participantIndex"] == 2, f"{answer}")
        own = expect(ask(1, "key-P-256", local=True), 200)["participants"]
        need([p["participantIndex"] for p in own] == [1], f"{own}")
        cluster.start(2)
        cluster.wait_ready(2)

    def it_is_counted():
        counted = cluster.get(0, "admin", "/metrics")[1]["meters"]["com.sepior.tdsa.COMPLETED.RECOVERYINFO"]["count"]
        need(counted >= 2, f"{counted}")

    def a_short_certificate_is_a_warning_and_an_unfit_one_ends_the_start():
        need("ersCertificates[0]: RSA of 2048 bits" in cluster.log(1), "no warning")
        bad = make_certificate(home, "ec", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        cluster.stop(2)
        rig.change(cluster, 2, "  ersCertificates:\n", f"  ersCertificates:\n    - {b64url(bad)}\n")
        cluster.start(2, wait=False)
        wait_for(lambda: not cluster.running(2), 30, "the daemon to end")
        need("tdsaLibrary.ersCertificates[0]: the certificate cannot be used: its key is not an RSA key" in cluster.log(2),
             cluster.log(2)[-500:])

    return [a_recovered_key_signs_with_plain_openssl, a_recovered_ed25519_scalar_is_that_of_the_public_key,
            a_corrupt_info_is_named_and_the_others_recover, infos_of_two_epochs_recover_apart_only,
            a_participant_gives_its_own_without_the_others, it_is_counted,
            a_short_certificate_is_a_warning_and_an_unfit_one_ends_the_start]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
