#!/usr/bin/env python3
"""Databases that fail under signing load: a server that is stopped at once and started again, and a connection that is
cut after each byte. What is answered verifies and has an r of its own, the rest fails with a reason, and the service
goes on by itself. usage: test_database_outage.py BUILD      (TDSA_TEST_LONG=1: 100 rounds, every byte)"""
import hashlib
import os
import select
import socket
import sys
import tempfile
import threading
import time

import rig_database as db
from rig import expect
from cluster import Cluster, need, run_facts, wait_for

LONG = bool(os.environ.get("TDSA_TEST_LONG"))
ROUNDS = 100 if LONG else 3
CUTS = 6        # of the short form, for each kind of transaction
HEALED_S = 30   # no measurement: for a machine that is busy with other things
REFUSALS = {409, 502, 503, 504}


class Ledger:
    """Every signature that was answered; each verifies, and no r comes twice."""

    def __init__(self, cluster):
        self.cluster, self.lock, self.count, self.seen, self.refused, self.pem = cluster, threading.Lock(), 0, {}, {}, {}

    def add_key(self):
        """A new key; its first presignatures are not leased yet."""
        key = f"k{len(self.pem)}"
        wait_for(lambda: self.cluster.call("POST", 2, "api", "/v1/keys", {
            "keyId": key, "curve": "P-256", "derivation": "none"})[0] in (201, 409), HEALED_S, f"key {key}")
        wait_for(lambda: self.cluster.call("POST", 2, "api", f"/v1/keys/{key}/share", {})[0] in (200, 409), HEALED_S,
                 f"the shares of {key}")
        self.pem[key] = expect(self.cluster.get(2, "api", f"/v1/keys/{key}/public-key"), 200)["pem"]
        return key

    def sign(self, index, key="k0"):
        """One signature of something new; True when it was answered."""
        with self.lock:
            self.count += 1
            message = f"message {self.count}".encode()
        status, body = self.cluster.call("POST", index, "api", f"/v1/keys/{key}/sign",
                                         {"hash": hashlib.sha256(message).hexdigest()}, seconds=90)
        if status != 200:
            self.refuse(status, body)
            return False
        signature = body["signature"]
        need(db.verifies(self.pem[key], message, signature), f"{signature} does not verify")
        with self.lock:
            need(signature[:72] not in self.seen, f"r comes twice: {message} and {self.seen.get(signature[:72])}")
            self.seen[signature[:72]] = message
        return True

    def refuse(self, status, body):
        need(status in REFUSALS and isinstance(body, dict), f"status {status}: {body}")
        need(body.get("error") and body.get("message"), f"no reason: {body}")
        with self.lock:
            name = (status, body["error"])
            self.refused[name] = self.refused.get(name, 0) + 1

    def heals(self, index, what, key="k0"):
        wait_for(lambda: self.sign(index, key), HEALED_S,
                 f"a signature {what}; the log says {self.cluster.log(0)[-1500:]}")


class Load:
    """Two clients per participant sign as fast as they can inside the block."""

    def __init__(self, ledger, participants):
        self.ledger, self.problems, self.over = ledger, [], False
        self.threads = [threading.Thread(target=self.run, args=(index,)) for index in participants]

    def run(self, index):
        while not self.over:
            try:
                if not self.ledger.sign(index):
                    time.sleep(0.02)
            except Exception as problem:  # told by the thread that waits
                self.problems.append(problem)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, kind, value, trace):
        self.over = True
        for thread in self.threads:
            thread.join()
        if kind is None and self.problems:
            raise self.problems[0]


