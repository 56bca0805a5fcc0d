#!/usr/bin/env python3
"""SIGKILL at every failpoint of register, keygen, presign and sign, in each process; then restart.

Every key that is listed signs, no half-made key is listed, no two signatures share r.
usage: test_failpoints.py BUILD      (BUILD: preset fault; TDSA_TEST_LONG=1 also kills at the second hit)
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Caller, Cluster, Problem, need, wait_for  # noqa: E402

CLIENT = 0
SIGNATURES = 3


class Campaign:
    def __init__(self, cluster):
        self.cluster = cluster
        self.seen = {}  # r -> where it came from
        self.number = 0

    def env(self, name, value):
        return {name: str(value)}

    def restart(self, index, env=None):
        if self.cluster.running(index):
            self.cluster.stop(index)
        self.cluster.start(index, env)

    def take(self, lines, where):
        """Remembers every r; a repeated one is the end of the key."""
        good = 0
        for line in lines:
            need(not line.startswith("WRONG"), f"{where}: {line}")
            if line.startswith("ok r="):
                need(line not in self.seen, f"{where} and {self.seen.get(line)} share {line}")
                self.seen[line] = where
                good += 1
        return good

    def whole_run(self, env):
        """Register, keygen, presign and sign in one application; what is killed is killed."""
        self.number += 1
        label = f"k{self.number}"
        caller = Caller(self.cluster, env)
        made = caller.ready and caller.ask(f"keygen p256 {label}")
        made = bool(made) and made[0].startswith("ok")
        if made:
            self.take(caller.ask(f"sign {label} {SIGNATURES}", SIGNATURES), label)
        code = caller.close()
        return label, made, code

    def learn(self):
        """Names of the failpoints that each process passes."""
        names = {}
        files = {index: self.cluster.home / f"points{index}" for index in (0, 1, 2)}
        for index in (1, 2):
            self.restart(index, self.env("TDSA_FAILPOINT_LIST", files[index]))
        _, made, code = self.whole_run(self.env("TDSA_FAILPOINT_LIST", files[CLIENT]))
        need(made and code == 0, f"the run without kills fails: exit {code}")
        for index in (0, 1, 2):
            text = files[index].read_text() if files[index].exists() else ""
            # a database is migrated once in its life, and gets its data key: test_migrations.py and
            # test_rotation.py kill there
            names[index] = {name: text.split().count(name) for name in sorted(set(text.split()))
                            if not name.startswith(("migrate.", "data_key."))}
            self.restart(index) if index != CLIENT else None
        return names

    def active_at(self, index):
        status, answer = self.cluster.get(index, "api", "/v1/keys?limit=1000")
        need(status == 200, f"participant {index} does not list: {status} {answer}")
        return {key["label"] for key in answer["keys"]}

    def check(self, where, labels):
        """After the restart: what anybody calls ACTIVE signs; the client lists no more than signs."""
        caller = Caller(self.cluster)
        need(caller.ready, f"{where}: the application does not start again")
        listed = set(caller.ask("list")[0].split()[1:])
        active = self.active_at(1) | self.active_at(2)
        for label in sorted((active | listed) & labels):
            signed = []
            for _ in range(3):
                signed = caller.ask(f"sign {label} 1")
                if signed and signed[0].startswith("ok"):
                    break
                # the servers may have settled the key after this login: only the next one asks again
                need(caller.close() == 0, f"{where}: the application does not end cleanly")
                caller = Caller(self.cluster)
            need(self.take(signed, where) == 1,
                 f"{where}: key {label} does not sign: {signed} (client lists it: {label in listed}, "
                 f"servers have it active: {label in active})")
        need(caller.close() == 0, f"{where}: the application does not end cleanly")
        return listed

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        env = self.env("TDSA_FAILPOINT_KILL", point)
        if index == CLIENT:
            label, _, code = self.whole_run(env)
            need(code == -9, f"{where}: exit {code}, was not killed")
        else:
            self.restart(index, env)
            label, _, code = self.whole_run({})
            need(code == 0, f"{where}: the application ended with {code}")
            wait_for(lambda: not self.cluster.running(index), 10, f"{where}: it still runs")
            code = self.cluster.process[index].returncode
            need(code == -9, f"{where}: exit {code}, was not killed")
            self.cluster.start(index)
        self.check(where, {label, "k1"})
        print(f"ok      {where}", flush=True)


def main(cluster):
    campaign = Campaign(cluster)
    names = campaign.learn()
    need(all(names[index] for index in names), f"some process passes no failpoint: {names}")
    failed = 0
    only = os.environ.get("TDSA_FAULT_ONLY", "").split()  # "2 presign": one participant, points that start so
    for index, points in names.items():
        for point, hits in points.items():
            if only and (str(index) != only[0] or not point.startswith(only[1])):
                continue
            for hit in (1, 2) if os.environ.get("TDSA_TEST_LONG") and hits > 1 else (1,):
                try:
                    campaign.kill_at(index, f"{point}:{hit}")
                except Problem as problem:
                    failed += 1
                    print(f"FAILED  {problem}", flush=True)
                    for again in (1, 2):
                        if not cluster.running(again):
                            cluster.start(again)
    listed = campaign.check("at the end", {f"k{n}" for n in range(1, campaign.number + 1)})
    print(f"{sum(len(p) for p in names.values())} failpoints, {len(listed)} keys, "
          f"{len(campaign.seen)} signatures, all r different")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1]) as made_cluster:
            made_cluster.start_all()
            exit_code = main(made_cluster)
            made_cluster.keep = exit_code != 0
    except Problem as problem:
        print(f"FAILED  {problem}")
        exit_code = 1
    sys.exit(exit_code)
