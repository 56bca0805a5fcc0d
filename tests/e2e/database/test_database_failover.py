#!/usr/bin/env python3
"""A PostgreSQL server fails, and a standby that had not its last commits takes its place: no presignature that it forgot is
used again, keys are kept, nobody restarts. Only with TDSA_TEST_LONG=1. usage: test_database_failover.py BUILD"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from rig_database import Server, light, stop_all, use
import rig
from cluster import Cluster, need, run_facts, wait_for

DETECTED = "com.sepior.tdsa.ROLLBACK.DETECTED"


def main(build):
    if not os.environ.get("TDSA_TEST_LONG"):
        print("skipped: TDSA_TEST_LONG is not set")
        return 0
    with Cluster(build, "servers") as cluster:
        server = Server("postgres", cluster.home)
        try:
            light(cluster)
            use(cluster, 0, server, server.place("tdsa0"))
            cluster.start_all()
            rig.make_key(cluster, 0, "k")
            failed = run_facts(facts_of(cluster, server))
            stop_all(cluster)
            return failed
        finally:
            server.stop()


def facts_of(cluster, server):
    seen = set()
    folder = pathlib.Path(server.facts()["socket"])

    def copy(source, target):
        subprocess.run(["cp", "-a", folder / source, folder / target], check=True, timeout=60)

    def sign(index):
        digest = hashlib.sha256(f"{index} {len(seen)} {sign.count}".encode()).hexdigest()
        sign.count += 1
        return cluster.call("POST", index, "api", "/v1/keys/k/sign", {"hash": digest})

    sign.count = 0

    def signs(index):
        """A signature; none repeats r."""
        status, body = sign(index)
        if status != 200:
            return False
        der = bytes.fromhex(body["signature"])
        r = der[4:4 + der[3]]
        need(r not in seen, "a signature repeats r")
        seen.add(r)
        return True

    def must_sign(index):
        wait_for(lambda: signs(index), 60, f"participant {index} to sign; it says {sign(index)}")

    def counter(name):
        return rig.expect(cluster.get(0, "admin", "/metrics"), 200)["counters"][name]["count"]

    def stock():
        return rig.expect(cluster.get(0, "api", "/v1/keys/k/presignatures"), 200)["available"]

    def a_server_that_comes_back_is_the_same_one():
        rig.expect(cluster.call("POST", 0, "api", "/v1/keys/k/presignatures", {"count": 40}), 200)
        must_sign(0)
        server.down()
        copy("data", "standby")  # what the standby has: nothing after this
        server.up()
        must_sign(0)
        need(counter(DETECTED) == 0, "a restart of the server is taken for another database")
        need(stock() > 0, "a restart of the server costs the stock")

    def a_standby_that_lost_the_last_burns_costs_the_stock():
        for i in range(12):
            must_sign(i % 3)
        server.down()
        (folder / "data").rename(folder / "failed")
        (folder / "standby").rename(folder / "data")
        (folder / "data/standby.signal").touch()
        server.up()
        status, body = sign(0)
        need(status == 503, f"participant 0 signs without a database that takes writes: {status} {body}")
        server.sql("SELECT pg_promote()")
        for i in range(12):
            must_sign(i % 3)
        wait_for(lambda: counter(DETECTED) == 1, 20, "the alarm")
        need("failed over" in cluster.log(0) and "timeline=2" in cluster.log(0), "the alarm does not say why")
        shutil.rmtree(folder / "failed")

    return [a_server_that_comes_back_is_the_same_one, a_standby_that_lost_the_last_burns_costs_the_stock]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
