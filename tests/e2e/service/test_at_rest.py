#!/usr/bin/env python3
"""What shares are kept under: a plugin, a token, an encryption key. usage: test_at_rest.py BUILD"""
import os
import pathlib
import subprocess
import sys

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

    return [a_plugin_of_the_folder_keeps_the_shares, a_wrong_argument_is_named_by_check_values,
            a_plugin_that_is_not_there_ends_the_start, a_pin_that_is_gone_from_the_environment_is_named]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
