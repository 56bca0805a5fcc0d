#!/usr/bin/env python3
"""SIGKILL at every failpoint of a restore, and of the audit records of recovery infos and of backups; then restart.

Nothing is half restored: the same backup is taken again, or the key waits for its refresh. Then it signs everywhere; no presignature
of before the loss is used, no r comes twice, and the audit logs are whole chains. usage: test_restore.py BUILD  (BUILD: preset fault)
"""
import base64
import hashlib
import subprocess
import sys

from rig_fault import SERVERS, Cluster, Problem, check_chain, kill_at_each, learn, need, restart, rig, wait_for, was_killed

POINTS = ("audit.", "restore.", "rollback.")
PASSPHRASE = "a passphrase that nobody knows"
VICTIM = 1


class Campaign:
    def __init__(self, cluster):
        self.cluster = cluster
        self.pem = rig.make_key(cluster, 0, "k")
        self.count = 0
        self.seen = {}  # r -> where it came from

    def post(self, index, path, body):
        try:
            return self.cluster.call("POST", index, "api", path, body, seconds=60)
        except (OSError, Problem):
            return 0, "the participant does not answer"

    def backup(self):
        return self.post(VICTIM, "/v1/keys/k/backup", {"passphrase": PASSPHRASE})

    def restore(self, text):
        return self.post(VICTIM, "/v1/keys:restore", {"backup": text, "passphrase": PASSPHRASE})

    def restore_again(self, text):
        """Peers whose disk is busy may be silent longer than a restore waits for them (503), which changes nothing."""
        for _ in range(5):
            done = self.restore(text)
            if done[0] != 503:
                break
        rig.expect(done, 201)

    def info(self):
        return self.post(VICTIM, "/v1/keys/k/recovery-info", {"local": True})

    def state(self):
        status, body = self.cluster.get(VICTIM, "api", "/v1/keys/k")
        return body["state"] if status == 200 else status

    def lose(self, env=None):
        self.cluster.stop(VICTIM)
        for path in (self.cluster.dir / f"participant{VICTIM}").iterdir():
            if path.is_file() and (path.name.endswith(".db") or ".db-" in path.name):
                path.unlink()
        self.cluster.start(VICTIM, env)

    def sign(self, index, where):
        """A signature of something new; the session or the stock may be of the process that was killed."""
        self.count += 1
        digest = hashlib.sha256(str(self.count).encode()).hexdigest()
        for _ in range(3):
            status, answer = self.post(index, "/v1/keys/k/sign", {"hash": digest})
            if status == 200:
                break
        need(status == 200, f"{where}: it does not sign at {index}: {status} {answer}")
        need(answer["r"] not in self.seen, f"{where} and {self.seen.get(answer['r'])} share r")
        self.seen[answer["r"]] = where

    def whole_life(self):
        rig.expect(self.info(), 200)
        text = rig.expect(self.backup(), 200)["backup"]
        self.lose({"TDSA_FAILPOINT_LIST": str(self.cluster.home / f"points{VICTIM}")})
        rig.expect(self.restore(text), 201)
        wait_for(lambda: self.state() == "ACTIVE", 60, "the refresh")

    def settle(self, where, text=None):
        """After the restart: the key is there, or is restored; then all sign."""
        if self.state() == 404:
            need(text is not None, f"{where}: the key is lost")
            self.restore_again(text)
        wait_for(lambda: self.state() == "ACTIVE", 60, f"{where}: the refresh, not {self.state()}")
        for index in SERVERS:
            self.sign(index, where)
        for log in SERVERS:
            check_chain(self.cluster.home / f"audit{log}.log")
        print(f"ok      {where}", flush=True)

    def kill_in_a_restore(self, point):
        where = f"killed at {point} of a restore"
        rig.expect(self.post(0, "/v1/keys/k/presignatures", {"count": 64}), 200)  # with the one that loses its database
        text = rig.expect(self.backup(), 200)["backup"]
        self.lose({"TDSA_FAILPOINT_KILL": f"{point}:1"})
        need(self.restore(text)[0] != 201, f"{where}: it was restored")
        was_killed(self.cluster, VICTIM, where)
        need(self.state() in ((404,) if point != "restore.after_share" else ("RESTORED", "ACTIVE")), f"{where}: {self.state()}")
        self.settle(where, text)

    def kill_in_a_record(self, point, what, ask):
        where = f"killed at {point} of {what}"
        restart(self.cluster, VICTIM, {"TDSA_FAILPOINT_KILL": f"{point}:1"})
        need(ask()[0] != 200, f"{where}: it came out")
        was_killed(self.cluster, VICTIM, where)
        rig.expect(ask(), 200)
        self.settle(where)

    def kill_at(self, index, point):
        if index != VICTIM:
            return
        self.kill_in_a_restore(point)
        if point.startswith("audit."):
            self.kill_in_a_record(point, "a recovery info", self.info)
            self.kill_in_a_record(point, "a backup", self.backup)


def main(cluster):
    campaign = Campaign(cluster)
    names = learn(cluster, POINTS, campaign.whole_life)
    need({"restore.before_purge", "restore.before_share", "restore.after_share", "audit.before_write", "audit.after_write",
          "audit.before_head"} <= set(names[VICTIM]), f"failpoints are missing: {names}")
    return kill_at_each(cluster, names, campaign.kill_at)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with Cluster(sys.argv[1], "servers") as three:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", three.home / "ers.key", "-out",
                        three.home / "ers.der", "-outform", "der", "-days", "30", "-subj", "/CN=ers"], check=True, capture_output=True)
        der = base64.urlsafe_b64encode((three.home / "ers.der").read_bytes()).rstrip(b"=").decode()
        for participant in SERVERS:
            rig.use_aesgcm(three, participant, f"secret of {participant}")
            rig.change(three, participant, "sessionTimeout: 60", f"sessionTimeout: 5\n  ersCertificates: [{der}]\n"
                       f"  auditLog: {three.home}/audit{participant}.log")
        three.start_all()
        exit_code = main(three)
        three.keep = exit_code != 0
    sys.exit(exit_code)
