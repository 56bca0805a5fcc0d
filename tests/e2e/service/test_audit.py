#!/usr/bin/env python3
"""Three daemons, two of them with an audit log: what is recorded, and what a log that cannot be written stops.
usage: test_audit.py BUILD"""
import hashlib
import json
import sys

import rig
from rig import expect, make_key, sign, verify
from cluster import Cluster, need, run_facts

LOGGED = (1, 2)


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
        for index in LOGGED:
            rig.change(cluster, index, "sessionTimeout: 60",
                       f"sessionTimeout: 60\n  auditLog: {log_of(cluster, index)}")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def log_of(cluster, index):
    return cluster.home / f"audit{index}.log"


def records(path):
    """The records of a file; the chain is checked with nothing but hashlib."""
    lines = path.read_bytes().splitlines()
    found = [json.loads(line) for line in lines]
    for before, line, record in zip([None, *found], lines, found):
        hashed, _, _ = line.partition(b',"hash":')
        need(record["hash"] == hashlib.sha256(hashed).hexdigest(), f"hash of {record}")
        need(before is None or (record["prev"], record["seq"]) == (before["hash"], before["seq"] + 1), f"place of {record}")
    return found


def facts_of(cluster):
    pem = {}

    def reshare():
        return cluster.call("POST", 0, "api", "/v1/keys/k/reshare", {})

    def epoch():
        return expect(cluster.get(1, "api", "/v1/keys/k"), 200)["epoch"]

    def a_reshare_is_recorded_by_those_who_have_a_log():
        pem["k"] = make_key(cluster, 0, "k")
        expect(reshare(), 200)
        for index in LOGGED:
            last = records(log_of(cluster, index))[-1]
            need((last["event"], last["keyId"], last["participant"]) == ("key.reshare", "k", index), f"{last}")
            need("epoch 0 to 1, asked by participant 0" in last["detail"], f"{last}")
        need(not log_of(cluster, 0).exists(), "a log that nobody asked for")

    def a_log_that_was_tampered_with_stops_the_reshare_of_all():
        log = log_of(cluster, 2)
        right = log.read_bytes()
        log.write_bytes(right.replace(b"participant 0", b"participant 1"))
        expect(reshare(), 200)  # only the end of the file is looked at each time; the check finds it
        log.write_bytes(right[:-5])
        answer = reshare()
        need(answer[0] == 503 and answer[1]["participantIndex"] == 2, f"{answer}")
        need(epoch() == 2, "the epoch moved")
        rig.change(cluster, 2, "2.log", "2b.log")
        cluster.stop(2)
        cluster.start(2)
        expect(reshare(), 200)
        verify(cluster.home, pem["k"], expect(sign(cluster, 2, "k"), 200)["signature"])

    def a_renamed_log_goes_on_in_a_new_file():
        log = log_of(cluster, 1)
        old = records(log)
        log.rename(log.with_suffix(".1"))
        expect(reshare(), 200)
        new = records(log)
        need((new[0]["seq"], new[0]["prev"]) == (old[-1]["seq"] + 1, old[-1]["hash"]), f"{new[0]}")

    return [a_reshare_is_recorded_by_those_who_have_a_log, a_log_that_was_tampered_with_stops_the_reshare_of_all,
            a_renamed_log_goes_on_in_a_new_file]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
