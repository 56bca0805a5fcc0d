#!/usr/bin/env python3
"""tdsa as a client that is a participant itself: --config, its PIN, the module's keys. usage: test_cli_client.py BUILD"""
import hashlib
import subprocess
import sys

from rig_cli import Cluster, Tdsa, need, openssl, rig, run_facts

MESSAGE = b"signed by a client"


def main(build):
    with Cluster(build, "client") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, "a-key-of-the-command-line-test-0123456789")
        rig.change(cluster, 0, "sessionTimeout: 60", f"sessionTimeout: 60\n  auditLog: {cluster.home}/audit.log")
        cluster.start_all()
        return run_facts(facts_of(Tdsa(cluster)))


def facts_of(tdsa):
    cluster, work = tdsa.cluster, tdsa.work
    pin_file = cluster.dir / "participant0/pin"
    (work / "letter").write_bytes(MESSAGE)

    def mine(**more):
        return tdsa.env(config=0, **more)

    def ok(*arguments, **more):
        return tdsa.ok(*arguments, "--quiet", "--pin-file", pin_file, env=mine(), **more)

    def a_client_makes_and_uses_its_key():
        ok("key", "create", "mine", "--curve", "P-256", "--derivation", "none")
        (work / "mine.pem").write_text(ok("key", "public-key", "mine"))
        ok("key", "presign", "mine", "--count", "10")
        ok("key", "sign", "mine", "--in", "letter", "--out", "letter.sig")
        openssl("dgst", "-sha256", "-verify", work / "mine.pem", "-signature", work / "letter.sig", work / "letter")
        need("mine" in ok("key", "list") and "ACTIVE" in ok("key", "show", "mine"), "list and show")

    def a_server_sends_one_to_the_client():
        need("mine" in tdsa.ok("key", "list"), "a server does not show the key")
        doc = tdsa.fails(4, "the client", "key", "sign", "mine", "--in", "letter")
        need(doc["error"] == "CLIENT_PARTICIPATES", doc)

    def the_module_has_the_same_keys():
        cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--label", "from-the-module", "--id", "07")
        key = [k["keyId"] for k in tdsa.doc("key", "list", "--quiet", env=mine())["keys"]
               if k["label"] == "from-the-module"]
        need(len(key) == 1, key)
        digest = hashlib.sha256(MESSAGE).hexdigest()
        (work / "module.sig").write_bytes(bytes.fromhex(ok("key", "sign", key[0], "--digest", digest)))
        (work / "module.pem").write_text(ok("key", "public-key", key[0]))
        openssl("dgst", "-sha256", "-verify", work / "module.pem", "-signature", work / "module.sig", work / "letter")

    def what_is_public_needs_no_pin():
        need("mine" in tdsa.ok("key", "list", "--quiet", env=mine()), "list")
        tdsa.ok("key", "stock", "mine", "--quiet", env=mine())

    def the_pin_is_asked_for_without_echo():
        sign = ("key", "sign", "mine", "--in", "letter", "--quiet")
        code, shown = tdsa.on_terminal(*sign, env=mine(), typed=[("PIN of the token:", cluster.pin)])
        need(code == 0 and cluster.pin not in shown, f"exit {code}: {shown}")
        code, shown = tdsa.on_terminal(*sign, env=mine(), typed=[("PIN of the token:", "wrong-one")])
        need(code == 1 and "PIN" in shown and "wrong-one" not in shown, f"exit {code}: {shown}")

    def a_wrong_pin_file_is_named():
        (work / "empty").write_text("")
        tdsa.fails(2, "empty", "key", "sign", "mine", "--in", "letter", "--quiet", "--pin-file", "empty", env=mine())
        tdsa.fails(2, "no-such-pin", "key", "sign", "mine", "--in", "letter", "--quiet", "--pin-file", "no-such-pin",
                   env=mine())

    def new_shares_and_the_end():
        ok("key", "reshare", "mine")
        log = (cluster.home / "audit.log").read_text()
        need('"event":"key.reshare","keyId":"mine"' in log, f"not recorded: {log}")
        tdsa.ok("audit", "verify", cluster.home / "audit.log")
        ok("key", "sign", "mine", "--in", "letter", "--out", "letter.sig")
        openssl("dgst", "-sha256", "-verify", work / "mine.pem", "-signature", work / "letter.sig", work / "letter")
        ok("key", "delete", "mine", "--yes")
        need("DELETING" in ok("key", "show", "mine"), "its state")
        ok("key", "undelete", "mine")
        need("ACTIVE" in ok("key", "show", "mine"), "its state")

    def a_share_of_a_server_comes_back_and_the_client_refreshes_it():
        (work / "passphrase").write_text("correct horse battery staple\n")
        tdsa.ok("backup", "mine", "--out", "of1.backup", "--passphrase-file", "passphrase", env=tdsa.env(1))
        lose_database(1)
        need("RESTORED" in tdsa.ok("restore", "of1.backup", "--passphrase-file", "passphrase", env=tdsa.env(1)), "state")
        doc = tdsa.fails(4, "refresh", "recovery", "info", "mine", "--local", env=tdsa.env(1))
        need(doc["error"] == "KEY_NOT_ACTIVE", doc)
        ok("key", "sign", "mine", "--in", "letter")
        need(tdsa.doc("key", "show", "mine", env=tdsa.env(1))["state"] == "ACTIVE", "not refreshed")

    def the_database_of_a_client_is_lost_and_the_module_signs_again():
        key = [k["keyId"] for k in tdsa.doc("key", "list", "--quiet", env=mine())["keys"] if k["label"] == "from-the-module"][0]
        secret = ("--passphrase-file", "passphrase")
        for name in ("mine", key):
            ok("backup", name, "--out", f"{name}.backup", *secret)
        lose_database(0)
        need("mine" not in ok("key", "list"), "nothing is lost")
        for name in ("mine", key):
            need("RESTORED" in ok("restore", f"{name}.backup", *secret), "state")
        done = subprocess.run(["openssl", "dgst", "-sha256", "-binary", work / "letter"], capture_output=True, check=True)
        (work / "digest").write_bytes(done.stdout)
        cluster.tool_ok("--sign", "--mechanism", "ECDSA", "--label", "from-the-module", "--signature-format", "openssl",
                        "--input-file", work / "digest", "--output-file", work / "module.sig")
        openssl("dgst", "-sha256", "-verify", work / "module.pem", "-signature", work / "module.sig", work / "letter")
        for name in ("mine", key):
            need("ACTIVE" in ok("key", "show", name), f"{name} is not refreshed")

    def lose_database(index):
        if index in cluster.servers:
            cluster.stop(index)
        for path in (cluster.dir / f"participant{index}").iterdir():
            if path.is_file() and (path.name.endswith(".db") or ".db-" in path.name):
                path.unlink()
        if index in cluster.servers:
            cluster.start(index)

    return [a_client_makes_and_uses_its_key, a_server_sends_one_to_the_client, the_module_has_the_same_keys,
            what_is_public_needs_no_pin, the_pin_is_asked_for_without_echo, a_wrong_pin_file_is_named,
            new_shares_and_the_end, a_share_of_a_server_comes_back_and_the_client_refreshes_it,
            the_database_of_a_client_is_lost_and_the_module_signs_again]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
