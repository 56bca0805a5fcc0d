#!/usr/bin/env python3
"""The wrapping token of a daemon goes away, hangs and refuses its PIN, while the others and the clients go on; the data
key is unwrapped for each use. Its errors and the PIN with TDSA_TEST_LONG=1. usage: test_token.py BUILD"""
import hashlib
import os
import pathlib
import sys
import threading

import rig
from rig import expect, make_key
from cluster import Cluster, need, run_facts, wait_for

SHIM = "tests/conformance/keystore/libsofthsm_shim.so"
PIN_COUNT_LOW = 0x00010000  # CKF_USER_PIN_COUNT_LOW
PIN_INCORRECT = 0xA0        # CKR_PIN_INCORRECT


def main(build):
    with Cluster(build, "servers") as cluster:
        config = cluster.dir / "participant0/config.yml"
        text = config.read_text()
        module = text.split("module-path=")[1].split("&")[0].split()[0].strip('"')
        config.write_text(text.replace(module, str(pathlib.Path(build).resolve() / SHIM)))
        rig.change(cluster, 0, "  storageConfiguration:",
                   "  storageConfiguration:\n    dataKeyLifetime: 0s\n    cacheSize: 0")
        os.environ["TDSA_SHIM_FAULTS"] = str(cluster.home / "faults")
        os.environ.setdefault("TDSA_SOFTHSM_MODULE", module)
        cluster.start_all()
        make_key(cluster, 0, "k")
        return run_facts(facts_of(cluster))


def facts_of(cluster):
    count = [0]
    lock = threading.Lock()
    faults = cluster.home / "faults"

    def sign(index):
        with lock:
            count[0] += 1
            digest = hashlib.sha256(str(count[0]).encode()).hexdigest()
        return cluster.call("POST", index, "api", "/v1/keys/k/sign", {"hash": digest})

    def signs(index):
        return sign(index)[0] == 200

    def ready():
        return cluster.get(0, "admin", "/health/ready")

    def alarms():
        return cluster.log(0).count("the data key cannot be unwrapped")

    def load(during):
        """Signatures at 0 and 1 while something happens: every answer is one that the page of the API names."""
        answers, ended = [], threading.Event()

        def work(index):
            while not ended.is_set():
                answers.append((index, *sign(index)))

        threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1, 0)]
        for thread in threads:
            thread.start()
        try:
            during()
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        for index, status, body in answers:
            need(status in (200, 503, 504, 502), f"participant {index} answers {status}: {body}")
        return answers

    def trouble(code, text):
        """Participant 0 refuses with a reason, says so once and in its readiness, and stays healthy."""
        before = alarms()

        def refuses():
            status, body = sign(0)
            return status == 503 and body["error"] == code and text in body["message"] and body

        wait_for(refuses, 30, f"{code} with '{text}'; it says {sign(0)}")
        wait_for(lambda: ready()[0] == 503, 30, "the readiness to fail")
        report = ready()[1]["checks"]
        need(report["wrapping"]["ready"] is False and text in report["wrapping"]["message"], f"readiness: {report}")
        need(report["database"]["ready"] is True, f"readiness: {report}")
        need(cluster.get(0, "admin", "/healthcheck")[0] == 200, "the health check fails")
        expect(cluster.get(0, "api", "/v1/keys/k"), 200)
        for _ in range(5):
            sign(0)
        need(alarms() <= before + 1, "the log says it more than once")

    def heals():
        wait_for(lambda: signs(0), 30, f"participant 0 to sign; it says {sign(0)}")
        wait_for(lambda: signs(1), 30, f"participant 1 to sign; it says {sign(1)}")
        cluster.wait_ready(0)

    def a_token_that_is_taken_away_and_put_back_under_load():
        tokens = cluster.dir / "participant0/softhsm/tokens"

        def away_and_back():
            tokens.rename(tokens.with_name("away"))
            tokens.mkdir()
            trouble("WRAPPING", "is missing")
            status, body = sign(1)  # it needs participant 0
            need(status != 200 and body["participantIndex"] == 0, f"participant 1 says {status} {body}")
            tokens.rmdir()
            tokens.with_name("away").rename(tokens)
            heals()

        answers = load(away_and_back)
        need(any(status == 200 for _, status, _ in answers), "no signature under load")
        need("can be unwrapped again" in cluster.log(0), "the log does not say that it works again")

    def a_module_that_hangs():
        faults.write_text("hang C_Decrypt 600000\n")
        trouble("WRAPPING", "still hangs")
        faults.write_text("")
        heals()

    def a_pin_that_is_refused():
        faults.write_text(f"fail C_Login {PIN_INCORRECT}\nflags {PIN_COUNT_LOW}\n")
        trouble("LOGIN", "is not tried again")
        faults.write_text("")
        heals()

    def every_error_of_the_module():
        for function in ("C_Initialize", "C_GetSlotList", "C_OpenSession", "C_Decrypt"):
            faults.write_text(f"fail {function} 0x32\n")  # CKR_DEVICE_REMOVED
            trouble("WRAPPING", "CKR_DEVICE_REMOVED")
        faults.write_text("")
        heals()

    short = [a_token_that_is_taken_away_and_put_back_under_load, a_module_that_hangs]
    return short + ([a_pin_that_is_refused, every_error_of_the_module] if os.environ.get("TDSA_TEST_LONG") else [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
