"""What the tests of the module on real networks share: false peers, and applications whose module has other
addresses of its peers."""
import contextlib
import os
import re
import socket
import struct
import threading
import time

import netns
from cluster import Caller, need

REMOVED, DEVICE_ERROR, PROHIBITED = "failed CKR 0x32", "failed CKR 0x30", "failed CKR 0x1b"
HANGS = 30  # a call that takes longer has no limit; the deadlines here are 1 to 4 s
PROXY = b"<html><head><title>502 Bad Gateway</title></head><body>proxy.example</body></html>"


def http(status, body, kind="text/html"):
    return (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


class FalsePeer:
    """What may stand where a peer should: takes connections and does with each what `act` says."""

    def __init__(self, act, host="127.0.0.1", port=0):
        self.act, self.open = act, []
        self.listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                self.open.append(connection)
                threading.Thread(target=self.meet, args=(connection,), daemon=True).start()

    def meet(self, connection):
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                self.act(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            connection.close()


def hang(_):
    pass


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half(connection):
    connection.sendall(http("200 OK", b"x" * 100)[:-50])
    connection.close()


def says(status, body=PROXY):
    return lambda connection: connection.sendall(http(status, body))


class Network:
    def __init__(self, cluster):
        self.cluster = cluster
        self.count = 0
        self.hosts = cluster.home / "hosts"
        if netns.inside():
            self.hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
            netns.own_file(self.hosts, "/etc/hosts")

    def uri(self, index, host="127.0.0.1"):
        return f"http://{host}:{self.port(index)}"

    def port(self, index):
        return int(self.cluster.ports[index][0])

    def config(self, deadline, uris, extra=""):
        """The module's configuration with other addresses of peers: {index: uri}."""
        text = self.cluster.config.read_text()
        for index, uri in uris.items():
            text = text.replace(f"uri: {self.uri(index)}\n", f"uri: {uri}\n")
            need(uri in text, f"no place for {uri}")
        text = re.sub(r"pkcs11:\n", f"pkcs11:\n  deadline: {deadline}\n", text) + extra
        self.count += 1
        path = self.cluster.config.with_name(f"config{self.count}.yml")
        path.write_text(text)
        return path

    @contextlib.contextmanager
    def application(self, deadline="4s", uris=None, extra="", **env):
        """A process that loads the module; its log is in .log."""
        config = self.config(deadline, uris or {}, extra)
        log = self.cluster.dir / "logs" / f"module{self.count}.log"
        caller = Caller(self.cluster, {"TDSA_PKCS11_CONFIG": str(config), "TDSA_PKCS11_LOG_FILE": str(log), **env})
        try:
            need(caller.ready, f"the module does not start: {self.cluster.log('caller')}")
            caller.log = lambda: log.read_text() if log.exists() else ""
            yield caller
        finally:
            code = caller.close()
        need(code == 0, f"the application ended with {code}")

    def signs(self, caller, what=""):
        answer = caller.ask("sign k 1")
        need(answer and answer[0].startswith("ok r="), f"{what}: {answer}\n{caller.log()[-1500:]}")

    def fails(self, caller, code, *words):
        """One signature fails, in bounded time, with this code and one line of the module's that has the words."""
        before, started = len(caller.log()), time.monotonic()
        answer = caller.ask("sign k 1")
        took = time.monotonic() - started
        log = caller.log()[before:]
        need(answer == [code], f"{answer}, not {code}:\n{log}")
        need(took < HANGS, f"it took {took:.1f} s")
        lines = [line for line in log.splitlines() if " C_Sign: CKR_" in line]
        need(len(lines) == 1, f"not one line for one call:\n{log}")
        for word in words:
            need(word in lines[0], f"no {word!r} in: {lines[0]}")
        if os.environ.get("SHOW"):
            print(f"        {took:.2f} s {lines[0]}")

    def up(self):
        return [index for index in self.cluster.servers if self.cluster.running(index)]

    @contextlib.contextmanager
    def moved(self, index, bind, host=None):
        """The protocol port of a daemon is at another address. With `host`, the other peers know."""
        paths = {i: self.cluster.dir / f"participant{i}/config.yml" for i in (self.up() if host else [index])}
        home = {i: path.read_text() for i, path in paths.items()}
        there = {i: text.replace(f"uri: {self.uri(index)}\n", f"uri: {self.uri(index, host)}\n") if host else text
                 for i, text in home.items()}
        there[index] = there[index].replace(f"bindHost: 127.0.0.1, port: {self.port(index)}}}",
                                            f"bindHost: '{bind}', port: {self.port(index)}}}")

        def restart_with(texts):
            for i, text in texts.items():
                self.cluster.stop(i)
                paths[i].write_text(text)
                self.cluster.start(i)
            for i in texts:
                self.cluster.wait_ready(i)

        restart_with(there)
        try:
            yield
        finally:
            restart_with(home)
