#!/usr/bin/env python3
"""Database files of daemons are copied, used, and put back: one, two, all of three. usage: test_rollback.py BUILD"""
import hashlib
import shutil
import sys
import time

import rig
from rig import expect, make_key
from cluster import Cluster, need, run_facts, wait_for

DETECTED = "com.sepior.tdsa.ROLLBACK.DETECTED"


def main(build):
    failed = 0
    for files in (False, True):
        with Cluster(build, "servers") as cluster:
            for index in cluster.servers:
                rig.use_aesgcm(cluster, index, f"secret of {index}")
                if files:
                    rig.change(cluster, index, "  storageConfiguration:",
                               f"  storageConfiguration:\n    counterFile: {cluster.home}/counter{index}")
            cluster.start_all()
            failed += run_facts(facts_of(cluster, files))
    return failed


def der_r(signature_hex):
    der = bytes.fromhex(signature_hex)
    need(der[0] == 0x30 and der[2] == 2, f"no DER signature: {signature_hex}")
    return int.from_bytes(der[4:4 + der[3]], "big")


def database(cluster, index):
    """The files of a participant's database."""
    return [p for p in (cluster.dir / f"participant{index}").iterdir()
            if p.is_file() and (p.name.endswith(".db") or ".db-" in p.name)]


def facts_of(cluster, files):
    seen = set()
    count = [0]
    make_key(cluster, 0, "k")

    def signs(index):
        """A signature of something new; no signature repeats r."""
        count[0] += 1
        digest = hashlib.sha256(str(count[0]).encode()).hexdigest()
        body = expect(cluster.call("POST", index, "api", "/v1/keys/k/sign", {"hash": digest}), 200)
        r = der_r(body["signature"])
        need(r not in seen, f"signature {count[0]} repeats r")
        seen.add(r)

    def detected(index):
        return expect(cluster.get(index, "admin", "/metrics"), 200)["counters"][DETECTED]["count"]

    def copy(indices):
        """A stopped copy of the databases."""
        for index in indices:
            cluster.stop(index)
            folder = cluster.home / f"copy{index}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in database(cluster, index):
                shutil.copy2(path, folder / path.name)
        for index in indices:
            cluster.start(index)

    def put_back(indices):
        for index in indices:
            cluster.stop(index)
            for path in database(cluster, index):
                path.unlink()
            for path in (cluster.home / f"copy{index}").iterdir():
                shutil.copy2(path, cluster.dir / f"participant{index}" / path.name)
        for index in indices:
            cluster.start(index)
        for index in cluster.servers:
            cluster.wait_ready(index)

    def restore(indices):
        """Copy, use, put back: whoever was put back says so, and the service signs by itself."""
        copy(indices)
        for i in range(6):
            signs(i % 3)
        time.sleep(1.2)  # peers keep what they heard with a delay of a second
        others = {index: detected(index) for index in set(cluster.servers) - set(indices)}
        put_back(indices)
        for i in range(6):
            signs(i % 3)
        for index in indices:
            wait_for(lambda at=index: detected(at) == 1, 20, f"participant {index} to notice")
            need("ROLLBACK_DETECTED" in cluster.log(index), f"participant {index} does not say so")
        for index, before in others.items():
            need(detected(index) == before, f"participant {index} was not put back")

    def one_participant_put_back_notices():
        for index in (0, 1, 2, 0, 1, 2):
            restore([index])

    def two_participants_put_back_notice():
        for left in (0, 1, 2, 0, 1, 2):
            restore([index for index in cluster.servers if index != left])

    def all_participants_put_back_notice_by_their_files():
        for _ in range(8):
            restore(cluster.servers)

    def a_database_without_its_file_does_not_start():
        cluster.stop(1)
        path = cluster.home / "counter1"
        saved = path.read_bytes()
        path.unlink()
        cluster.start(1, wait=False)
        wait_for(lambda: not cluster.running(1), 20, "participant 1 to give up")
        need("make an empty file there" in cluster.log(1), "it does not say what to do")
        path.write_bytes(b"")
        cluster.start(1)
        cluster.wait_ready(1)
        signs(1)
        need(path.read_bytes()[:10] == saved[:10], "the file is not written again")

    def who_stopped_did_not_wait_for_runs_that_nobody_ends():
        """Restarted peers leave runs behind; a daemon that stops gives them up."""
        for index in cluster.servers:
            need("shutdownGracePeriod is over" not in cluster.log(index), f"participant {index} waited for the whole grace period")

    if files:
        return [all_participants_put_back_notice_by_their_files, a_database_without_its_file_does_not_start]
    return [one_participant_put_back_notices, two_participants_put_back_notice,
            who_stopped_did_not_wait_for_runs_that_nobody_ends]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
