"""What tests of kills share: which failpoints each server passes, a kill at each of them, chains of audit logs."""
import hashlib
import json
import os
import pathlib
import signal
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "e2e/service"))
import rig  # noqa: E402,F401
from cluster import Cluster, Problem, need, run_facts, wait_for  # noqa: E402,F401

SERVERS = (0, 1, 2)


def restart(cluster, index, env=None):
    if cluster.running(index):
        cluster.stop(index)
    cluster.start(index, env)


def learn(cluster, prefixes, act):
    """The failpoints, of those that begin so, that each server passes while act() is done."""
    files = {index: cluster.home / f"points{index}" for index in SERVERS}
    for index in SERVERS:
        restart(cluster, index, {"TDSA_FAILPOINT_LIST": str(files[index])})
    act()
    for index in SERVERS:
        restart(cluster, index)
    return {index: sorted({p for p in files[index].read_text().split() if p.startswith(prefixes)}) for index in SERVERS}


def was_killed(cluster, index, where):
    """The server has died of its failpoint; it is started again."""
    wait_for(lambda: not cluster.running(index), 10, f"{where}: it still runs")
    need(cluster.process[index].returncode == -signal.SIGKILL, f"{where}: it was not killed")
    cluster.start(index)


def kill_at_each(cluster, names, kill_at):
    """kill_at(index, point) for each point of each server; the last server does what the one before it does, and has its
    turn with TDSA_TEST_LONG=1. TDSA_FAULT_ONLY="1 keygen." does a part. Gives the exit code."""
    failed = 0
    only = os.environ.get("TDSA_FAULT_ONLY", "").split()
    for index, points in names.items():
        if index == SERVERS[-1] and not os.environ.get("TDSA_TEST_LONG"):
            continue
        for point in points:
            if only and (str(index) != only[0] or not point.startswith(only[1])):
                continue
            try:
                kill_at(index, point)
            except Problem as problem:
                failed += 1
                print(f"FAILED  {problem}", flush=True)
                if not cluster.running(index):
                    cluster.start(index)
    return 1 if failed else 0


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
