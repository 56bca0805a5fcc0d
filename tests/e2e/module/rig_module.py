"""What the tests of the module's clients share. A client that is not installed ends the test with 77: skipped."""
import os
import pathlib
import re
import shutil
import sys

from cluster import Cluster, Problem, need

SKIPPED = 77
os.environ["PATH"] += ":/usr/sbin"  # of daemons and of the tools of name servers


class Client:
    """Runs the programs of one client in the home of a cluster, with one environment."""

    def __init__(self, cluster, **env):
        self.home = cluster.home
        self.cluster = cluster
        self.env = cluster.module_env(**env)

    def run(self, *command, **options):
        return self.cluster.run(*command, env=self.env, **options)

    def ok(self, *command, **options):
        """What the program said; it has to end with 0."""
        done = self.run(*command, **options)
        need(done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def refused(self, word, *command, **options):
        """The program has to end with another code than 0, and by itself, and to say the word."""
        done = self.run(*command, **options)
        said = done.stdout + done.stderr
        need(done.returncode > 0 and word in said, f"{' '.join(map(str, command))}: exit {done.returncode}: {said}")

    def write(self, name, text):
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path


def listening(port):
    """Somebody listens on this port; asked without a connection, which a server of one would count."""
    tables = [pathlib.Path("/proc/net", name).read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    return any(re.search(rf":{port:04X} 0+:0000 0A ", table) for table in tables)


def run_client(main, *programs):
    """main(cluster) gives the exit code; the build folder is the first argument of the script."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        print(f"SKIPPED not installed: {', '.join(missing)}")
        sys.exit(SKIPPED)
    try:
        with Cluster(sys.argv[1]) as made:
            made.start_all()
            code = main(made)
            made.keep = code != 0
    except Problem as problem:
        print(f"FAILED  to start: {problem}")
        code = 1
    sys.exit(code)
