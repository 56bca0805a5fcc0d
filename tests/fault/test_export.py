#!/usr/bin/env python3
"""SIGKILL at every failpoint of an export and of its audit record, in the coordinator and in each other server; then restart.

Nothing comes out, an approval that was used up before the kill stays used up, the key signs, and a new approval of all exports.
usage: test_export.py BUILD      (BUILD: preset fault)
"""
import base64
import hashlib
import os
import pathlib
import signal
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "e2e/service"))
sys.path.insert(0, str(TESTS / "fault"))  # both have a test_import
import rig  # noqa: E402
from cluster import Cluster, Problem, need, wait_for  # noqa: E402
from test_import import check_chain  # noqa: E402

SERVERS = (0, 1, 2)
SECONDS = 3  # session timeout
POINTS = ("audit.", "export.")


class Campaign:
    def __init__(self, cluster, certificate):
        self.cluster = cluster
        self.certificate = certificate
        self.pem = rig.make_key(cluster, 0, "k", exportable=True)

    def post(self, index, what):
        try:
            return self.cluster.call("POST", index, "api", f"/v1/keys/k/{what}", {"certificate": self.certificate})
        except (OSError, Problem):
            return 0, "the coordinator does not answer"

    def approve(self, *who):
        for index in who:
            rig.expect(self.post(index, "export-approvals"), 201)

    def restart(self, index, env=None):
        self.cluster.stop(index)
        self.cluster.start(index, env)

    def learn(self):
        files = {index: self.cluster.home / f"points{index}" for index in SERVERS}
        self.approve(*SERVERS)
        for index in SERVERS:
            self.restart(index, {"TDSA_FAILPOINT_LIST": str(files[index])})
        rig.expect(self.post(0, "export"), 200)
        for index in SERVERS:
            self.restart(index)
        return {index: sorted({p for p in files[index].read_text().split() if p.startswith(POINTS)}) for index in SERVERS}

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        self.approve(*SERVERS)
        self.restart(index, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        status, _ = self.post(0, "export")
        need(status != 200, f"{where}: the key came out")
        wait_for(lambda: not self.cluster.running(index), 10, f"{where}: it still runs")
        need(self.cluster.process[index].returncode == -signal.SIGKILL, f"{where}: it was not killed")
        self.cluster.start(index)
        self.cluster.wait_ready(index)
        self.approve(*(who for who in SERVERS if who != index))
        status, answer = self.post(0, "export")
        if point == "export.before_used":
            need(status == 200, f"{where}: the approval is gone: {answer}")
        else:
            need(status == 403 and f"NOT_APPROVED: participant {index}" in answer["message"], f"{where}: {status} {answer}")
        self.approve(*SERVERS)
        rig.expect(self.post(0, "export"), 200)
        answer = rig.sign(self.cluster, 0, "k")
        rig.verify(self.cluster.home, self.pem, rig.expect(answer, 200)["signature"])
        for log in SERVERS:
            check_chain(self.cluster.home / f"audit{log}.log")
        print(f"ok      {where}", flush=True)


def main(cluster, certificate):
    campaign = Campaign(cluster, certificate)
    names = campaign.learn()
    need(all({"export.before_used", "export.after_used"} <= set(points) for points in names.values()), f"missing: {names}")
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
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", three.home / "export.key", "-out",
                        three.home / "export.der", "-outform", "der", "-days", "30", "-subj", "/CN=export"], check=True,
                       capture_output=True)
        der = (three.home / "export.der").read_bytes()
        text = base64.urlsafe_b64encode(der).rstrip(b"=").decode()
        for participant in SERVERS:
            rig.use_aesgcm(three, participant, f"secret of {participant}")
            rig.change(three, participant, "sessionTimeout: 60", f"sessionTimeout: {SECONDS}\n  exportCertificates: [{text}]\n"
                       f"  auditLog: {three.home}/audit{participant}.log")
        three.start_all()
        sys.exit(main(three, hashlib.sha256(der).hexdigest()))