def stopped_under_load(cluster, ledger, servers, kind):
    server, own = servers[kind], {"postgres": 0, "mariadb": 1}[kind]

    def fact():
        for _ in range(ROUNDS):
            answered, refused = len(ledger.seen), sum(ledger.refused.values())
            with Load(ledger, cluster.servers):
                wait_for(lambda: len(ledger.seen) > answered + 3, HEALED_S, "signatures before the outage")
                server.down()
                wait_for(lambda: sum(ledger.refused.values()) > refused + 3, HEALED_S, "refusals in the outage")
                status, body = cluster.get(own, "admin", "/health/ready")
                need(status == 503, f"ready without a database: {status} {body}")
                server.up()
                answered = len(ledger.seen)
                wait_for(lambda: len(ledger.seen) > answered + 3, HEALED_S, "signatures after the outage")
            need(all(cluster.running(index) for index in cluster.servers), "a daemon ended")
            cluster.wait_ready(own)
        print(f"        {len(ledger.seen)} signatures, refused {ledger.refused}")

    fact.__name__ = f"{kind}_is_stopped_under_load_{ROUNDS}_times"
    return fact


class Proxy:
    """Passes bytes between a client and a server; cuts both sides after byte `cut` of the client's streams, counted
    from arm()."""

    def __init__(self, port):
        self.target, self.left, self.passed, self.lock = port, None, 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def arm(self, cut):
        with self.lock:
            self.left, self.passed = cut, 0

    def may_pass(self, count):
        """How many of the client's bytes go through."""
        with self.lock:
            granted = count if self.left is None else min(count, self.left)
            self.passed += granted
            if self.left is not None:
                self.left -= granted
                if granted < count or self.left == 0:
                    self.left = None
                    return granted, True
            return granted, False

    def carry(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", int(self.target))) as server:
                while True:
                    for side in select.select([client, server], [], [])[0]:
                        data = side.recv(65536)
                        if not data:
                            return
                        granted, last = self.may_pass(len(data)) if side is client else (len(data), False)
                        (server if side is client else client).sendall(data[:granted])
                        if last:
                            time.sleep(0.005)  # what the server makes of it is done, its answer does not arrive
                            return
        except OSError:
            return

    def close(self):
        self.listener.close()


def cuts_after_bytes(cluster, ledger, proxy, asked, name):
    """Cuts while a new key signs for the second time and on: that takes a lease at the participant that is asked and a
    burn at the others."""
    def prepare():
        key = ledger.add_key()
        ledger.heals(asked, "before a cut", key)
        return key

    def fact():
        cuts, key = 0, prepare()
        proxy.arm(None)
        ledger.heals(asked, "without a cut", key)
        whole = proxy.passed
        need(whole > 100, f"{whole} bytes go to the database for a signature")
        for cut in range(1, whole + 1, 1 if LONG else max(1, whole // CUTS)):
            key = prepare()
            proxy.arm(cut)
            for _ in range(4):  # the lengths differ
                if proxy.left is not None:
                    ledger.sign(asked, key)
            cuts += proxy.left is None
            proxy.arm(None)
            ledger.heals(asked, f"after the cut behind byte {cut} of {whole}", key)
        need(cuts > 3, f"only {cuts} cuts in {whole} bytes")
        need(all(cluster.running(index) for index in cluster.servers), "a daemon ended")
        print(f"        {cuts} cuts in {whole} bytes, {len(ledger.seen)} signatures, refused {ledger.refused}")

    fact.__name__ = name
    return fact


def main(build):
    with tempfile.TemporaryDirectory(prefix="tdsa-outage-") as folder:
        servers = db.start_servers(folder)
        try:
            with Cluster(build, "servers") as cluster:
                db.light(cluster)
                proxies = {}
                for index, kind in enumerate(("postgres", "mariadb")):
                    proxies[kind] = Proxy(servers[kind].port())
                    db.use(cluster, index, servers[kind], servers[kind].place("shares"), port=proxies[kind].port)
                cluster.start_all()
                ledger = Ledger(cluster)
                ledger.add_key()
                facts = []
                for index, kind in enumerate(proxies):
                    facts += [
                        cuts_after_bytes(cluster, ledger, proxies[kind], index, f"{kind}_is_cut_off_in_a_lease"),
                        cuts_after_bytes(cluster, ledger, proxies[kind], 2, f"{kind}_is_cut_off_in_a_burn")]
                return run_facts(facts + [stopped_under_load(cluster, ledger, servers, kind) for kind in servers])
        finally:
            for server in servers.values():
                server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
