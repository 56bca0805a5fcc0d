#!/usr/bin/env python3
"""SIGKILL at every failpoint of a deletion and of its undoing, in who ordered it and in another; then restart.

A key that is brought back is ACTIVE everywhere and signs; one that is not is gone everywhere. What was acknowledged
holds without asking again. usage: test_deletion.py BUILD      (BUILD: preset fault)
"""
import hashlib
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from cluster import Cluster, Problem, need, wait_for  # noqa: E402

SERVERS = (0, 1, 2)
GRACE = 3


class Campaign:
    def __init__(self, cluster):
        self.cluster = cluster
        self.count = 0

    def call(self, method, index, path, body=None):
        try:
            return self.cluster.call(method, index, "api", path, body, seconds=30)
        except (OSError, ValueError):
            return None, None  # it was killed meanwhile

    def make(self):
        self.count += 1
        key = f"k{self.count}"
        status, answer = self.call("POST", 0, "/v1/keys:generate", {"keyId": key, "curve": "P-256"})
        need(status == 201, f"key {key}: {status} {answer}")
        return key

    def state(self, index, key):
        status, body = self.cluster.get(index, "api", f"/v1/keys/{key}")
        return "DELETED" if status == 410 else body["state"] if status == 200 else status

    def states(self, key):
        return [self.state(index, key) for index in SERVERS]

    def at_one_end(self, key):
        states = self.states(key)
        return len(set(states)) == 1 and states[0] in ("ACTIVE", "DELETED")

    def life(self, undo):
        """Deletes a new key, and undoes it; what is killed is killed."""
        key = self.make()
        self.call("DELETE", 0, f"/v1/keys/{key}" + ("?graceSeconds=3600" if undo else ""))
        undone = undo and self.call("POST", 0, f"/v1/keys/{key}/undelete", {})[0] == 200
        return key, undone

    def restart(self, index, env=None):
        if self.cluster.running(index):
            self.cluster.stop(index)
        self.cluster.start(index, env)

    def learn(self, index):
        file = self.cluster.home / f"points{index}"
        self.restart(index, {"TDSA_FAILPOINT_LIST": str(file)})
        for undo in (True, False):
            key, _ = self.life(undo)
            wait_for(lambda: self.at_one_end(key), 60, f"{key} at one end")
        self.restart(index)
        names = [name for name in file.read_text().split() if name.startswith("delete.")]
        return {name: names.count(name) for name in sorted(set(names))}

    def brought_back(self, key):
        """Undoes what was ordered, or finds that nothing was."""
        status, _ = self.call("POST", 1, f"/v1/keys/{key}/undelete", {})
        return status == 200 or (status == 409 and self.states(key) == ["ACTIVE"] * 3)

    def settle(self, where, key, undo, undone):
        if undone:
            wait_for(lambda: self.states(key) == ["ACTIVE"] * 3, 90, f"{where}: undone, not {self.states(key)}")
        elif undo:
            wait_for(lambda: self.brought_back(key), 90, f"{where}: brought back, not {self.states(key)}")
        else:
            self.call("DELETE", 1, f"/v1/keys/{key}")
        wait_for(lambda: self.at_one_end(key), 90, f"{where}: one end, not {self.states(key)}")
        state = self.state(0, key)
        need(state == ("ACTIVE" if undo else "DELETED"), f"{where}: {state}")
        if state == "ACTIVE":
            digest = hashlib.sha256(key.encode()).hexdigest()
            for index in SERVERS:
                for _ in range(3):  # the session may be of the process that was killed
                    status, answer = self.call("POST", index, f"/v1/keys/{key}/sign", {"hash": digest, "path": "m/1"})
                    if status == 200:
                        break
                need(status == 200, f"{where}: key {key} does not sign at {index}: {status} {answer}")

    def kill_at(self, index, point, hit, undo):
        where = f"participant {index} killed at {point}:{hit}, {'undone' if undo else 'deleted'}"
        self.restart(index, {"TDSA_FAILPOINT_KILL": f"{point}:{hit}"})
        key, undone = self.life(undo)
        if not undo:
            wait_for(lambda: not self.cluster.running(index) or self.state(index, key) == "DELETED", 60, where)
        if self.cluster.running(index):
            print(f"not reached  {where}", flush=True)
        else:
            code = self.cluster.process[index].returncode
            need(code == -signal.SIGKILL, f"{where}: exit {code}")
        self.restart(index)
        self.settle(where, key, undo, undone)
        print(f"ok      {where}", flush=True)


def main(cluster):
    campaign = Campaign(cluster)
    failed = 0
    for index in (0, 1):
        points = campaign.learn(index)
        need(len(points) == 4, f"points of participant {index}: {points}")
        for point, hits in points.items():
            for undo, hit in [(True, hit) for hit in range(1, 4)] + [(False, 1)]:
                if hit > hits or (undo and point.endswith("wipe")):
                    continue
                try:
                    campaign.kill_at(index, point, hit, undo)
                except Problem as problem:
                    failed += 1
                    print(f"FAILED  {problem}", flush=True)
                    for again in SERVERS:
                        if not cluster.running(again):
                            cluster.start(again)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1], "servers") as made_cluster:
            for number in SERVERS:
                path = made_cluster.dir / f"participant{number}/config.yml"
                path.write_text(path.read_text().replace("tdsaLibrary:\n", f"tdsaLibrary:\n  deletionGracePeriod: {GRACE}s\n", 1))
            made_cluster.start_all()
            exit_code = main(made_cluster)
            made_cluster.keep = exit_code != 0
    except Problem as problem:
        print(f"FAILED  {problem}")
        exit_code = 1
    sys.exit(exit_code)
