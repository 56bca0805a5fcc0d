#!/usr/bin/env python3
"""SIGKILL at every failpoint of a reshare, in the coordinator and in each other server; then restart.

One epoch stays, it is the same everywhere, it signs, no two signatures share r, and the key can be reshared again.
usage: test_reshare.py BUILD      (BUILD: preset fault)
"""
import hashlib
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, Problem, need, wait_for  # noqa: E402

SERVERS = (0, 1, 2)
SECONDS = 3  # session timeout: a half-made epoch is collected after three of them


class Campaign:
    def __init__(self, cluster):
        self.cluster = cluster
        self.seen = {}  # r -> where it came from
        self.keys = []

    def post(self, index, path, body, seconds=30):
        return self.cluster.call("POST", index, "api", path, body, seconds=seconds)

    def make(self):
        key = f"k{len(self.keys) + 1}"
        status, answer = self.post(0, "/v1/keys:generate", {"keyId": key, "curve": "P-256"})
        need(status == 201, f"key {key}: {status} {answer}")
        self.keys.append(key)
        return key

    def sign(self, index, key, where):
        digest = hashlib.sha256(f"{key} {len(self.seen)}".encode()).hexdigest()
        path = f"/v1/keys/{key}/sign"
        for _ in range(3):  # the session or the stock may be of the process that was killed
            status, answer = self.post(index, path, {"hash": digest, "path": "m/1"})
            if status == 200:
                break
        need(status == 200, f"{where}: key {key} does not sign at {index}: {status} {answer}")
        need(answer["r"] not in self.seen, f"{where} and {self.seen.get(answer['r'])} share r")
        self.seen[answer["r"]] = where

    def epochs(self, key):
        found = []
        for index in SERVERS:
            status, body = self.cluster.get(index, "api", f"/v1/keys/{key}")
            found.append(body["epoch"] if status == 200 and body["state"] == "ACTIVE" else None)
        return found

    def learn(self):
        files = {index: self.cluster.home / f"points{index}" for index in SERVERS}
        for index in SERVERS:
            self.cluster.stop(index)
            self.cluster.start(index, {"TDSA_FAILPOINT_LIST": str(files[index])})
        key = self.make()
        status, answer = self.post(0, f"/v1/keys/{key}/reshare", {})
        need(status == 200, f"the reshare without kills fails: {status} {answer}")
        names = {index: sorted({name for name in files[index].read_text().split() if name.startswith("reshare.")})
                 for index in SERVERS}
        for index in SERVERS:
            self.cluster.stop(index)
            self.cluster.start(index)
        return names

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        key = self.make()
        self.sign(0, key, where)
        self.cluster.stop(index)
        self.cluster.start(index, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        try:
            self.post(0, f"/v1/keys/{key}/reshare", {})
        except (OSError, Problem):
            need(index == 0, f"{where}: the coordinator does not answer")
        wait_for(lambda: not self.cluster.running(index), 10, f"{where}: it still runs")
        code = self.cluster.process[index].returncode
        need(code == -signal.SIGKILL, f"{where}: exit {code}, was not killed")
        self.cluster.start(index)
        wait_for(lambda: len(set(self.epochs(key))) == 1 and None not in self.epochs(key), 40,
                 f"{where}: one epoch, not {self.epochs(key)}")
        for who in SERVERS:
            self.sign(who, key, where)
        print(f"ok      {where}: epoch {self.epochs(key)[0]}", flush=True)

    def all_go_on(self):
        """What was left half made is settled: every key is reshared once more, and signs."""
        time.sleep(5 * SECONDS)
        for key in self.keys:
            before = max(self.epochs(key))

            def done(key=key):
                return self.post(0, f"/v1/keys/{key}/reshare", {})[0] == 200
            wait_for(done, 60, f"key {key} to be reshared again")
            need(self.epochs(key) == [before + 1] * 3, f"key {key}: {self.epochs(key)} after {before}")
            self.sign(2, key, "at the end")


def main(cluster):
    campaign = Campaign(cluster)
    names = campaign.learn()
    need(all(len(points) >= 6 for points in names.values()), f"failpoints are missing: {names}")
    failed = 0
    only = os.environ.get("TDSA_FAULT_ONLY", "").split()
    for index, points in names.items():
        for point in points:
            if only and (str(index) != only[0] or not point.startswith(only[1])):
                continue
            try:
                campaign.kill_at(index, point)
            except Problem as problem:
                failed += 1
                print(f"FAILED  {problem}", flush=True)
                for again in SERVERS:
                    if not cluster.running(again):
                        cluster.start(again)
    campaign.all_go_on()
    print(f"{sum(len(p) for p in names.values())} kills, {len(campaign.keys)} keys, {len(campaign.seen)} signatures, "
          "all r different")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1], "servers", n=3, t=1) as made_cluster:
            for i in SERVERS:
                config = made_cluster.dir / f"participant{i}/config.yml"
                config.write_text(config.read_text().replace("sessionTimeout: 60", f"sessionTimeout: {SECONDS}"))
            made_cluster.start_all()
            exit_code = main(made_cluster)
            made_cluster.keep = exit_code != 0
    except Problem as problem:
        print(f"FAILED  {problem}")
        exit_code = 1
    sys.exit(exit_code)
