#!/usr/bin/env python3
"""Searches traffic, databases, logs, API bodies and core dumps for the very shares of a real key.

The protocol port is recorded by a proxy between the participants. usage: test_canary.py BUILD
"""
import base64
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import Caller, Cluster, Problem, need, run_facts  # noqa: E402


class Recorder:
    """A TCP relay to one port that keeps every byte of both directions."""

    def __init__(self, target):
        self.target = target
        self.data = bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                left, _ = self.listener.accept()
            except OSError:
                return
            try:
                right = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                left.close()
                continue
            for a, b in ((left, right), (right, left)):
                threading.Thread(target=self.relay, args=(a, b), daemon=True).start()

    def relay(self, source, sink):
        try:
            while chunk := source.recv(65536):
                self.data += chunk
                sink.sendall(chunk)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def forms(secret):
    """The shapes in which bytes could lie about: raw, reversed, hex, base64 at any offset."""
    found = {secret, secret[::-1]}
    for order in (secret, secret[::-1]):
        found.add(order.hex().encode())
        found.add(order.hex().upper().encode())
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + order)
            core = text[4 if shift else 0:len(text) - 4]
            found.add(core)
            found.add(core.replace(b"+", b"-").replace(b"/", b"_"))
    return found


class Needles:
    def __init__(self):
        self.named = {}

    def add(self, name, secret):
        for form in forms(secret):
            self.named[form] = name

    def add_text(self, name, text):
        self.named[text.encode()] = name

    def search(self, data, where):
        for needle, name in self.named.items():
            at = bytes(data).find(needle) if isinstance(data, bytearray) else data.find(needle)
            need(at < 0, f"{name} is in {where} at byte {at}")


def without_zero_pages(data):
    """A core is mostly empty stacks: only the pages that hold something."""
    zero, parts = bytes(4096), []
    for at in range(0, len(data), 4096):
        page = data[at:at + 4096]
        parts.append(page if page != zero[:len(page)] else b"")
    return b"".join(parts)


