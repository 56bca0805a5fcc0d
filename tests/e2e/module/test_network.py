#!/usr/bin/env python3
"""The module on networks as they are: firewalls that drop, peers that hang or are something else, names that
nobody resolves. In a network of its own. usage: test_network.py BUILD"""
import os
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import netns  # noqa: E402
from clients import run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402
from rig_network import DEVICE_ERROR, REMOVED, FalsePeer, Network, half, hang, reset, says  # noqa: E402


def main(cluster):
    net = Network(cluster)

    def a_key_is_made():
        with net.application() as app:
            need(app.ask("keygen p256 k") == ["ok k"], f"no key: {app.log()}")
            net.signs(app)

    def a_firewall_that_drops_connections_costs_the_deadline():
        with net.application("2s") as app:
            with netns.Filter(f"tcp dport {net.port(2)}"):
                net.fails(app, REMOVED, "participant 2", str(net.port(2)))
            net.signs(app, "after the firewall let it through")

    def each_way_of_not_answering_has_its_code_and_names_the_peer():
        for act, code, *words in [
                (hang, DEVICE_ERROR, "no answer in time"),
                (reset, REMOVED, "reset"),
                (half, REMOVED, "does not answer"),
                (says("502 Bad Gateway"), REMOVED, "its uri: 502", "proxy.example"),
                (says("404 Not Found"), DEVICE_ERROR, "its uri: 404"),
                (says("407 Proxy Authentication Required"), DEVICE_ERROR, "its uri: 407"),
                (says("301 Moved Permanently"), DEVICE_ERROR, "its uri: 301"),
                (says("200 OK"), DEVICE_ERROR, "handshake", "its uri"),
                (says("403 Forbidden"), DEVICE_ERROR, "its uri: 403")]:
            with FalsePeer(act) as peer, net.application("1s", {2: f"http://127.0.0.1:{peer.port}"}) as app:
                net.fails(app, code, "participant 2", *words)

    def nobody_there_is_said_as_such():
        with socket.socket() as bound:  # and does not listen
            bound.bind(("127.0.0.1", 0))
            with net.application("500ms", {2: f"http://127.0.0.1:{bound.getsockname()[1]}"}) as app:
                net.fails(app, REMOVED, "participant 2", "refused")

    def a_hanging_peer_makes_no_thread():
        net.hosts.write_text("127.0.0.1 localhost peer1.test peer2.test\n")
        with FalsePeer(hang) as peer, \
                net.application("1s", {1: net.uri(1, "peer1.test"), 2: f"http://peer2.test:{peer.port}"}) as app:
            seen = set()
            done = threading.Event()

            def look():
                while not done.wait(0.01):
                    seen.add(len(os.listdir(f"/proc/{app.process.pid}/task")))

            watch = threading.Thread(target=look)
            watch.start()
            try:
                net.fails(app, DEVICE_ERROR, "participant 2")
            finally:
                done.set()
                watch.join()
            need(seen == {1}, f"threads seen: {seen}")

    def connections_that_a_firewall_forgot_are_made_anew():
        with net.application() as app:
            net.signs(app)
            old = netns.local_ports(app.process.pid)
            need(len(old) == 2, f"connections {old}, not one for each peer")
            with netns.Filter(*[f"tcp {way} {port}" for port in old for way in ("sport", "dport")]):
                net.signs(app, "with forgotten connections")
                new = netns.local_ports(app.process.pid)
                need(len(new - old) == 2, f"connections {old}, then {new}")
                net.signs(app, "once more")

    def only_the_answers_may_be_lost_too():
        with net.application() as app:
            net.signs(app)
            with netns.Filter(*[f"tcp dport {port}" for port in netns.local_ports(app.process.pid)]):
                net.signs(app, "with a connection that loses what comes back")

    def a_name_server_that_does_not_answer_costs_no_more_than_the_deadline():
        resolv = cluster.home / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.9\n")
        netns.own_file(resolv, "/etc/resolv.conf")
        with netns.Filter("udp dport 53", "tcp dport 53"), \
                net.application("500ms", {2: net.uri(2, "peer2.example")}) as app:
            started = time.monotonic()
            net.fails(app, REMOVED, "participant 2", "cannot resolve peer2.example")
            need(time.monotonic() - started < 8, "it took as long as resolv.conf allows")

    def proxies_of_the_environment_are_not_asked():
        with net.application("4s", http_proxy="http://127.0.0.1:1", HTTPS_PROXY="http://127.0.0.1:1",
                             all_proxy="socks5h://127.0.0.1:1", no_proxy="") as app:
            net.signs(app, "with a proxy in the environment")

    return run_facts([
        a_key_is_made, a_firewall_that_drops_connections_costs_the_deadline,
        each_way_of_not_answering_has_its_code_and_names_the_peer, nobody_there_is_said_as_such,
        a_hanging_peer_makes_no_thread, connections_that_a_firewall_forgot_are_made_anew,
        only_the_answers_may_be_lost_too,
        a_name_server_that_does_not_answer_costs_no_more_than_the_deadline,
        proxies_of_the_environment_are_not_asked])


if __name__ == "__main__":
    netns.enter()
    run_test(main)
