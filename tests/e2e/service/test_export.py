#!/usr/bin/env python3
"""Three daemons, each with the certificate of an export: what all have approved comes out, and nothing else. usage: test_export.py BUILD"""
import base64
import hashlib
import json
import subprocess
import sys
import time

import rig
from rig import MESSAGE, expect, sign, verify
from test_audit import records
from test_recovery import b64url, make_certificate, openssl
from cluster import ROOT, Cluster, need, run_facts

sys.path.insert(0, str(ROOT / "tests/model"))
import recovery  # noqa: E402
from recovery import GROUPS  # noqa: E402


def main(build):
    with Cluster(build, "servers") as cluster:
        ders = [make_certificate(cluster.home, name, "-newkey", "rsa:2048") for name in ("one", "other")]
        allowed = ", ".join(b64url(der) for der in ders)
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "sessionTimeout: 60", f"sessionTimeout: 60\n  exportCertificates: [{allowed}]\n"
                       f"  auditLog: {log_of(cluster, index)}")
        cluster.start_all()
        return run_facts(facts_of(cluster, ders, build))


def log_of(cluster, index):
    return cluster.home / f"audit{index}.log"


def facts_of(cluster, ders, build):
    home = cluster.home
    one, other = (hashlib.sha256(der).hexdigest() for der in ders)
    certificate = recovery.Certificate(ders[0])

    def make(index, key, curve="P-256", **more):
        body = expect(cluster.call("POST", index, "api", "/v1/keys:generate",
                                   {"keyId": key, "curve": curve, "exportable": True, **more}), 201)
        need(body["exportable"] is True, f"{body}")

    def approve(index, key, of=one, **more):
        return cluster.call("POST", index, "api", f"/v1/keys/{key}/export-approvals", {"certificate": of, **more})

    def export(index, key, of=one, **more):
        return cluster.call("POST", index, "api", f"/v1/keys/{key}/export", {"certificate": of, **more})

    def approve_all(key, of=one, **more):
        for index in cluster.servers:
            body = expect(approve(index, key, of, **more), 201)
            need((body["keyId"], body["certificate"]) == (key, of) and "expiresAt" in body, f"{body}")

    def public(key, path=None):
        return expect(cluster.get(0, "api", f"/v1/keys/{key}/public-key" + (f"?path={path}" if path else "")), 200)

    def verified(package, curve):
        """The infos of a package, each verified by the model, all of one context."""
        infos, contexts = [], set()
        need(package["export"] is True, f"{package.keys()}")
        for place, of in enumerate(package["participants"]):
            need((of["participantIndex"], len(of["infos"])) == (place, 1), f"{of['participantIndex']}")
            need(of["infos"][0]["certificate"] == one, "another certificate")
            infos.append(base64.b64decode(of["infos"][0]["recoveryInfo"]))
            recovery.verify(infos[-1], GROUPS[curve], certificate)
            contexts.add(recovery.read(infos[-1], GROUPS[curve])[0])
        need(len(infos) == 3 and len(contexts) == 1, f"{len(infos)} infos of {len(contexts)} contexts")
        return infos

    def recover(infos, status=0):
        names = [home / f"info{i}" for i in range(len(infos))]
        for name, info in zip(names, infos):
            name.write_bytes(info)
        done = subprocess.run([f"{build}/tests/e2e/service/recover", home / "one.key", *names], capture_output=True, text=True,
                              check=False)
        need(done.returncode == status, f"exit {done.returncode}: {done.stderr}")
        return done.stdout

    def signs_with_openssl(key_text, pem):
        (home / "exported.pem").write_text(key_text)
        (home / "message").write_bytes(MESSAGE)
        openssl("dgst", "-sha256", "-sign", home / "exported.pem", "-out", home / "signature", home / "message")
        verify(home, pem, (home / "signature").read_bytes().hex())

    def refused(answer, code, participant):
        body = expect(answer, 403, code)
        need(f"participant {participant}" in body["message"], body["message"])

    kept = {}

    def without_approvals_the_missing_one_is_named():
        make(0, "k", derivation="none")
        refused(export(0, "k"), "NOT_APPROVED", 0)
        expect(approve(0, "k"), 201)
        need(expect(export(0, "k"), 403, "NOT_APPROVED")["participantIndex"] in (1, 2), "another is named")
        expect(approve(1, "k"), 201)
        refused(export(0, "k"), "NOT_APPROVED", 2)
        need(export(0, "k")[1]["participantIndex"] == 2, "nobody is named")

    def what_all_approved_is_the_key_that_openssl_signs_with():
        expect(approve(2, "k"), 201)
        package = expect(export(0, "k"), 200)
        need((package["keyId"], package["epoch"]) == ("k", 0), f"{package['keyId']} {package['epoch']}")
        kept["package"], kept["first"] = package, verified(package, "P-256")
        for infos in (kept["first"], kept["first"][:2], kept["first"][1:]):
            signs_with_openssl(recover(infos), public("k")["pem"])

    def the_command_line_verifies_and_recovers_it():
        (home / "package").write_text(json.dumps(kept["package"]))
        (home / "key.pem").write_text(public("k")["pem"])
        tdsa = [f"{build}/service/cli/tdsa", "recovery"]
        for words in (["verify", home / "package", "--certificate", home / "one.pem"],
                      ["recover", home / "package", "--key", home / "one.key", "--out", home / "recovered"]):
            done = subprocess.run([*tdsa, *words, "--public-key", home / "key.pem"], capture_output=True, text=True, check=False)
            need(done.returncode == 0, f"{words[0]}: exit {done.returncode}: {done.stdout}{done.stderr}")
        signs_with_openssl((home / "recovered").read_text(), public("k")["pem"])

    def an_approval_is_good_for_one_export():
        for index in cluster.servers:
            refused(export(index, "k"), "NOT_APPROVED", index)

    def an_approval_outlives_a_restart_and_says_what_it_is_for():
        approve_all("k")
        for index in cluster.servers:
            cluster.stop(index)
        cluster.start_all()
        refused(export(1, "k", other), "NOT_APPROVED", 1)
        refused(export(1, "k", "00" * 32), "DENIED", 1)
        kept["second"] = verified(expect(export(1, "k"), 200), "P-256")
        signs_with_openssl(recover(kept["second"][:2]), public("k")["pem"])

    def infos_of_two_exports_recover_apart_only():
        recover([kept["first"][0], kept["second"][1]], 1)

    def the_key_stays_what_it_was():
        for index in cluster.servers:
            body = expect(cluster.get(index, "api", "/v1/keys/k"), 200)
            need((body["state"], body["epoch"]) == ("ACTIVE", 0), f"{body}")
            verify(home, public("k")["pem"], expect(sign(cluster, index, "k"), 200)["signature"])

    def a_child_comes_out_under_its_path_only():
        make(2, "tree", "secp256k1", derivation="bip32")
        approve_all("tree", path="m/1/7")
        refused(export(2, "tree"), "NOT_APPROVED", 2)
        refused(export(2, "tree", path="m/1"), "NOT_APPROVED", 2)
        package = expect(export(2, "tree", path="m/1/7"), 200)
        need(package["path"] == "m/1/7", f"{package['path']}")
        signs_with_openssl(recover(verified(package, "secp256k1")[:2]), public("tree", "m/1/7")["pem"])

    def an_approval_expires():
        approve_all("k")
        expect(approve(2, "k", validSeconds=1), 201)
        time.sleep(1.1)
        refused(export(0, "k"), "APPROVAL_EXPIRED", 2)
        for seconds in (0, 604801):
            expect(approve(0, "k", validSeconds=seconds), 422, "INVALID_FIELD")

    def an_approval_does_not_outlive_its_epoch():
        expect(cluster.call("POST", 0, "api", "/v1/keys/k/reshare", {}), 200)
        refused(export(0, "k"), "NOT_APPROVED", 0)

    def a_key_that_was_not_made_for_it_is_refused():
        expect(cluster.call("POST", 0, "api", "/v1/keys:generate", {"keyId": "plain", "curve": "P-256"}), 201)
        need(cluster.get(0, "api", "/v1/keys/plain")[1]["exportable"] is False, "exportable by itself")
        expect(approve(1, "plain"), 403, "DENIED")
        expect(export(1, "plain"), 403, "DENIED")

    def one_participant_that_is_away_stops_it():
        approve_all("k")
        cluster.stop(2)
        answer = export(0, "k")
        need(answer[0] in (503, 504) and answer[1]["participantIndex"] == 2, f"{answer}")
        cluster.start(2)
        cluster.wait_ready(2)
        verified(expect(export(0, "k"), 200), "P-256")

    def every_log_has_each_approval_and_each_export():
        for index in cluster.servers:
            events = [(r["event"], r["keyId"]) for r in records(log_of(cluster, index))]
            need(events.count(("key.export", "k")) == 3, f"{events}")
            need(events.count(("key.export", "tree")) == 1, f"{events}")
            need(events.count(("key.export.approve", "tree")) == 1, f"{events}")
            need(events.count(("key.export.approve", "k")) == (5 if index == 2 else 4), f"{events}")
            detail = [r["detail"] for r in records(log_of(cluster, index)) if r["event"] == "key.export"]
            need(all(one in d for d in detail) and "asked by participant 0" in detail[0], json.dumps(detail))

    def it_is_counted():
        counted = cluster.get(1, "admin", "/metrics")[1]["meters"]["com.sepior.tdsa.COMPLETED.EXPORT"]["count"]
        need(counted >= 1, f"{counted}")

    return [without_approvals_the_missing_one_is_named, what_all_approved_is_the_key_that_openssl_signs_with,
            the_command_line_verifies_and_recovers_it, an_approval_is_good_for_one_export, an_approval_outlives_a_restart_and_says_what_it_is_for,
            infos_of_two_exports_recover_apart_only, the_key_stays_what_it_was, a_child_comes_out_under_its_path_only,
            an_approval_expires, an_approval_does_not_outlive_its_epoch, a_key_that_was_not_made_for_it_is_refused,
            one_participant_that_is_away_stops_it, every_log_has_each_approval_and_each_export, it_is_counted]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
