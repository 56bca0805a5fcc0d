#!/usr/bin/env python3
"""Runs the commands of docs/api.md, docs/cli.md and docs/operations.md in their order. usage: test_docs.py BUILD"""
import base64
import os
import re
import shutil
import subprocess
import sys

import rig
from cluster import ROOT, Cluster, need, run_facts


def blocks_of(page):
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)


def recovery_certificate(folder):
    """A certificate as tdsaLibrary.ersCertificates has it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ers.key", "-out",
                    folder / "ers.der", "-outform", "der", "-days", "30", "-subj", "/CN=ers"], check=True, capture_output=True)
    return base64.urlsafe_b64encode((folder / "ers.der").read_bytes()).rstrip(b"=").decode()


def main(build):
    with Cluster(build, "servers") as cluster:
        certificate = recovery_certificate(cluster.home)
        for index in cluster.servers:
            rig.change(cluster, index, "sessionTimeout: 60", f"sessionTimeout: 60\n  ersCertificates: [{certificate}]")
            rig.use_aesgcm(cluster, index, "a-key-of-the-documentation-test-0123456789")
            rig.change(cluster, index, "sessionTimeout: 60",
                       f"sessionTimeout: 60\n  importKeys: true\n  auditLog: {cluster.home}/audit{index}.log")
        cluster.start_all()
        work = cluster.home / "work"
        work.mkdir()
        for name in ("ers.der", "ers.key"):
            shutil.copy(cluster.home / name, work / name.replace("ers", "recovery"))
        env = dict(os.environ, API=cluster.url(1, "api"), ADMIN=cluster.url(1, "admin"),
                   API1=cluster.url(0, "api"), API2=cluster.url(2, "api"),
                   CONFIG=str(cluster.dir / "participant1/config.yml"),
                   PATH=f"{cluster.build}/service/daemon:{cluster.build}/service/cli:{os.environ['PATH']}")

        def commands_work(page, least):
            blocks = blocks_of(page)
            need(len(blocks) >= least, f"{page}: only {len(blocks)} blocks")
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(blocks)], env=env, cwd=work, text=True,
                                  capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
            need(done.returncode == 0, f"{page}: exit {done.returncode}\n{done.stdout}{done.stderr}")
            return done.stdout

        def the_api_page_works_as_written():
            need("Verified OK" in commands_work("api.md", 6), "openssl did not verify")

        def the_operations_page_works_as_written():
            commands_work("operations.md", 3)

        def the_command_line_page_works_as_written():
            need("Verified OK" in commands_work("cli.md", 4), "openssl did not verify")

        return run_facts([the_api_page_works_as_written, the_command_line_page_works_as_written,
                          the_operations_page_works_as_written])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
