#!/usr/bin/env python3
"""Peers that die, come back, move, and have several addresses; the application lives on. In a network of its own.
usage: test_network_peers.py BUILD"""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import netns  # noqa: E402
from clients import run_test  # noqa: E402
from cluster import need, run_facts  # noqa: E402
from rig_network import REMOVED, FalsePeer, Network, says  # noqa: E402

SIX, SIX_DEAD = "fd00:7d5a::1", "fd00:7d5a::2"


def main(cluster):
    net = Network(cluster)
    for address in (f"{SIX}/128", f"{SIX_DEAD}/128", "192.0.2.1/32"):  # a host with both families
        netns.run("ip", "address", "add", address, "dev", "lo")

    def a_key_is_made():
        with net.application() as app:
            need(app.ask("keygen p256 k") == ["ok k"], f"no key: {app.log()}")
            net.signs(app)

    def signatures_go_on_while_enough_peers_are_up():
        with net.application("4s") as app:
            net.signs(app)
            cluster.stop(1)
            net.signs(app, "with three of four")
            cluster.stop(3)
            net.fails(app, REMOVED, "participant")
            cluster.start(1)
            cluster.wait_ready(1)
            net.signs(app, "after one came back")  # 3 stays away: from here on everybody is needed

    def a_peer_that_was_restarted_is_found_again():
        with net.application("4s") as app:
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

    def first_address(host, expected):
        first = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
        need(first == expected, f"the first address of {host} is {first}")

    def peers_are_reached_by_ipv6_and_by_the_second_of_two_addresses():
        net.hosts.write_text(f"127.0.0.1 localhost\n{SIX} six.test\n{SIX_DEAD} two.test\n{SIX} two.test\n")
        first_address("two.test", SIX_DEAD)
        with net.moved(2, SIX, f"[{SIX}]"), netns.Filter(f"ip6 daddr {SIX_DEAD}"):
            for host in (f"[{SIX}]", "six.test", "two.test"):
                with net.application("4s", {2: net.uri(2, host)}) as app:
                    net.signs(app, host)

    def ipv4_is_used_when_ipv6_is_dead():
        net.hosts.write_text(f"127.0.0.1 localhost\n{SIX_DEAD} both.test\n127.0.0.1 both.test\n")
        first_address("both.test", SIX_DEAD)
        with netns.Filter(f"ip6 daddr {SIX_DEAD}"), net.application("4s", {2: net.uri(2, "both.test")}) as app:
            net.signs(app)

    return run_facts([
        a_key_is_made, signatures_go_on_while_enough_peers_are_up, a_peer_that_was_restarted_is_found_again,
        a_peer_that_moved_behind_its_name_is_found_again,
        peers_are_reached_by_ipv6_and_by_the_second_of_two_addresses, ipv4_is_used_when_ipv6_is_dead])


if __name__ == "__main__":
    netns.enter()
    run_test(main, n=4)
