#!/usr/bin/env python3
"""Peers behind balancers that speak HTTPS and want a client certificate; what is wrong with a certificate is said in
the log. usage: test_https.py BUILD"""
import contextlib
import pathlib
import socket
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402
from rig_network import REMOVED, Network  # noqa: E402


class Balancer:
    """Takes TLS connections of clients that show a certificate, and hands the bytes on."""

    def __init__(self, folder, certificate, port, clients="clients"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / f"{certificate}.pem")
        self.context.load_verify_locations(folder / f"{clients}.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                plain = self.listener.accept()[0]
                self.open.append(plain)
                threading.Thread(target=self.meet, args=(plain,), daemon=True).start()

    def meet(self, plain):
        with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as outside:
            self.open.append(outside)
            with socket.create_connection(("127.0.0.1", self.target)) as inside:
                self.open.append(inside)
                threading.Thread(target=self.back, args=(inside, outside), daemon=True).start()
                self.copy(outside, inside)

    def back(self, inside, outside):
        with contextlib.suppress(OSError):
            self.copy(inside, outside)

    @staticmethod
    def copy(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def main(cluster):
    net = Network(cluster)
    folder = cluster.home / "tls"
    folder.mkdir()

    def openssl(*arguments):
        done = cluster.run("openssl", *arguments)
        need(done.returncode == 0, f"openssl {arguments}: {done.stderr}")

    def authority(name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")

    def certificate(name, authority_name, alternative, days="2"):
        key, request, out = (folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={alternative}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", folder / f"{authority_name}.pem", "-CAkey",
                folder / f"{authority_name}.key", "-CAcreateserial", "-days", days, "-copy_extensions", "copy",
                "-out", out)
        (folder / f"{name}.pem").write_text(out.read_text() + key.read_text())

    def tls(trust="servers", key="client"):
        lines = f"httpClient:\n  tls:\n    trustStorePath: {folder}/{trust}.pem\n"
        return lines + (f"    keyStorePath: {folder}/{key}.pem\n" if key else "")

    def certificates_are_made():
        for name in ("servers", "clients", "others"):
            authority(name)
        certificate("good", "servers", "IP:127.0.0.1")
        certificate("elsewhere", "servers", "DNS:elsewhere.example")
        certificate("expired", "servers", "IP:127.0.0.1", days="-1")
        certificate("client", "clients", "DNS:client.example")
        certificate("stranger", "others", "DNS:stranger.example")

    def keys_are_made_and_sign_through_https_with_a_client_certificate():
        broken = cluster.home / "broken.cnf"  # with it, OpenSSL makes no TLS context
        broken.write_text("openssl_conf = start\n[start]\nssl_conf = tls\n[tls]\nsystem_default = rules\n"
                          "[rules]\nNoSuchCommand = 1\n")
        with Balancer(folder, "good", net.port(1)) as one, Balancer(folder, "good", net.port(2)) as two, \
                net.application("4s", {1: f"https://127.0.0.1:{one.port}", 2: f"https://127.0.0.1:{two.port}"}, tls(),
                                OPENSSL_CONF=str(broken)) as app:
            need(app.ask("keygen p256 k") == ["ok k"], f"no key: {app.log()}")
            net.signs(app)
            need(one.open and two.open, "the balancers were not asked")

    def refused(server, words, **settings):
        with Balancer(folder, server, net.port(2)) as front, \
                net.application("2s", {2: f"https://127.0.0.1:{front.port}"}, tls(**settings)) as app:
            net.fails(app, REMOVED, "participant 2", f"127.0.0.1:{front.port}", *words)

    def a_server_certificate_of_another_authority_is_refused():
        refused("good", ["certificate", "trustStorePath"], trust="others")

    def a_server_certificate_for_another_name_is_refused():
        refused("elsewhere", ["certificate", "127.0.0.1", "name"])

    def an_expired_server_certificate_is_refused():
        refused("expired", ["certificate expired"])

    def a_client_without_a_certificate_is_told_so():
        refused("good", ["certificate", "keyStorePath"], key=None)

    def a_client_with_a_certificate_of_another_authority_is_told_so():
        refused("good", ["certificate", "keyStorePath"], key="stranger")

    def https_where_http_is_spoken_is_refused():
        with net.application("2s", {2: f"https://127.0.0.1:{net.port(2)}"}, tls()) as app:
            net.fails(app, REMOVED, "participant 2", "is https right in its uri?")

    def http_where_https_is_spoken_is_refused():
        with Balancer(folder, "good", net.port(2)) as front, \
                net.application("2s", {2: f"http://127.0.0.1:{front.port}"}, tls()) as app:
            net.fails(app, REMOVED, "participant 2")

    return run_facts([
        certificates_are_made, keys_are_made_and_sign_through_https_with_a_client_certificate,
        a_server_certificate_of_another_authority_is_refused, a_server_certificate_for_another_name_is_refused,
        an_expired_server_certificate_is_refused, a_client_without_a_certificate_is_told_so,
        a_client_with_a_certificate_of_another_authority_is_told_so, https_where_http_is_spoken_is_refused,
        http_where_https_is_spoken_is_refused])


if __name__ == "__main__":
    run_test(main)
