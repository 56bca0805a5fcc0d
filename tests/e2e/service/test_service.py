#!/usr/bin/env python3
"""Three daemons as a cluster of servers, used over the API. usage: test_service.py BUILD"""
import base64
import collections
import resource
import secrets
import signal
import sys
import threading
import time

import rig
from rig import DIGEST, expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

SECRETS = {index: "canary" + secrets.token_urlsafe(32) for index in range(3)}
CURVES = {"P-256": 32, "secp256k1": 32, "P-384": 48, "P-521": 66}  # and bytes of r and of s


def main(build):
    with Cluster(build, "servers") as cluster:
        for index, secret in SECRETS.items():
            rig.use_aesgcm(cluster, index, secret)
            rig.change(cluster, index, "sessionTimeout: 60", "sessionTimeout: 5")
            rig.change(cluster, index, "shutdownGracePeriod: 5s", f"shutdownGracePeriod: {1 if index == 1 else 30}s")
            rig.change(cluster, index, "minChainPathLength: 0", "minChainPathLength: 1")
        cluster.start_all()
        failed = run_facts(facts_of(cluster))
    with Cluster(build, "client") as cluster:
        cluster.start_all()
        failed += run_facts(client_facts_of(cluster))
    return 1 if failed else 0


def facts_of(cluster):
    pem = {}

    def a_key_is_made_stocked_used_and_verified_on_every_curve():
        for curve, width in CURVES.items():
            key = f"k-{curve}"
            pem[key] = make_key(cluster, 0, key, curve, label="Ünïcode")
            made = expect(cluster.call("POST", 0, "api", f"/v1/keys/{key}/presignatures", {"count": 20}), 200)
            need(made["made"] == 20 and made["available"] == 20, f"stock: {made}")
            done = expect(sign(cluster, 0, key), 200)
            verify(cluster.home, pem[key], done["signature"])
            need(len(done["r"]) == len(done["s"]) == 2 * width, "r and s have fixed width")
            rs = expect(sign(cluster, 0, key, encoding="rs"), 200)
            need(rs["signature"] == rs["r"] + rs["s"], "rs is r and s side by side")

    def every_server_shows_and_uses_the_same_key():
        for key, text in pem.items():
            for index in cluster.servers:
                shown = expect(cluster.get(index, "api", f"/v1/keys/{key}"), 200)
                need(shown["state"] == "ACTIVE", f"participant {index}: {shown}")
                need(expect(cluster.get(index, "api", f"/v1/keys/{key}/public-key"), 200)["pem"] == text,
                     f"participant {index} has another public key")
                verify(cluster.home, text, expect(sign(cluster, index, key), 200)["signature"])

    def a_message_key_hashes_at_every_participant():
        text = expect(cluster.call("POST", 1, "api", "/v1/keys:generate",
                                   {"keyId": "m", "curve": "P-256", "purpose": "message",
                                    "derivation": "none"}), 201)
        need(text["purpose"] == "message", str(text))
        done = expect(cluster.call("POST", 1, "api", "/v1/keys/m/sign",
                                   {"message": base64.b64encode(rig.MESSAGE).decode()}), 200)
        public = expect(cluster.get(1, "api", "/v1/keys/m/public-key"), 200)["pem"]
        verify(cluster.home, public, done["signature"])

    def a_key_in_prepare_mode_signs_with_one_exchange_more():
        text = make_key(cluster, 0, "coins", prepare=True)
        need(expect(cluster.get(1, "api", "/v1/keys/coins"), 200)["prepare"], "the policy is shown")
        for index in cluster.servers:
            for _ in range(3):
                verify(cluster.home, text, expect(sign(cluster, index, "coins"), 200)["signature"])

    def a_bip32_key_signs_below_its_root_only_as_far_as_it_may():
        shown = expect(cluster.call("POST", 0, "api", "/v1/keys:generate", {"keyId": "tree", "curve": "secp256k1"}), 201)
        need(shown["derivation"] == "bip32" and shown["minPathLength"] == 1, str(shown))
        need("publicKey" not in shown, "the root's public key is shown")
        expect(sign(cluster, 1, "tree"), 403, "DENIED")
        expect(cluster.get(1, "api", "/v1/keys/tree/public-key"), 403, "DENIED")
        seen = set()
        for path in ("m/0", "m/1", "m/44/0/0"):
            publics = {expect(cluster.get(i, "api", f"/v1/keys/tree/public-key?path={path}"), 200)["pem"]
                       for i in cluster.servers}
            need(len(publics) == 1, f"{path}: the servers derive different keys")
            done = expect(sign(cluster, 2, "tree", path=path), 200)
            verify(cluster.home, publics.pop(), done["signature"])
            seen.add(done["publicKey"])
        need(len(seen) == 3, "paths give the same key")
        for path in ("m/44'", "m/2147483648", "x"):
            expect(sign(cluster, 2, "tree", path=path), 422, "INVALID_FIELD")
        expect(sign(cluster, 0, "k-P-256", path="m/1"), 422, "NO_DERIVATION")

    def no_two_signatures_share_r():
        seen = collections.Counter()
        lock = threading.Lock()

        def work(index):
            for _ in range(25):
                r = expect(sign(cluster, index, "k-P-256"), 200)["r"]
                with lock:
                    seen[r] += 1

        threads = [threading.Thread(target=work, args=(i % 3,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        need(sum(seen.values()) == 150, f"{sum(seen.values())} of 150 signatures came")
        need(max(seen.values()) == 1, "an r came twice")

    def registering_again_changes_nothing_and_another_curve_is_refused():
        body = {"keyId": "twice", "curve": "P-256"}
        expect(cluster.call("POST", 0, "api", "/v1/keys", body), 201)
        expect(cluster.call("POST", 0, "api", "/v1/keys", body), 201)
        expect(cluster.call("POST", 0, "api", "/v1/keys", {**body, "curve": "secp256k1"}), 409, "CONFLICT")
        listed = expect(cluster.get(0, "api", "/v1/keys"), 200)["keys"]
        need("twice" not in [k["keyId"] for k in listed], "a key without shares is listed")
        expect(sign(cluster, 0, "twice"), 409, "KEY_NOT_ACTIVE")

    def a_limit_is_kept_all_or_nothing():
        make_key(cluster, 2, "limited", presignatureLimit=5)
        expect(cluster.call("POST", 2, "api", "/v1/keys/limited/presignatures", {"count": 6}), 409, "LIMIT")
        need(expect(cluster.get(2, "api", "/v1/keys/limited/presignatures"), 200)["available"] == 0, "some were made")
        expect(cluster.call("POST", 2, "api", "/v1/keys/limited/presignatures", {"count": 5}), 200)
        need(expect(cluster.call("DELETE", 2, "api", "/v1/keys/limited/presignatures"), 200)["dropped"] == 5, "purge")

    def pages_go_through_all_keys():
        seen, after = [], ""
        while True:
            page = expect(cluster.get(0, "api", f"/v1/keys?limit=2{after}"), 200)
            seen += [k["keyId"] for k in page["keys"]]
            if "next" not in page:
                break
            after = "&after=" + page["next"]
        need(seen == sorted(seen) and len(seen) == len(set(seen)) and "m" in seen, f"pages: {seen}")

    def a_deleted_key_is_out_of_use_everywhere():
        answer = expect(cluster.call("DELETE", 1, "api", "/v1/keys/limited"), 202)
        need(answer["state"] == "DELETING" and answer["pending"] == [] and "deletionTime" in answer, f"{answer}")
        for index in cluster.servers:
            shown = expect(cluster.get(index, "api", "/v1/keys/limited"), 200)
            need(shown["state"] == "DELETING" and "deletionTime" in shown, f"participant {index}: {shown}")
            expect(sign(cluster, index, "limited"), 409, "KEY_DELETING")
            need("limited" not in str(expect(cluster.get(index, "api", "/v1/keys"), 200)), f"participant {index} lists it")

    def operations_are_counted():
        metrics = expect(cluster.get(0, "admin", "/metrics"), 200)
        need(metrics["version"] == "4.0.0", "version")
        need(metrics["meters"]["com.sepior.tdsa.COMPLETED.SIGN"]["count"] >= 50, "COMPLETED.SIGN")
        need(metrics["meters"]["com.sepior.tdsa.COMPLETED.PRESIG"]["count"] >= 1, "COMPLETED.PRESIG")
        need(metrics["timers"]["com.sepior.tdsa.DURATION.SIGN"]["count"] >= 50, "DURATION.SIGN")
        need(metrics["meters"]["com.sepior.tdsa.COMPLETED.PUBLICKEY"]["count"] >= 1, "COMPLETED.PUBLICKEY")
        for operation in ("XPUB", "RESHARE", "RECOVERYINFO"):
            need(f"com.sepior.tdsa.STARTED.{operation}" in metrics["meters"], operation)
        need(metrics["gauges"]["com.sepior.tdsa.PRESIG.AVAILABLE"]["value"] >= 1, "PRESIG.AVAILABLE")
        need(metrics["timers"]["com.sepior.tdsaservice.api.sign"]["count"] >= 50, "api.sign")
        health = expect(cluster.get(0, "admin", "/healthcheck"), 200)
        need(sorted(health) == ["database", "deadlocks"], f"checks: {health}")

    def the_ports_do_not_mix():
        for port, path in (("protocol", "/v1/keys"), ("protocol", "/metrics"), ("api", "/protocol/round"),
                           ("api", "/metrics"), ("admin", "/v1/keys"), ("admin", "/protocol/round")):
            status, body = cluster.get(0, port, path)
            need(status == 404, f"{port} {path}: {status} {body}")
        need(cluster.get(0, "api", "/docs")[0] == 200, "/docs")
        need(expect(cluster.get(0, "api", "/openapi.json"), 200)["openapi"] == "3.0.3", "openapi")

    def a_peer_that_is_down_is_named_and_its_return_is_enough():
        cluster.stop(2)
        started = time.monotonic()
        failed = sign(cluster, 0, "k-P-256")
        need(failed[0] in (503, 504), f"{failed}")
        need(failed[1].get("participantIndex") == 2, f"names {failed[1]}")
        need(time.monotonic() - started < 10, "takes too long")
        need("participant 2" in cluster.log(0), "the log does not name it")
        wait_for(lambda: cluster.get(0, "admin", "/health/ready")[0] == 503, 10, "not ready")
        need("participant 2" in str(cluster.get(0, "admin", "/health/ready")[1]), "ready does not name it")
        expect(cluster.get(0, "admin", "/healthcheck"), 200)
        expect(cluster.get(0, "api", "/v1/keys/k-P-256/public-key"), 200)  # needs no peer
        cluster.start(2)
        cluster.wait_ready(0)
        verify(cluster.home, pem["k-P-256"], expect(sign(cluster, 0, "k-P-256"), 200)["signature"])

    def a_peer_that_hangs_is_named_and_costs_one_timeout():
        with cluster.frozen(2):
            failed = sign(cluster, 0, "k-P-256")
        expect(failed, 504, "TIMEOUT")
        need(failed[1].get("participantIndex") == 2, f"names {failed[1]}")
        cluster.wait_ready(0)
        verify(cluster.home, pem["k-P-256"], expect(sign(cluster, 0, "k-P-256"), 200)["signature"])

    def sigterm_while_keys_are_made_leaves_no_half_key():
        made, going = [], threading.Event()

        def work(number):
            count = 0
            while not going.is_set():
                key = f"load-{number}-{count}"
                count += 1
                if cluster.call("POST", 0, "api", "/v1/keys:generate",
                                {"keyId": key, "curve": "P-256", "derivation": "none"})[0] == 201:
                    made.append(key)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(made) > 5, 30, "keys")
        code = cluster.stop(1)
        going.set()
        for thread in threads:
            thread.join()
        need(code == 0, f"exit {code}")
        cluster.start(1)
        cluster.wait_ready(0)
        active = [{k["keyId"] for k in expect(cluster.get(i, "api", "/v1/keys?limit=1000"), 200)["keys"]}
                  for i in cluster.servers]
        for key in made:
            need(all(key in keys for keys in active), f"{key} was made and is not ACTIVE everywhere")
        for key in active[0]:
            if key.startswith("load-"):
                expect(sign(cluster, 0, key), 200)

    def sigterm_under_load_loses_no_answer():
        answers, going = collections.Counter(), threading.Event()

        def work():
            while not going.is_set():
                answers[sign(cluster, 1, "k-P-256")[0]] += 1

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_for(lambda: answers[200] > 30, 30, "signatures")
        code = cluster.stop(1)
        going.set()
        for thread in threads:
            thread.join()
        need(code == 0, f"exit {code}")
        need("stopped" in cluster.log(1).splitlines()[-1], "the log does not end with stopped")
        need(set(answers) <= {200, 503, 0}, f"answers: {answers}")
        cluster.start(1)
        cluster.wait_ready(0)
        verify(cluster.home, pem["k-P-256"], expect(sign(cluster, 1, "k-P-256"), 200)["signature"])

    def the_grace_period_ends_what_hangs():
        answers = []
        with cluster.frozen(2):
            asking = threading.Thread(target=lambda: answers.append(sign(cluster, 1, "k-P-256", seconds=60)))
            asking.start()
            wait_for(lambda: expect(cluster.get(1, "admin", "/metrics"), 200)["gauges"]
                     ["com.sepior.tdsa.EXCHANGES.WAITING"]["value"] > 0, 10, "a question that hangs")
            code = cluster.stop(1)
            asking.join()
        need(code == 0, f"exit {code}")
        need("shutdownGracePeriod is over" in cluster.log(1), "no warning in the log")
        need(answers[0][0] in (0, 503, 504), f"{answers}")
        cluster.start(1)
        cluster.wait_ready(0)

    def a_disk_that_is_full_is_not_ready_and_passes():
        pid = cluster.process[0].pid
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            wait_for(lambda: cluster.get(0, "admin", "/health/ready")[0] == 503, 10, "503 of a full disk")
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
        cluster.wait_ready(0)
        verify(cluster.home, pem["k-P-256"], expect(sign(cluster, 0, "k-P-256"), 200)["signature"])

    def a_second_signal_ends_it_at_once():
        def hang():
            cluster.call("POST", 0, "api", "/v1/keys/k-secp256k1/presignatures", {"count": 10})

        asking = threading.Thread(target=hang)
        with cluster.frozen(2):
            asking.start()
            wait_for(lambda: expect(cluster.get(0, "admin", "/metrics"), 200)["gauges"]
                     ["com.sepior.tdsa.EXCHANGES.WAITING"]["value"] > 0, 10, "a question that hangs")
            before = cluster.log(0).count("stopping")  # of earlier facts
            cluster.process[0].send_signal(signal.SIGTERM)
            wait_for(lambda: cluster.log(0).count("stopping") > before, 10, "stopping")
            code = cluster.stop(0)
        asking.join()
        need(code == 1, f"exit {code}")
        cluster.start(0)
        cluster.wait_ready(0)
        verify(cluster.home, pem["k-secp256k1"], expect(sign(cluster, 0, "k-secp256k1"), 200)["signature"])

    def logs_and_answers_hold_no_secret():
        needles = list(SECRETS.values()) + [(cluster.dir / "group").read_text().strip()]
        for index in cluster.servers:
            own = cluster.dir / f"participant{index}"
            needles += [(own / f"{kind}.private").read_text().strip() for kind in ("primary", "secondary")]
        texts = [cluster.log(i) for i in cluster.servers]
        texts += [str(cluster.get(i, port, path)) for i in cluster.servers
                  for port, path in (("api", "/v1/info"), ("api", "/v1/keys?state=all"), ("api", "/openapi.json"),
                                     ("admin", "/metrics"), ("admin", "/healthcheck"), ("admin", "/threads"))]
        for needle in needles:
            need(not any(needle in text for text in texts), "a secret is in a log or an answer")
        for index in cluster.servers:
            for path in (cluster.dir / f"participant{index}").glob("tdsa.db*"):
                need(SECRETS[index].encode() not in path.read_bytes(), f"{path} holds the encryption key")

    def it_leaves_no_core_and_cannot_be_debugged():
        limits = open(f"/proc/{cluster.process[0].pid}/limits", encoding="ascii").read()
        core = [line for line in limits.splitlines() if line.startswith("Max core file size")][0].split()
        need(core[4:6] == ["0", "0"], f"core limits {core}")

    return [a_key_is_made_stocked_used_and_verified_on_every_curve, every_server_shows_and_uses_the_same_key,
            a_message_key_hashes_at_every_participant, a_key_in_prepare_mode_signs_with_one_exchange_more,
            a_bip32_key_signs_below_its_root_only_as_far_as_it_may, no_two_signatures_share_r,
            registering_again_changes_nothing_and_another_curve_is_refused, a_limit_is_kept_all_or_nothing,
            pages_go_through_all_keys, a_deleted_key_is_out_of_use_everywhere, operations_are_counted,
            the_ports_do_not_mix, a_peer_that_is_down_is_named_and_its_return_is_enough,
            a_peer_that_hangs_is_named_and_costs_one_timeout, sigterm_while_keys_are_made_leaves_no_half_key,
            sigterm_under_load_loses_no_answer, the_grace_period_ends_what_hangs, a_disk_that_is_full_is_not_ready_and_passes, a_second_signal_ends_it_at_once, logs_and_answers_hold_no_secret,
            it_leaves_no_core_and_cannot_be_debugged]


def client_facts_of(cluster):
    def a_group_with_a_client_answers_client_participates():
        for index in cluster.servers:
            for path, body in (("/v1/keys", {"curve": "P-256"}), ("/v1/keys:generate", {"curve": "P-256"})):
                expect(cluster.call("POST", index, "api", path, body), 409, "CLIENT_PARTICIPATES")
            expect(cluster.get(index, "api", "/v1/keys"), 200)
            need(expect(cluster.get(index, "api", "/v1/info"), 200)["clientIndex"] == 0, "info")

    def a_key_of_the_client_is_shown_and_not_used():
        cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "a")
        for index in cluster.servers:
            keys = expect(cluster.get(index, "api", "/v1/keys"), 200)["keys"]
            need(len(keys) == 1 and keys[0]["clientParticipates"], f"keys: {keys}")
            key = keys[0]["keyId"]
            expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/sign", {"hash": DIGEST}), 409,
                   "CLIENT_PARTICIPATES")
            expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/presignatures", {"count": 1}), 409,
                   "CLIENT_PARTICIPATES")
            expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/share", {}), 409, "CLIENT_PARTICIPATES")
            expect(cluster.call("DELETE", index, "api", f"/v1/keys/{key}"), 409, "CLIENT_PARTICIPATES")

    return [a_group_with_a_client_answers_client_participates, a_key_of_the_client_is_shown_and_not_used]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
