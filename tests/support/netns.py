"""A network of the test's own: the test starts itself again in new network and mount namespaces, where
loopback, packet filter, /etc/hosts and /etc/resolv.conf are its alone and end with it."""
import os
import shutil
import subprocess
import sys

from cluster import Problem, need

INSIDE = "TDSA_TEST_OWN_NETWORK"
SKIP = 77


def inside():
    return INSIDE in os.environ


def enter():
    """Returns inside the namespaces; ends the test with the code for "skipped" where they are not to be had."""
    if inside():
        run("ip", "link", "set", "lo", "up")
        return
    unshare = ["unshare", "--net", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() != 0 else [])
    for program in ("unshare", "ip", "nft"):
        if shutil.which(program) is None:
            skip(f"there is no program {program}")
    probe = "ip link set lo up && nft add table inet probe && mount --bind /etc/hosts /etc/hosts"
    done = subprocess.run([*unshare, "sh", "-c", probe], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        skip(f"no namespaces here: {done.stderr.strip()}")
    os.environ[INSIDE] = "yes"
    sys.stdout.flush()
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def run(*command):
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Filter:
    """Packets that match the rules vanish on their way in, as behind a firewall that drops. For a while:
    `with Filter("tcp dport 80"):`"""

    def __init__(self, *rules):
        self.rules = rules

    def __enter__(self):
        run("nft", "add", "table", "inet", "tdsa")
        run("nft", "add", "chain", "inet", "tdsa", "in", "{ type filter hook input priority 0 ; }")
        for rule in self.rules:
            run("nft", "add", "rule", "inet", "tdsa", "in", *rule.split(), "drop")
        return self

    def __exit__(self, *_):
        run("nft", "delete", "table", "inet", "tdsa")


def own_file(path, place):
    """A file that stands in the place of a system's; what is written to it later counts too."""
    run("mount", "--bind", str(path), place)


def local_ports(pid):
    """Local ports of the process's established TCP connections to where nobody listens for it."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                field = line.split()
                if field[9] in inodes and field[3] == "01":
                    ports.add(int(field[1].rpartition(":")[2], 16))
    need(ports, f"process {pid} has no connection")
    return ports
