#!/usr/bin/env python3
"""What the module writes: nothing unless it is asked to; one line for each call that fails, with the session that the
peers' lines have too; never a PIN, a message or a key. usage: test_logging.py BUILD"""
import base64
import hashlib
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from clients import run_test  # noqa: E402
from cluster import Caller, need, run_facts  # noqa: E402
from rig_network import DEVICE_ERROR, PROHIBITED, REMOVED, Network  # noqa: E402

MESSAGE = b"planted message 6fb1c2, which nobody may log\n"
LINE = re.compile(r"tdsa-pkcs11\[\d+\] (?:ERROR|WARN) C_Sign: CKR_[A-Z_]+: [A-Z_]+: .*participant \d.* "
                  r"\(handle \d+, session ([\w-]{8})\)")


def main(cluster):
    net = Network(cluster)
    everything = []  # all that was written at level debug

    def session_of_failure(app, code):
        before = len(app.log())
        net.fails(app, code)
        lines = [line for line in app.log()[before:].splitlines() if " C_Sign: CKR_" in line]
        found = LINE.fullmatch(lines[0])
        need(found, f"not the form of a line: {lines[0]}")
        return found.group(1)

    def peer_knows(index, session, word):
        lines = [line for line in cluster.log(index).splitlines() if f"session {session}" in line and word in line]
        need(lines, f"no line of participant {index} with session {session} and {word!r}")

    def a_key_is_made():
        with net.application("2s", TDSA_PKCS11_LOG="debug") as app:
            need(app.ask("keygen p256 k") == ["ok k"], f"no key: {app.log()}")
            net.signs(app)
            everything.append(app.log())

    def peers_that_hang_or_are_down_are_named_with_the_session_that_all_peers_logged():
        with net.application("2s", TDSA_PKCS11_LOG="debug") as app:
            net.signs(app)
            with cluster.frozen(2):
                session = session_of_failure(app, DEVICE_ERROR)
            for index in (1, 2):
                peer_knows(index, session, "opened by participant 0")
            net.signs(app, "after the peer went on")
            cluster.stop(2)
            session_of_failure(app, REMOVED)
            peer_knows(1, session_of_failure(app, REMOVED), "opened by participant 0")
            everything.append(app.log())

    def a_refusal_by_policy_has_the_session_of_the_peers_line():
        path = cluster.dir / "participant2/config.yml"
        home = path.read_text()
        other = [(cluster.dir / f"participant1/{kind}.public").read_text() for kind in ("primary", "secondary")]
        path.write_text(home.replace("  participantIndex:", "  clients:\n    - name: another\n      primaryPublicKey: "
                                     f"{other[0]}\n      secondaryPublicKey: {other[1]}\n  participantIndex:"))
        cluster.start(2)
        cluster.wait_ready(2)
        with net.application("2s", TDSA_PKCS11_LOG="debug") as app:
            peer_knows(2, session_of_failure(app, PROHIBITED), "not in the list of clients")
            everything.append(app.log())
        cluster.stop(2)
        path.write_text(home)

    def nothing_is_written_unless_asked_for():
        quiet = {key: "" for key in ("TDSA_PKCS11_LOG", "TDSA_PKCS11_LOG_FILE")}
        errors = cluster.dir / "logs" / "caller.log"
        for asked, level in ((False, ""), (True, "warn")):
            before = errors.stat().st_size
            app = Caller(cluster, {**quiet, "TDSA_PKCS11_LOG": level,
                                   "TDSA_PKCS11_CONFIG": str(net.config("2s", {}))})
            need(app.ask("sign k 1") == [REMOVED], "the signature did not fail")
            need(app.ask("list") == ["ok k"], "something else on stdout")
            need(app.close() == 0, "the application ended badly")
            written = errors.read_bytes()[before:].decode()
            need(("C_Sign: CKR_DEVICE_REMOVED" in written) == asked and (asked or written == ""),
                 f"log {level!r}, stderr: {written!r}")

    def a_wrong_pin_is_one_line_without_the_pin():
        path = cluster.dir / "logs" / "pin.log"
        done = cluster.tool("-O", pin="wrong-pin-5512", env=cluster.module_env(
            TDSA_PKCS11_LOG="debug", TDSA_PKCS11_LOG_FILE=str(path)))
        need(done.returncode != 0, "a wrong PIN was taken")
        lines = [line for line in path.read_text().splitlines() if " ERROR C_Login: CKR_PIN_INCORRECT: " in line]
        need(len(lines) == 1, f"not one line: {path.read_text()}")
        need("wrong-pin" not in path.read_text(), "the PIN is in the log")
        everything.append(path.read_text())

    def keys_of_messages_sign_and_fail():
        path = cluster.dir / "logs" / "message.log"
        env = cluster.module_env(TDSA_PKCS11_LOG="debug", TDSA_PKCS11_LOG_FILE=str(path),
                                 TDSA_PKCS11_CONFIG=str(net.config("2s", {})))
        message = cluster.home / "message"
        message.write_bytes(MESSAGE)
        sign = ["--sign", "--mechanism", "ECDSA-SHA256", "--id", "6d", "--input-file", message, "--output-file",
                cluster.home / "message.sig"]
        cluster.start(2)
        cluster.wait_ready(2)
        cluster.tool_ok("--keypairgen", "--key-type", "EC:prime256v1", "--id", "6d", "--label", "m",
                        "--allowed-mechanisms", "ECDSA-SHA256", env=env)
        cluster.tool_ok(*sign, env=env)
        cluster.stop(2)
        done = cluster.tool(*sign, env=env)
        need("CKR_DEVICE_REMOVED" in done.stderr, f"it did not fail: {done.stdout}{done.stderr}")
        everything.append(path.read_text())

    def no_line_of_anybody_holds_a_pin_a_message_or_a_key():
        everything.extend(cluster.log(index) for index in cluster.servers)
        need("DEBUG" in cluster.log(1) and all(everything), "there are no lines at level debug")
        planted = [cluster.pin.encode(), MESSAGE, hashlib.sha256(MESSAGE).digest()]
        for folder in cluster.dir.glob("participant*"):
            planted += [base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))[-32:]
                        for key in ((folder / f"{kind}.private").read_text().strip()
                                    for kind in ("primary", "secondary"))]
            planted.append((folder / "pin").read_bytes().strip())
        text = "\n".join(everything)
        for value in planted:
            forms = [value.hex(), value.hex().upper(), base64.b64encode(value).decode()[:24],
                     base64.urlsafe_b64encode(value).decode()[:24]]
            forms += [value.decode().strip()] if value.isascii() else []
            for form in forms:
                need(form not in text, f"{form} is in a log")

    return run_facts([
        a_key_is_made, peers_that_hang_or_are_down_are_named_with_the_session_that_all_peers_logged,
        a_refusal_by_policy_has_the_session_of_the_peers_line, nothing_is_written_unless_asked_for,
        a_wrong_pin_is_one_line_without_the_pin, keys_of_messages_sign_and_fail,
        no_line_of_anybody_holds_a_pin_a_message_or_a_key])


if __name__ == "__main__":
    os.environ["TDSA_LOG_LEVEL"] = "DEBUG"
    run_test(main)