def main(cluster):
    recorders = {}
    for index in cluster.servers:
        port = int(cluster.ports[index][0])
        recorders[index] = Recorder(port)
    for index in (0, 1, 2):
        path = cluster.dir / f"participant{index}/config.yml"
        text = path.read_text()
        for other, recorder in recorders.items():
            text = text.replace(f"uri: http://127.0.0.1:{cluster.ports[other][0]}\n",
                                f"uri: http://127.0.0.1:{recorder.port}\n")
        path.write_text(text)

    def limits():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    for index in cluster.servers:
        with open(cluster.log_path(index), "ab") as log:
            cluster.process[index] = subprocess.Popen(
                [cluster.build / "service/daemon/tdsa-service", "server",
                 cluster.dir / f"participant{index}/config.yml"],
                env=cluster.module_env(**cluster.softhsm_env(index), TDSA_LOG_LEVEL="DEBUG", LD_DEBUG="bindings",
                                       LD_DEBUG_OUTPUT=str(cluster.home / f"bindings{index}")),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limits, cwd=cluster.home)
    for index in cluster.servers:
        cluster.wait_up(index)
    for index in cluster.servers:
        cluster.wait_ready(index)
    bound = {index: next(cluster.home.glob(f"bindings{index}.*")) for index in cluster.servers}
    before = {index: path.stat().st_size for index, path in bound.items()}
    log_env = {"TDSA_PKCS11_LOG": "debug", "TDSA_PKCS11_LOG_FILE": str(cluster.dir / "logs/module.log")}
    caller = Caller(cluster, log_env)
    need(caller.ready, "the application does not start")
    for curve, label in (("p256", "a"), ("secp256k1", "b")):
        need(caller.ask(f"keygen {curve} {label}") == [f"ok {label}"], f"no key {label}")
        signed = caller.ask(f"sign {label} 100", 100)
        need(all(line.startswith("ok") for line in signed), f"key {label} does not sign: {signed[:3]}")
    shares, private = Needles(), Needles()
    count = 0
    for index in (0, 1, 2):
        folder = cluster.dir / f"participant{index}"
        pin = (folder / "pin").read_text().strip()
        done = cluster.run(cluster.build / "tests/e2e/canary/dump_secrets", folder / "config.yml", pin,
                           env=cluster.module_env(**cluster.softhsm_env(index)))
        need(done.returncode == 0, f"secrets of participant {index}: {done.stderr}")
        for line in done.stdout.splitlines():
            shares.add(f"a secret of participant {index}", bytes.fromhex(line.split()[1]))
            count += 1
        private.add_text(f"the PIN of participant {index}", pin)
        for kind in ("primary", "secondary"):
            text = (folder / f"{kind}.private").read_text().strip()
            private.add_text(f"the {kind} private key of participant {index}", text)
            private.add(f"the {kind} private key of participant {index}",
                        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[16:])
    private.add_text("the group secret", (cluster.dir / "group").read_text().strip())

    def mathematics_is_bound_before_there_are_secrets():
        """The dynamic linker saves vector registers on the stack when it binds a function late."""
        for index, path in bound.items():
            late = re.findall(r"binding file \S*/(lib(?:gmp|secp256k1|nettle|hogweed|sodium)\S*) .*symbol `(\w+)'",
                              path.read_text()[before[index]:])
            need(not late, f"participant {index}: bound late: {late}")

    def there_are_secrets_to_search_for():
        need(count >= 2 * 3 * 5, f"only {count} secrets were read")

    def the_search_finds_a_planted_share_in_every_form():
        for needle in list(shares.named):
            try:
                shares.search(b"left" + needle + b"right", "a planted place")
            except Problem:
                continue
            raise Problem("a planted share was not found")

    def the_recording_holds_the_traffic():
        for index, recorder in recorders.items():
            need(len(recorder.data) > 10000, f"only {len(recorder.data)} bytes to participant {index}")
            need(b"Session-Id" in recorder.data, "no Session-Id seen: not the protocol port?")

    def the_traffic_holds_no_share_key_or_pin():
        for index, recorder in recorders.items():
            shares.search(recorder.data, f"the traffic of participant {index}")
            private.search(recorder.data, f"the traffic of participant {index}")

    def files_hold_no_share():
        files = [path for path in cluster.home.rglob("*") if path.is_file()]
        need(any(path.name == "tdsa.db" for path in files), "no database found")
        for path in files:
            shares.search(path.read_bytes(), path)

    def databases_and_logs_hold_no_key_or_pin():
        for pattern in ("**/tdsa.db*", "logs/*.log"):
            for path in cluster.dir.glob(pattern):
                private.search(path.read_bytes(), path)

    def answers_of_the_ports_hold_no_secret():
        for index in cluster.servers:
            for port, path in (("api", "/v1/keys?state=all"), ("api", "/docs"), ("admin", "/metrics"),
                               ("admin", "/healthcheck"), ("admin", "/health/ready"), ("admin", "/threads"),
                               ("api", "/v1/info")):
                body = str(cluster.get(index, port, path)[1]).encode()
                shares.search(body, f"{path} of participant {index}")
                private.search(body, f"{path} of participant {index}")

    def core_dumps_hold_no_share():
        victims = {1: cluster.process[1].pid, 2: cluster.process[2].pid, 0: caller.process.pid}
        if shutil.which("gcore"):
            for index, pid in victims.items():
                # A sanitized process has terabytes of shadow memory: never fill the disk with them.
                done = cluster.run("prlimit", "--fsize=4294967296", "gcore", "-o",
                                   cluster.home / f"gcore{index}", pid, seconds=120)
                if done.returncode != 0:
                    print(f"        gcore of participant {index} not permitted here")
        cluster.process[1].send_signal(signal.SIGABRT)
        cluster.process[1].wait(timeout=60)
        found = [path for path in cluster.home.glob("*core*") if path.is_file()]
        for path in found:
            shares.search(without_zero_pages(path.read_bytes()), path.name)
            path.unlink()
        print(f"        {len(found)} core dumps searched")

    return run_facts([mathematics_is_bound_before_there_are_secrets, there_are_secrets_to_search_for, the_search_finds_a_planted_share_in_every_form,
                      the_recording_holds_the_traffic, the_traffic_holds_no_share_key_or_pin,
                      files_hold_no_share, databases_and_logs_hold_no_key_or_pin,
                      answers_of_the_ports_hold_no_secret, core_dumps_hold_no_share])


if __name__ == "__main__":
    try:
        with Cluster(sys.argv[1]) as made:
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
