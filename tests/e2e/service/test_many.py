#!/usr/bin/env python3
"""Three daemons: batches of signatures, and an application that gathers partial signatures from all APIs and has
one of them combine. usage: test_many.py BUILD"""
import hashlib
import signal
import sys
import threading
import time

import rig
from rig import DIGEST, expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

LIMIT = 6  # seconds that a partial signature lives


def main(build):
    with Cluster(build, "servers", n=3, t=1) as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "  storageConfiguration:",
                       f"  storageConfiguration:\n    partialSignatureTimeout: {LIMIT}")
            rig.change(cluster, index, "sessionTimeout: 60", "sessionTimeout: 20")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    pem = {}
    seen = {}

    def post(index, path, body, seconds=60):
        return cluster.call("POST", index, "api", f"/v1/keys/k/{path}", body, seconds=seconds)

    def batch(index, items, seconds=60):
        return expect(post(index, "sign-batch", {"items": items}, seconds), 200)["results"]

    def fresh(count, tag):
        return [{"hash": hashlib.sha256(f"{tag} {i}".encode()).hexdigest()} for i in range(count)]

    def note(results):
        """No r comes twice."""
        good = [row for row in results if "signature" in row]
        for row in good:
            need(row["r"] not in seen, f"r comes again: {row}")
            seen[row["r"]] = row
        return good

    def presignature():
        shown = expect(cluster.get(0, "api", "/v1/keys/k/presignatures?ranges=1"), 200)
        return shown["ranges"][0]["first"]

    def ask(index, name, digest=DIGEST):
        return cluster.call("POST", index, "api", "/v1/keys/k/partial-signatures",
                            {"presignatureId": name, "hash": digest})

    def gather(name, digest=DIGEST):
        return [expect(ask(index, name, digest), 200)["partialSignature"] for index in (0, 1, 2)]

    def combine(index, partials):
        return cluster.call("POST", index, "api", "/v1/keys/k/combine", {"partials": partials})

    def a_batch_of_a_thousand_is_signed():
        pem["k"] = make_key(cluster, 0, "k")
        items = fresh(999, "a thousand") + [{"hash": DIGEST}]
        results = batch(0, items)
        need(len(note(results)) == 1000, f"not all were signed: {[r for r in results if 'error' in r][:3]}")
        verify(cluster.home, pem["k"], results[-1]["signature"])

    def bad_items_do_not_fail_the_others():
        items = fresh(6, "bad")
        items[1] = {"hash": items[1]["hash"], "algorithm": "SHA-1"}
        items[2] = {"message": "AAAA"}
        items[3] = {"hash": items[3]["hash"], "path": "m/1"}
        items.append({"hash": DIGEST, "encoding": "rs"})
        results = batch(1, items)
        need([("error" in row) for row in results] == [False, True, True, True, False, False, False],
             f"wrong items failed: {results}")
        need(results[3]["error"]["error"] == "NO_DERIVATION", str(results[3]))
        need(len(note(results)) == 4, "four were to be signed")
        need(len(results[-1]["signature"]) == 128, "encoding was not looked at")
        expect(post(1, "sign-batch", {"items": [{"hash": DIGEST}, {"hash": "xy"}]}), 422, "INVALID_FIELD")

    def what_is_too_large_is_refused_with_the_numbers():
        expect(cluster.call("POST", 0, "api", "/v1/keys:generate",
                            {"keyId": "m", "curve": "P-256", "derivation": "none", "purpose": "message"},
                            seconds=60), 201)
        message = "A" * (64 * 1024 // 3 * 4)
        answer = expect(cluster.call("POST", 0, "api", "/v1/keys/m/sign-batch",
                                     {"items": [{"message": message}] * 33}, seconds=60), 400, "BAD_INPUT")
        need("2097152" in answer["message"], answer["message"])
        results = expect(cluster.call("POST", 0, "api", "/v1/keys/m/sign-batch",
                                      {"items": [{"message": message}] * 31}, seconds=60), 200)["results"]
        need(len(note(results)) == 31, str(results)[:300])

    def a_daemon_killed_in_a_batch_costs_signatures_only():
        done = []
        thread = threading.Thread(target=lambda: done.append(post(0, "sign-batch", {"items": fresh(1000, "kill")})))
        thread.start()
        time.sleep(0.15)
        cluster.stop(2, signal.SIGKILL)
        thread.join()
        results = expect(done[0], 200)["results"]
        cluster.start(2)
        need(len(results) == 1000, f"{len(results)} answers")
        note(results)
        for row in results:
            # participantIndex is who told: participant 2, or 1 that could not reach it while a batch was made
            need("signature" in row or "participant 2 " in row["error"]["message"], f"who is to blame: {row}")
        wait_for(lambda: sign(cluster, 0, "k")[0] == 200, 20, "signing after the kill")
        need(len(note(batch(0, fresh(100, "after the kill")))) == 100, "a batch after the kill")

    def an_application_combines_partial_signatures():
        expect(cluster.call("POST", 0, "api", "/v1/keys/k/presignatures", {"count": 20}, seconds=60), 200)
        for index in (0, 1, 2):
            answer = expect(combine(index, gather(presignature())), 200)
            verify(cluster.home, pem["k"], answer["signature"])
            note([answer])

    def one_request_for_one_presignature_also_after_a_restart():
        name = presignature()
        first = expect(ask(1, name), 200)
        need(first["participantIndex"] == 1 and first["presignatureId"] == name, str(first))
        cluster.stop(1, signal.SIGKILL)
        cluster.start(1)
        again = expect(ask(1, name), 200)
        need(again["partialSignature"] == first["partialSignature"], "other bytes for the same request")
        need(again["expiresAt"] == first["expiresAt"], "another expiry for the same request")
        expect(ask(1, name, "11" * 32), 409, "PRESIGNATURE_USED")
        partials = [expect(ask(0, name), 200)["partialSignature"], first["partialSignature"]]
        answer = expect(combine(0, partials), 400, "BAD_INPUT")
        need("participant 2 is missing" in answer["message"], answer["message"])
        partials.append(expect(ask(2, name), 200)["partialSignature"])
        verify(cluster.home, pem["k"], expect(combine(2, partials), 200)["signature"])

    def what_expired_is_gone():
        name = presignature()
        partials = gather(name)
        time.sleep(LIMIT + 1)
        expect(combine(0, partials), 410, "EXPIRED")
        expect(ask(0, name), 410, "EXPIRED")
        expect(ask(0, name, "11" * 32), 409, "PRESIGNATURE_USED")
        verify(cluster.home, pem["k"], expect(sign(cluster, 0, "k"), 200)["signature"])

    return [a_batch_of_a_thousand_is_signed, bad_items_do_not_fail_the_others,
            what_is_too_large_is_refused_with_the_numbers, a_daemon_killed_in_a_batch_costs_signatures_only,
            an_application_combines_partial_signatures, one_request_for_one_presignature_also_after_a_restart,
            what_expired_is_gone]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
