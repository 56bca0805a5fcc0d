#!/usr/bin/env python3
"""Peers that die, come back, move, and have several addresses; the application lives on. In a network of its own.
usage: test_network_peers.py BUILD"""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import netns  # noqa: E402
from cluster import Cluster, Problem, need, run_facts  # noqa: E402
from rig_network import REMOVED, FalsePeer, Network, says  # noqa: E402


def main(cluster):
    net = Network(cluster)

    def a_key_is_made():
        with net.application() as app:
            need(app.ask("keygen p256 k") == ["ok k"], f"no key: {app.log()}")
            net.signs(app)

    def signatures_go_on_while_enough_peers_are_up():
        with net.application("2s") as app:
            net.signs(app)
            cluster.stop(1)
            net.signs(app, "with three of four")
            cluster.stop(3)
            net.fails(app, REMOVED, "participant")
            cluster.start(1)
            cluster.wait_ready(1)
            net.signs(app, "after one came back")  # 3 stays away: from here on everybody is needed

    def a_peer_that_was_restarted_is_found_again():
        with net.application("2s") as app:
            net.signs(app)
            cluster.stop(2)
            net.fails(app, REMOVED, "participant")
            cluster.start(2)
            cluster.wait_ready(2)
            net.signs(app, "after the peer came back")

    def a_peer_that_moved_behind_its_name_is_found_again():
        net.hosts.write_text("127.0.0.1 localhost\n127.0.0.1 peer2.test\n")
        with net.application("4s", {2: net.uri(2, "peer2.test")}) as app:
            net.signs(app)
            with net.moved(2, "127.0.0.7"):
                net.hosts.write_text("127.0.0.1 localhost\n127.0.0.7 peer2.test\n")
                with FalsePeer(says("404 Not Found"), port=net.port(2)) as stranger:
                    net.signs(app, "while somebody else answers at the old address")
                    need(stranger.open, "the old address was not asked")
            net.hosts.write_text("127.0.0.1 localhost\n127.0.0.1 peer2.test\n")
            net.signs(app, "at home again")

    def peers_are_reached_by_ipv6():
        net.hosts.write_text("127.0.0.1 localhost\n::1 six.test\n")
        with net.moved(2, "::1", "[::1]"):
            for host in ("[::1]", "six.test"):
                with net.application("2s", {2: net.uri(2, host)}) as app:
                    net.signs(app, host)

    def the_second_address_is_used_when_the_first_is_dead():
        net.hosts.write_text("127.0.0.1 localhost\n::1 both.test\n127.0.0.8 both.test\n"
                             "127.0.0.1 two.test\n127.0.0.8 two.test\n")
        with net.moved(2, "127.0.0.8", "127.0.0.8"):
            for host, dead in (("both.test", "::1"), ("two.test", "127.0.0.1")):
                first = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
                need(first == dead, f"the first address of {host} is {first}")
                with netns.Filter(f"{'ip6' if ':' in dead else 'ip'} daddr {dead} tcp dport {net.port(2)}"), \
                        net.application("4s", {2: net.uri(2, host)}) as app:
                    net.signs(app, f"{host} without {dead}")

    return run_facts([
        a_key_is_made, signatures_go_on_while_enough_peers_are_up, a_peer_that_was_restarted_is_found_again,
        a_peer_that_moved_behind_its_name_is_found_again, peers_are_reached_by_ipv6,
        the_second_address_is_used_when_the_first_is_dead])


if __name__ == "__main__":
    netns.enter()
    try:
        with Cluster(sys.argv[1], n=4) as made:
            made.start_all()
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
