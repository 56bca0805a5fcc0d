#!/usr/bin/env python3
"""SIGKILL at every failpoint of an import and of its audit record, in the dealer and in each other server; then restart.

The key is ACTIVE everywhere and signs under its old public key, or it is nowhere; the audit logs are whole chains.
usage: test_import.py BUILD      (BUILD: preset fault)
"""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "e2e/service"))
import rig  # noqa: E402
from cluster import Cluster, Problem, need, wait_for  # noqa: E402

SERVERS = (0, 1, 2)
SECONDS = 3  # session timeout: a half-made key is collected after three of them
POINTS = ("audit.", "keygen.")
GONE = {"REGISTERED", 404, 410}


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


def check_chain(path):
    """Every line is a record that continues the one before, or is named by the audit.torn after it."""
    last, torn = None, None
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            torn = line if torn is None else torn + b"\n" + line
            continue
        hashed = line.partition(b',"hash":')[0]
        need(record["hash"] == hashlib.sha256(hashed).hexdigest(), f"{path}: hash of {record}")
        need(last is None or (record["seq"], record["prev"]) == (last["seq"] + 1, last["hash"]), f"{path}: {record}")
        if torn is not None:
            need(record["event"] == "audit.torn" and hashlib.sha256(torn).hexdigest() in record["detail"], f"{path}: {torn}")
            torn = None
        last = record


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

    def learn(self):
        files = {index: self.cluster.home / f"points{index}" for index in SERVERS}
        for index in SERVERS:
            self.cluster.stop(index)
            self.cluster.start(index, {"TDSA_FAILPOINT_LIST": str(files[index])})
        _, _, status, answer = self.load()
        need(status == 201, f"the import without kills fails: {status} {answer}")
        for index in SERVERS:
            self.cluster.stop(index)
            self.cluster.start(index)
        return {index: sorted({p for p in files[index].read_text().split() if p.startswith(POINTS)}) for index in SERVERS}

    def states(self, key):
        found = [self.cluster.get(index, "api", f"/v1/keys/{key}") for index in SERVERS]
        return {body["state"] if status == 200 else status for status, body in found}

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        self.cluster.stop(index)
        self.cluster.start(index, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        key, pem, status, _ = self.load()
        wait_for(lambda: not self.cluster.running(index), 10, f"{where}: it still runs")
        need(self.cluster.process[index].returncode == -signal.SIGKILL, f"{where}: it was not killed")
        self.cluster.start(index)
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
    names = campaign.learn()
    need(all(len(points) >= 7 for points in names.values()), f"failpoints are missing: {names}")
    failed = 0
    only = os.environ.get("TDSA_FAULT_ONLY", "").split()
    for index, points in names.items():
        if index == SERVERS[-1] and not os.environ.get("TDSA_TEST_LONG"):
            continue  # it does what the one before it does
        for point in points:
            if only and (str(index) != only[0] or not point.startswith(only[1])):
                continue
            try:
                campaign.kill_at(index, point)
            except Problem as problem:
                failed += 1
                print(f"FAILED  {problem}", flush=True)
                if not cluster.running(index):
                    cluster.start(index)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with Cluster(sys.argv[1], "servers") as three:
        for participant in SERVERS:
            rig.use_aesgcm(three, participant, f"secret of {participant}")
            rig.change(three, participant, "sessionTimeout: 60",
                       f"sessionTimeout: {SECONDS}\n  importKeys: true\n  auditLog: {three.home}/audit{participant}.log")
        three.start_all()
        sys.exit(main(three))
