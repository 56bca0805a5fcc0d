#!/usr/bin/env python3
"""SIGKILL at every failpoint of an import and of its audit record, in the dealer and in each other server; then restart.

The key is ACTIVE everywhere and signs under its old public key, or it is nowhere; the audit logs are whole chains.
usage: test_import.py BUILD      (BUILD: preset fault)
"""
import subprocess
import sys

from rig_fault import SERVERS, Cluster, Problem, check_chain, kill_at_each, learn, need, restart, rig, wait_for, was_killed

SECONDS = 3  # session timeout: a half-made key is collected after three of them
POINTS = ("audit.", "keygen.")
GONE = {"REGISTERED", 404, 410}


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


class Campaign:
    def __init__(self, cluster):
        self.cluster = cluster
        self.number = 0

    def load(self):
        self.number += 1
        key = f"k{self.number}"
        pem = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        try:
            status, answer = self.cluster.call("POST", 0, "api", "/v1/keys:import",
                                               {"keyId": key, "derivation": "none", "privateKey": pem.decode()})
        except (OSError, Problem):
            status, answer = 0, "the dealer does not answer"
        return key, openssl("pkey", "-pubout", data=pem).decode(), status, answer

    def load_ok(self):
        _, _, status, answer = self.load()
        need(status == 201, f"the import without kills fails: {status} {answer}")

    def states(self, key):
        found = [self.cluster.get(index, "api", f"/v1/keys/{key}") for index in SERVERS]
        return {body["state"] if status == 200 else status for status, body in found}

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        restart(self.cluster, index, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        key, pem, status, _ = self.load()
        was_killed(self.cluster, index, where)
        wait_for(lambda: self.states(key) == {"ACTIVE"} or self.states(key) <= GONE, 60,
                 f"{where}: one state, not {self.states(key)}")
        alive = self.states(key) == {"ACTIVE"}
        need(alive or status != 201, f"{where}: a key that was shown is gone")
        for who in SERVERS if alive else ():
            answer = rig.sign(self.cluster, who, key)
            answer = answer if answer[0] == 200 else rig.sign(self.cluster, who, key)
            rig.verify(self.cluster.home, pem, rig.expect(answer, 200)["signature"])
        for log in SERVERS:
            check_chain(self.cluster.home / f"audit{log}.log")
        print(f"ok      {where}: {'the key' if alive else 'nothing'}", flush=True)


def main(cluster):
    campaign = Campaign(cluster)
    names = learn(cluster, POINTS, campaign.load_ok)
    need(all(len(points) >= 7 for points in names.values()), f"failpoints are missing: {names}")
    return kill_at_each(cluster, names, campaign.kill_at)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with Cluster(sys.argv[1], "servers") as three:
        for participant in SERVERS:
            rig.use_aesgcm(three, participant, f"secret of {participant}")
            rig.change(three, participant, "sessionTimeout: 60",
                       f"sessionTimeout: {SECONDS}\n  importKeys: true\n  auditLog: {three.home}/audit{participant}.log")
        three.start_all()
        exit_code = main(three)
        three.keep = exit_code != 0
    sys.exit(exit_code)
