#!/usr/bin/env python3
"""Four daemons of which one may be away: signing goes on with another committee. usage: test_committee.py BUILD"""
import signal
import sys

import rig
from rig import expect, make_key, sign, verify
from cluster import Cluster, need, run_facts, wait_for

LOW, HIGH = 20, 60
FIRST, OTHER = 0b0111, 0b1011  # committees of participant 0 with and without participant 2


def main(build):
    with Cluster(build, "servers", n=4, t=1) as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, f"secret of {index}")
            rig.change(cluster, index, "sessionTimeout: 60",
                       f"sessionTimeout: 10\n  presignatureLowWater: {LOW}\n  presignatureHighWater: {HIGH}")
        cluster.start_all()
        return run_facts(facts_of(cluster))


def committees(cluster, index, key):
    """Presignatures in stock, by the members of their committee."""
    shown = expect(cluster.get(index, "api", f"/v1/keys/{key}/presignatures"), 200)
    return {sum(1 << i for i in row["members"]): row["available"] for row in shown["committees"]}


def facts_of(cluster):
    pem = {}

    def signs(count):
        for _ in range(count):
            verify(cluster.home, pem["k"], expect(sign(cluster, 0, "k"), 200)["signature"])

    def stock(members):
        return committees(cluster, 0, "k").get(members, 0)

    def four_servers_make_a_key_and_the_stock_fills():
        pem["k"] = make_key(cluster, 0, "k")
        signs(1)
        wait_for(lambda: stock(FIRST) >= LOW, 20, "the stock of the first committee")

    def with_one_killed_signing_goes_on_and_the_stock_refills():
        cluster.stop(2, signal.SIGKILL)
        signs(3)
        wait_for(lambda: stock(OTHER) >= LOW, 20, "the stock of the other committee")
        wait_for(lambda: cluster.get(0, "admin", "/health/ready")[0] == 200, 10, "readiness without participant 2")
        verify(cluster.home, pem["k"], expect(sign(cluster, 3, "k"), 200)["signature"])

    def one_that_is_back_is_used_again():
        before = stock(FIRST)
        need(before > 0, "nothing was left of the first committee's stock")
        cluster.start(2)

        def used():
            signs(1)
            return stock(FIRST) < before
        wait_for(used, 30, "participant 2 to be used again")

    def with_one_frozen_signing_goes_on():
        with cluster.frozen(1):
            signs(3)
        signs(2)

    return [four_servers_make_a_key_and_the_stock_fills, with_one_killed_signing_goes_on_and_the_stock_refills,
            one_that_is_back_is_used_again, with_one_frozen_signing_goes_on]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
