#!/usr/bin/env python3
"""Three daemons that run: what key generation, presigning and stored presignatures cost them.

usage: bench_daemons.py CLUSTER quick|full     prints lines "name value", names as in README.md

CLUSTER is a folder of examples/lib/cluster.sh with three servers. CPU time is that of the
process clocks, exchanges are the requests that the protocol ports answered.
"""
import json
import os
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request

PARTICIPANTS = 3
# name, curve and scheme of the API, presignatures of a quick and of a full run
SUBJECTS = [
    ("p256", "P-256", None, 10000, 40000),
    ("secp256k1", "secp256k1", None, 5000, 20000),
    ("p384", "P-384", None, 1000, 3000),
    ("p521", "P-521", None, 1000, 2000),
    ("ed25519", "Ed25519", None, 2000, 8000),
    ("bip340", "secp256k1", "bip340", 3000, 10000),
]
BATCH = 1000
KEYS_CACHED = 256  # PART_KEYS_CACHED_MAX: the share of a key used longer ago is in the database only


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "ports"), encoding="ascii") as f:
            self.ports = [[int(p) for p in line.split()] for line in f]
        self.pids = []
        for i in range(PARTICIPANTS):
            with open(os.path.join(folder, f"participant{i}", "pid"), encoding="ascii") as f:
                self.pids.append(int(f.read()))

    def call(self, path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[0][1]}{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError as e:
            sys.exit(f"error: POST {path}: {e.code} {e.read().decode(errors='replace')}")

    def cpu_us(self):
        """CPU time of all daemons since they started, in microseconds."""
        # clock_getcpuclockid(3): of a process and all threads it ever had, in nanoseconds
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids) * 1e6

    def resident_bytes(self):
        """Anonymous memory of daemon 0, which coordinates."""
        with open(f"/proc/{self.pids[0]}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return sys.exit("error: no RssAnon in /proc/PID/status")

    def metric(self, kind, name):
        """Sum over the daemons of the count of one metric."""
        total = 0
        for ports in self.ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[2]}/metrics", timeout=10) as answer:
                total += json.load(answer)[kind][name]["count"]
        return total

    def exchanges(self):
        return self.metric("timers", "com.sepior.tdsaservice.protocol.round")

    def commits(self):
        return self.metric("counters", "com.sepior.tdsa.db.commits")


def show(name, value):
    print(f"{name} {value:.3f}", flush=True)


def make_key(cluster, key_id, curve, scheme):
    register(cluster, key_id, curve, scheme)
    cluster.call(f"/v1/keys/{key_id}/share", {})


def register(cluster, key_id, curve, scheme):
    body = {"keyId": key_id, "curve": curve, "derivation": "none"}
    if scheme:
        body["scheme"] = scheme
    cluster.call("/v1/keys", body)


