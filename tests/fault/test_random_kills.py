#!/usr/bin/env python3
"""Signs under random kills of all three processes: every signature verifies and no two share r.

usage: test_random_kills.py BUILD [SIGNATURES]
500 signatures; 10,000 with TDSA_TEST_LONG=1. TDSA_SEED repeats the choice of victims and moments.
"""
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Caller, Cluster, Problem, need  # noqa: E402

CLIENT = 0


class Load:
    """An application that signs without end, started again when it is killed."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.caller = None

    def line(self):
        if self.caller is None:
            self.caller = Caller(self.cluster)
            need(self.caller.ready, "the application does not start")
            self.caller.process.stdin.write("sign key 1000000\n")
            self.caller.process.stdin.flush()
        text = self.caller.process.stdout.readline().strip()
        if not text:
            code = self.caller.close()
            need(code == -9, f"the application ended with {code}")
            self.caller = None
        return text

    def kill(self):
        if self.caller is not None:
            self.caller.process.kill()


def main(cluster, wanted):
    seed = int(os.environ.get("TDSA_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}: repeat with TDSA_SEED={seed}", flush=True)
    chance = random.Random(seed)
    first = Caller(cluster)
    need(first.ready and first.ask("keygen p256 key") == ["ok key"], "no key")
    need(first.close() == 0, "the application does not end cleanly")
    seen, kills, failures, load = set(), {0: 0, 1: 0, 2: 0}, 0, Load(cluster)
    until_kill = 1
    while len(seen) < wanted:
        text = load.line()
        if text.startswith("ok r="):
            need(text not in seen, f"r came twice: {text}")
            seen.add(text)
            until_kill -= 1
        elif text:
            need(text.startswith("failed"), text)
            failures += 1
            need(failures < 50 * (1 + sum(kills.values())), f"nothing signs any more: {text}")
        for index in (1, 2):
            if not cluster.running(index):
                cluster.start(index)
        if until_kill <= 0:
            victim = chance.choice((0, 1, 2))
            kills[victim] += 1
            if victim == CLIENT:
                load.kill()
            else:
                cluster.process[victim].kill()
                cluster.process[victim].wait()
            until_kill = chance.randrange(1, max(2, wanted // 12 if wanted < 1000 else 100))
    load.kill()
    load.caller.close()
    for index in (1, 2):
        need(cluster.running(index) or cluster.process[index].returncode == -9, f"participant {index} ended itself")
    print(f"{len(seen)} signatures with {len(seen)} different r; kills: {kills}; refused meanwhile: {failures}")
    return 0


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1]) as made_cluster:
            made_cluster.start_all()
            default = 10000 if os.environ.get("TDSA_TEST_LONG") else 500
            exit_code = main(made_cluster, int(sys.argv[2]) if len(sys.argv) > 2 else default)
    except Problem as problem:
        print(f"FAILED  {problem}")
        exit_code = 1
    sys.exit(exit_code)
