#!/usr/bin/env python3
"""What shares are kept under: a plugin, a token, an encryption key. usage: test_at_rest.py BUILD"""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading

import rig
from rig import expect, make_key, sign, verify
from cluster import ROOT, Cluster, need, run_facts

PLUGIN = "com.example.KeyFile"


def storage(cluster, index, lines):
    """Replaces what storageConfiguration says about encryption."""
    path = cluster.dir / f"participant{index}/config.yml"
    kept = [line for line in path.read_text().splitlines()
            if not line.strip().startswith(("encryptor", "encryptionKey:", "createWrappingKey:"))]
    at = kept.index("  storageConfiguration:")
    kept[at + 1:at + 1] = ["    " + line for line in lines]
    path.write_text("\n".join(kept) + "\n")


def build_plugin(home):
    """The example, as its README says it."""
    source, build, lib = ROOT / "examples/encryptor-plugin", home / "key_file", home / "lib"
    for command in (["cmake", "-S", source, "-B", build], ["cmake", "--build", build]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        need(done.returncode == 0, f"{command}: {done.stdout}{done.stderr}")
    lib.mkdir(mode=0o755)
    lib.joinpath("key_file.so").write_bytes((build / "key_file.so").read_bytes())
    lib.joinpath("key_file.so").chmod(0o644)
    home.joinpath("wrap.key").write_bytes(os.urandom(32))
    home.joinpath("wrap.key").chmod(0o400)


def main(build):
    os.umask(0o022)
    with Cluster(build, "servers") as cluster:
        build_plugin(cluster.home)
        storage(cluster, 0, [f"encryptor: {PLUGIN}", f"encryptorPath: {cluster.home}/lib",
                             f"encryptorArguments: ['{cluster.home}/wrap.key', DATABASE_ENCRYPTION_KEY]",
                             "encryptionKey: the second secret of participant 0"])
        token = cluster.dir / "participant1"
        rig.change(cluster, 1, f"pin-source=file:{token}/pin", "pin-source=env:TDSA_TEST_PIN")
        rig.change(cluster, 1, "tdsaLibrary:\n", f"tdsaLibrary:\n  auditLog: {token}/audit.log\n")
        rig.use_aesgcm(cluster, 2, "secret of 2")
        os.environ["TDSA_TEST_PIN"] = (token / "pin").read_text().strip()
        cluster.start_all()
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    pem = make_key(cluster, 0, "k")

    def signs(index):
        verify(cluster.home, pem, expect(sign(cluster, index, "k"), 200)["signature"])

    def refused(index, *texts):
        """A start that ends with these words."""
        before = len(cluster.log(index))
        cluster.start(index, wait=False)
        code = cluster.process[index].wait(timeout=30)
        said = cluster.log(index)[before:]
        need(code != 0 and all(text in said for text in texts), f"exit {code}: {said[-1500:]}")
        need("second secret" not in said and "another secret" not in said, "a secret is in the log")

    def a_plugin_of_the_folder_keeps_the_shares():
        signs(0)
        cluster.stop(0)
        cluster.start(0)
        cluster.wait_ready(0)
        signs(0)

    def a_wrong_argument_is_named_by_check_values():
        cluster.stop(0)
        rig.change(cluster, 0, "the second secret", "another secret")
        refused(0, "wrapping key with check value")
        rig.change(cluster, 0, "another secret", "the second secret")

    def a_plugin_that_is_not_there_ends_the_start():
        path = pathlib.Path(cluster.home, "lib/key_file.so")
        path.rename(path.with_suffix(".away"))
        refused(0, f"no encryptor plugin in {cluster.home}/lib declares {PLUGIN}", "no *.so")
        path.with_suffix(".away").rename(path)
        path.chmod(0o666)
        refused(0, "key_file.so", "others may write to it")
        path.chmod(0o644)
        cluster.start(0)
        cluster.wait_ready(0)
        signs(0)

    def a_pin_that_is_gone_from_the_environment_is_named():
        cluster.stop(1)
        pin = os.environ.pop("TDSA_TEST_PIN")
        refused(1, "variable TDSA_TEST_PIN with the PIN of token wrap1 is not set")
        os.environ["TDSA_TEST_PIN"] = pin
        cluster.start(1)
        cluster.wait_ready(1)
        signs(1)

    def tdsa(index, *arguments, code=0, config="config.yml"):
        """A command on the machine of a participant, with its configuration."""
        command = [cluster.build / "service/cli/tdsa", "keystore", *arguments, "--json", "--config",
                   cluster.dir / f"participant{index}" / config]
        done = subprocess.run(list(map(str, command)), env={**os.environ, **cluster.softhsm_env(index)}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        need(done.returncode == code, f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
        need("secret of" not in done.stdout + done.stderr, "a secret is shown")
        return json.loads(done.stdout if code == 0 else done.stderr.splitlines()[-1])

    def records(index, number):
        """Every sealed record of a participant's database is under this data key."""
        head = bytes([2]) + number.to_bytes(4, "big")
        with sqlite3.connect(cluster.dir / f"participant{index}/tdsa.db") as db:
            for query in ("SELECT sealed FROM key WHERE length(sealed) > 0", "SELECT sealed FROM batch_data"):
                need(all(row[0][:5] == head for row in db.execute(query)), f"not under data key {number}: {query}")
            need([row[0] for row in db.execute("SELECT number FROM data_key")] == [number], "data keys that are left")

    class Signing:
        """Signs through all participants, all the time; no request may fail."""

        def __init__(self):
            self.end, self.failed, self.done = threading.Event(), [], [0, 0, 0]
            self.threads = [threading.Thread(target=self.work, args=(index,)) for index in cluster.servers]

        def work(self, index):
            while not self.end.is_set():
                status, answer = sign(cluster, index, "k")
                if status != 200:
                    self.failed.append((index, status, answer))
                self.done[index] += 1

        def __enter__(self):
            for thread in self.threads:
                thread.start()

        def __exit__(self, *error):
            self.end.set()
            for thread in self.threads:
                thread.join()
            need(not self.failed and min(self.done) > 0, f"{self.done} signatures, failed: {self.failed[:3]}")

    def keys_are_rotated_while_everybody_signs():
        before = tdsa(1, "status")
        need(before["dataKey"] == 1 and before["encryptor"] == "pkcs11" and before["finished"], str(before))
        with Signing():
            done = tdsa(1, "rotate-data-key", "--follow", "1")
            need(done["dataKey"] == 2 and done["rows"] > 0 and not done["resumed"] and done["finished"], str(done))
            new = tdsa(1, "rotate-wrapping-key", "--destroy-old", "--yes")
            need(new["oldCheckValue"] == before["checkValue"] != new["checkValue"], f"{before} {new}")
            need(new["oldKey"] == "destroyed", str(new))
            done = tdsa(1, "rotate-data-key", "--follow", "1")
            need(done["dataKey"] == 3 and done["checkValue"] == new["checkValue"], str(done))
            tdsa(2, "rotate-wrapping-key", "--destroy-old", "--yes", code=2)  # a secret text is no key of a token
            tdsa(0, "rotate-data-key", "--follow", "0")
        cluster.stop(1)
        records(1, 3)
        cluster.start(1)
        cluster.wait_ready(1)
        signs(1)
        signs(0)
        log = (cluster.dir / "participant1/audit.log").read_text()
        need(log.count("keystore.rotate-data-key") == 4 and log.count("keystore.rotate-wrapping-key") == 2, log)
        need("check value " + new["checkValue"] in log, "the new wrapping key is not in the log")

    def an_encryptor_is_changed_by_one_command():
        folder = cluster.dir / "participant2"
        text = (folder / "config.yml").read_text()
        uri = "pkcs11:token=wrap2;object=tdsa-wrap;type=secret-key?module-path=" + cluster.shell("softhsm_module").strip()
        storage(cluster, 2, ["encryptor: pkcs11", f"encryptorArguments: ['{uri}&pin-source=file:{folder}/pin']"])
        (folder / "new.yml").write_text((folder / "config.yml").read_text())
        (folder / "config.yml").write_text(text)
        with Signing():
            done = tdsa(2, "change-encryptor", "--to", folder / "new.yml")
            need(done["changed"] and done["oldEncryptor"] == "aesgcm" and done["encryptor"] == "pkcs11", str(done))
        need(not tdsa(2, "change-encryptor", "--to", folder / "new.yml")["changed"], "it was changed twice")
        cluster.stop(2)
        refused(2, "'pkcs11', but 'aesgcm' is configured")
        (folder / "new.yml").replace(folder / "config.yml")
        cluster.start(2)
        cluster.wait_ready(2)
        signs(2)

    return [keys_are_rotated_while_everybody_signs, an_encryptor_is_changed_by_one_command,
            a_plugin_of_the_folder_keeps_the_shares, a_wrong_argument_is_named_by_check_values,
            a_plugin_that_is_not_there_ends_the_start, a_pin_that_is_gone_from_the_environment_is_named]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
