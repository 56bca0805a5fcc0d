#!/usr/bin/env python3
"""SIGKILL at every failpoint of an export and of its audit record, in the coordinator and in each other server; then restart.

Nothing comes out, an approval that was used up before the kill stays used up, the key signs, and a new approval of all exports.
usage: test_export.py BUILD      (BUILD: preset fault)
"""
import base64
import hashlib
import subprocess
import sys

from rig_fault import SERVERS, Cluster, Problem, check_chain, kill_at_each, learn, need, restart, rig, was_killed

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

    def export_ok(self):
        rig.expect(self.post(0, "export"), 200)

    def kill_at(self, index, point):
        where = f"participant {index} killed at {point}"
        self.approve(*SERVERS)
        restart(self.cluster, index, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        status, _ = self.post(0, "export")
        need(status != 200, f"{where}: the key came out")
        was_killed(self.cluster, index, where)
        self.cluster.wait_ready(index)
        self.approve(*(who for who in SERVERS if who != index))
        status, answer = self.post(0, "export")
        if point == "export.before_used":
            need(status == 200, f"{where}: the approval is gone: {answer}")
        else:
            need(status == 403 and f"NOT_APPROVED: participant {index}" in answer["message"], f"{where}: {status} {answer}")
        self.approve(*SERVERS)
        self.export_ok()
        answer = rig.sign(self.cluster, 0, "k")
        rig.verify(self.cluster.home, self.pem, rig.expect(answer, 200)["signature"])
        for log in SERVERS:
            check_chain(self.cluster.home / f"audit{log}.log")
        print(f"ok      {where}", flush=True)


def main(cluster, certificate):
    campaign = Campaign(cluster, certificate)
    campaign.approve(*SERVERS)
    names = learn(cluster, POINTS, campaign.export_ok)
    need(all({"export.before_used", "export.after_used"} <= set(points) for points in names.values()), f"missing: {names}")
    return kill_at_each(cluster, names, campaign.kill_at)


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
        exit_code = main(three, hashlib.sha256(der).hexdigest())
        three.keep = exit_code != 0
    sys.exit(exit_code)
