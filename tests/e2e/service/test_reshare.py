#!/usr/bin/env python3
"""Five daemons: a key is refreshed, moved to other members and back, and survives kills. usage: test_reshare.py BUILD"""
import signal
import sys
import threading
import time

import rig
from rig import expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

N = 5


def main(build):
    with Cluster(build, "servers", n=N, t=2) as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "sessionTimeout: 60", "sessionTimeout: 5")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def reshare(cluster, index, key, seconds=30, **body):
    return cluster.call("POST", index, "api", f"/v1/keys/{key}/reshare", body, seconds=seconds)


def shown(cluster, index, key):
    return cluster.get(index, "api", f"/v1/keys/{key}")


def epochs(cluster, key):
    """Participant -> epoch of those that have the key."""
    found = {}
    for index in cluster.servers:
        status, body = shown(cluster, index, key)
        if status == 200 and body["state"] == "ACTIVE":
            found[index] = body["epoch"]
    return found


def facts_of(cluster):
    pem = {}

    def signs(index, key):
        verify(cluster.home, pem[key], expect(sign(cluster, index, key), 200)["signature"])

    def a_refresh_keeps_the_key_and_voids_the_stock():
        pem["k"] = make_key(cluster, 0, "k")
        signs(0, "k")
        expect(cluster.call("POST", 0, "api", "/v1/keys/k/presignatures", {"count": 10}), 200)
        body = expect(reshare(cluster, 0, "k"), 200)
        need(body["epoch"] == 1, f"epoch {body['epoch']} after the refresh")
        need(epochs(cluster, "k") == {i: 1 for i in range(N)}, f"epochs {epochs(cluster, 'k')}")
        stock = expect(cluster.get(0, "api", "/v1/keys/k/presignatures"), 200)["available"]
        need(stock == 0, f"{stock} presignatures are left")
        need(expect(cluster.get(3, "api", "/v1/keys/k/public-key"), 200)["pem"] == pem["k"], "another public key")
        for index in cluster.servers:
            signs(index, "k")

    def a_key_moves_to_three_of_five_and_back():
        body = expect(reshare(cluster, 1, "k", members=[0, 2, 4], threshold=1), 200)
        need(body["state"] == "LEFT", f"participant 1 says {body}")
        need(epochs(cluster, "k") == {0: 2, 2: 2, 4: 2}, f"epochs {epochs(cluster, 'k')}")
        signs(4, "k")
        expect(sign(cluster, 1, "k"), 404)
        expect(reshare(cluster, 2, "k", members=[0, 1, 2, 3, 4], threshold=2), 200)
        need(epochs(cluster, "k") == {i: 3 for i in range(N)}, f"epochs {epochs(cluster, 'k')}")
        signs(1, "k")
        signs(3, "k")

    def restarted_daemons_have_the_new_epoch_only():
        for index in cluster.servers:
            cluster.stop(index)
        for index in cluster.servers:
            cluster.start(index)
        need(epochs(cluster, "k") == {i: 3 for i in range(N)}, f"epochs {epochs(cluster, 'k')}")
        signs(2, "k")

    def what_is_not_allowed_is_refused():
        make_key(cluster, 0, "fixed", reshare=False)
        expect(reshare(cluster, 0, "fixed"), 403)
        expect(reshare(cluster, 0, "k", members=[0, 1, 2], threshold=2), 400)
        expect(reshare(cluster, 0, "none"), 404)
        cluster.stop(4)
        answer = reshare(cluster, 0, "k")
        need(answer[0] in (502, 503, 504), f"with one down: {answer}")
        rig.change(cluster, 4, "sessionTimeout: 5", "sessionTimeout: 5\n  disableReshare: true")
        cluster.start(4)
        expect(reshare(cluster, 4, "k"), 403)
        expect(reshare(cluster, 0, "k"), 403)
        rig.change(cluster, 4, "\n  disableReshare: true", "")
        cluster.stop(4)
        cluster.start(4)
        signs(4, "k")

    def a_kill_in_a_reshare_leaves_one_epoch_that_signs():
        pem["killed"] = make_key(cluster, 0, "killed")
        before = max(epochs(cluster, "killed").values())
        for delay in (0.01, 0.03, 0.06, 0.1):
            victim = 1 + int(delay * 100) % 4
            killer = threading.Timer(delay, cluster.stop, (victim, signal.SIGKILL))
            killer.start()
            reshare(cluster, 0, "killed")
            killer.join()
            wait_for(lambda v=victim: not cluster.running(v), 10, f"participant {victim} to be killed")
            cluster.start(victim)

            def one_epoch():
                return len(set(epochs(cluster, "killed").values())) == 1 and len(epochs(cluster, "killed")) == N
            wait_for(one_epoch, 60, "one epoch everywhere")
            for index in (0, victim):
                signs(index, "killed")
        after = max(epochs(cluster, "killed").values())
        need(after >= before, "an epoch went back")

        def again():
            return reshare(cluster, 0, "killed")[0] == 200
        deadline = time.time() + 60
        while not again():
            need(time.time() < deadline, "no reshare succeeds any more")
            time.sleep(1)
        signs(3, "killed")

    return [a_refresh_keeps_the_key_and_voids_the_stock, a_key_moves_to_three_of_five_and_back,
            restarted_daemons_have_the_new_epoch_only, what_is_not_allowed_is_refused,
            a_kill_in_a_reshare_leaves_one_epoch_that_signs]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