def measure_keygen(cluster, name, curve, scheme, count):
    times = []
    make_key(cluster, f"warm-{name}", curve, scheme)
    for i in range(count):
        register(cluster, f"{name}-{i}", curve, scheme)
    cpu, exchanges, commits = cluster.cpu_us(), cluster.exchanges(), cluster.commits()
    for i in range(count):
        begin = time.monotonic()
        cluster.call(f"/v1/keys/{name}-{i}/share", {})
        times.append(time.monotonic() - begin)
    show(f"keygen.{name}.cpu_ms_per_participant",
         (cluster.cpu_us() - cpu) / 1e3 / PARTICIPANTS / count)
    show(f"keygen.{name}.daemons.p50_ms", sorted(times)[count // 2] * 1e3)
    pairs = PARTICIPANTS * (PARTICIPANTS - 1) / 2
    if name == "p256":
        show("keygen.exchanges_per_pair", (cluster.exchanges() - exchanges) / pairs / count)
        show("keygen.commits_per_participant", (cluster.commits() - commits) / PARTICIPANTS / count)


def measure_presign(cluster, name, curve, scheme, count):
    key = f"presign-{name}"
    make_key(cluster, key, curve, scheme)
    path = f"/v1/keys/{key}/presignatures"
    cluster.call(path, {"count": 256})
    cpu, commits, begin = cluster.cpu_us(), cluster.commits(), time.monotonic()
    for _ in range(count // BATCH):
        cluster.call(path, {"count": BATCH})
    seconds, cpu = time.monotonic() - begin, cluster.cpu_us() - cpu
    show(f"presign.{name}.per_second", count / seconds)
    show(f"presign.{name}.cpu_us_per_participant", cpu / PARTICIPANTS / count)
    show(f"presign.{name}.cores_used", cpu / 1e6 / seconds)
    if name == "p256":
        show("presign.commits_per_batch",
             (cluster.commits() - commits) / PARTICIPANTS / (count / BATCH))


def measure_two_clients(cluster, count):
    """Batches of two keys at once: what the machine gives when no participant waits for another."""
    for i in range(2):
        make_key(cluster, f"pair-{i}", "P-256", None)
        cluster.call(f"/v1/keys/pair-{i}/presignatures", {"count": 256})

    def client(i):
        for _ in range(count // BATCH // 2):
            cluster.call(f"/v1/keys/pair-{i}/presignatures", {"count": BATCH})

    threads = [threading.Thread(target=client, args=(i,)) for i in range(2)]
    cpu, begin = cluster.cpu_us(), time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.monotonic() - begin
    show("presign.p256.two_clients.per_second", count // BATCH // 2 * 2 * BATCH / seconds)
    show("presign.p256.two_clients.cores_used", (cluster.cpu_us() - cpu) / 1e6 / seconds)


def measure_batches(cluster, rounds):
    """Signatures one by one and 100 at a time, by one caller, from the same stock."""
    key, size = "batch-p256", 100
    make_key(cluster, key, "P-256", None)
    for _ in range(rounds):
        cluster.call(f"/v1/keys/{key}/presignatures", {"count": 2 * size})
    cluster.call(f"/v1/keys/{key}/presignatures", {"count": 2 * size})

    def body(n):
        return {"hash": f"{n:064x}"}

    def single(n):
        for i in range(size):
            cluster.call(f"/v1/keys/{key}/sign", body(n * size + i + 1))

    def batch(n):
        cluster.call(f"/v1/keys/{key}/sign-batch", {"items": [body(n * size + i + 1) for i in range(size)]})

    for name, sign in (("single", single), ("batch", batch)):
        sign(1000)
        cpu, commits, exchanges = cluster.cpu_us(), cluster.commits(), cluster.exchanges()
        begin = time.monotonic()
        for n in range(rounds):
            sign(n)
        seconds, count = time.monotonic() - begin, rounds * size
        show(f"sign.{name}.cpu_us_per_participant", (cluster.cpu_us() - cpu) / PARTICIPANTS / count)
        show(f"sign.{name}.commits_per_participant", (cluster.commits() - commits) / PARTICIPANTS / count)
        show(f"sign.{name}.exchanges", (cluster.exchanges() - exchanges) / count)
        show(f"sign.{name}.per_second", count / seconds)


def measure_stored(cluster):
    """Bytes of all columns of the rows of batches, per presignature."""
    path = os.path.join(cluster.folder, "participant0", "tdsa.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    total = 0
    for table in ("batch", "batch_data", "block"):
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        lengths = "+".join(f"coalesce(length(CAST({c} AS BLOB)),0)" for c in columns)
        where = "" if table == "batch" else "WHERE beta IN (SELECT beta FROM batch b WHERE b.key_id = :k)"
        total += db.execute(f"SELECT coalesce(sum({lengths}),0) FROM {table} " +
                            (where or "WHERE key_id = :k"), {"k": "presign-p256"}).fetchone()[0]
    count = db.execute("SELECT sum(count) FROM batch WHERE key_id = 'presign-p256'").fetchone()[0]
    show("store.presignature_bytes", total / count)
    show("store.point_bytes", 65)
    db.close()


def measure_memory(cluster, count):
    """What one more key costs: generated and never used; used once, which loads it and a batch; used
    once and then left, with more than KEYS_CACHED others used after it."""
    def grow(prefix, first, last, use):
        for i in range(first, last):
            make_key(cluster, f"{prefix}-{i}", "P-256", None)
            if use:
                cluster.call(f"/v1/keys/{prefix}-{i}/presignatures", {"count": 1})
        return cluster.resident_bytes()

    start = grow("unused", 0, 32, False)
    unused = grow("unused", 32, 32 + count, False)
    show("memory.unused_key_bytes", max(0, unused - start) / count)
    start = grow("used", 0, 32, True)
    used = grow("used", 32, 160, True)
    show("memory.loaded_key_bytes", max(0, used - start) / 128)
    start = grow("used", 160, KEYS_CACHED + 32, True)
    idle = grow("used", KEYS_CACHED + 32, KEYS_CACHED + 32 + count, True)
    show("memory.idle_key_bytes", max(0, idle - start) / count)


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ("quick", "full"):
        sys.exit(__doc__)
    quick = sys.argv[2] == "quick"
    cluster = Cluster(sys.argv[1])
    for name, curve, scheme, few, many in SUBJECTS:
        measure_keygen(cluster, name, curve, scheme, 10 if quick else 40)
        measure_presign(cluster, name, curve, scheme, few if quick else many)
    measure_two_clients(cluster, 10000 if quick else 40000)
    measure_batches(cluster, 5 if quick else 20)
    measure_stored(cluster)
    measure_memory(cluster, 64 if quick else 256)


if __name__ == "__main__":
    main()
