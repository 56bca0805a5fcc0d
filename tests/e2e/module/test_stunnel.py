#!/usr/bin/env python3
"""stunnel in front of a plain server and behind a plain client, both keys through the engine. usage: test_stunnel.py BUILD"""
import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import Engine, listens, run_test, serving  # noqa: E402
from cluster import free_port, need, run_facts, wait_for  # noqa: E402

SERVICE = """foreground = yes
pid =
debug = notice
engine = pkcs11
[tunnel]
engineId = pkcs11
key = {key}
cert = {cert}
CAfile = {trusted}
verifyChain = yes
sessionCacheSize = 1
{more}
"""


@contextlib.contextmanager
def echo():
    """A server that gives back what it gets, in capitals; gives its port."""
    def answer(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data.upper())

    def serve():
        with contextlib.suppress(OSError):  # the listener is shut down
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def main(cluster):
    home = cluster.home
    engine = Engine(cluster)
    for label, key_id, curve in (("front", "01", "prime256v1"), ("back", "02", "secp384r1"), ("coin", "03", "secp256k1"),
                                 ("odd", "04", "edwards25519")):
        engine.generate(label, key_id, curve)
    certs = {label: engine.self_signed(label) for label in ("front", "back")}
    at_back = engine.store("back", "02")
    inner, outer = free_port(), free_port()

    def tunnel(label, cert, trusts, port, more):
        conf = home / f"{label}.conf"
        conf.write_text(SERVICE.format(key=engine.uri(label), cert=cert, trusted=certs[trusts], more=more))
        return serving(["stunnel", conf], lambda: listens(port), home / f"{label}.log", env=engine.env, cwd=home)

    def say(text):
        with socket.create_connection(("127.0.0.1", outer), timeout=30) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            while data := connection.recv(65536):
                got += data
        return got

    def both_ends_prove_themselves_with_keys_of_the_token():
        for number in range(4):
            text = f"number {number} ".encode() * 2000
            need(say(text) == text.upper(), f"connection {number} came back otherwise: {(home / 'back.log').read_text()[-2000:]}")

    def a_client_without_a_certificate_is_refused():
        done = cluster.run("openssl", "s_client", "-connect", f"127.0.0.1:{inner}", "-tls1_2", "-CAfile", certs["front"])
        need(done.returncode != 0 and "alert" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")

    def several_connections_at_once_are_served():
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(say(b"together"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        need(answers == [b"TOGETHER"] * 8, f"{answers}")

    def a_new_configuration_finds_the_key_again():
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: (home / "front.log").read_text(errors="replace").count("Configuration successful") == 2, 30,
                 "stunnel to read its configuration again")
        need(say(b"after") == b"AFTER", (home / "front.log").read_text(errors="replace")[-2000:])

    def both_end_cleanly():
        for label, process in (("back", client), ("front", server)):
            process.terminate()
            code = process.wait(timeout=30)
            need(code == 0, f"{label}: exit code {code}: {(home / f'{label}.log').read_text(errors='replace')[-2000:]}")

    def a_daemon_signs_with_the_little_stack_of_its_threads():
        """Becoming a daemon is a fork: the first thread that signs, with 64 KB of stack, has to initialise the module."""
        lonely, pid = free_port(), home / "daemon.pid"
        conf = home / "daemon.conf"
        conf.write_text(SERVICE.format(key=engine.uri("front"), cert=certs["front"], trusted=certs["back"],
                                       more=f"accept = 127.0.0.1:{lonely}\nconnect = 127.0.0.1:{port}")
                        .replace("foreground = yes\npid =\n", f"pid = {pid}\noutput = {home}/daemon.log\n")
                        .replace("verifyChain = yes\n", ""))
        done = cluster.run("stunnel", conf, env=engine.env)
        need(done.returncode == 0, f"{done.returncode} {done.stdout}{done.stderr}")
        try:
            wait_for(lambda: pid.exists() and listens(lonely), 30, "the daemon to serve")
            done = cluster.run("openssl", "s_client", "-connect", f"127.0.0.1:{lonely}", "-CAfile", certs["front"],
                               "-verify_return_error")
            need(done.returncode == 0 and "Verify return code: 0 (ok)" in done.stdout, f"{done.stdout}{done.stderr}")
        finally:
            number = int(pid.read_text())
            with contextlib.suppress(ProcessLookupError):  # it crashed, and the reason is on its way out
                os.kill(number, signal.SIGTERM)
            wait_for(lambda: not os.path.exists(f"/proc/{number}"), 30, "the daemon to end")

    with echo() as port, \
            tunnel("front", certs["front"], "back", inner, f"accept = 127.0.0.1:{inner}\nconnect = 127.0.0.1:{port}") as server, \
            tunnel("back", at_back, "front", outer, f"client = yes\naccept = 127.0.0.1:{outer}\nconnect = 127.0.0.1:{inner}") as client:
        return run_facts([both_ends_prove_themselves_with_keys_of_the_token, a_client_without_a_certificate_is_refused,
                          several_connections_at_once_are_served, a_new_configuration_finds_the_key_again, both_end_cleanly,
                          a_daemon_signs_with_the_little_stack_of_its_threads])


if __name__ == "__main__":
    run_test(main)
