#!/usr/bin/env python3
"""Commands, documents, exit codes and manners of tdsa, with three daemons. usage: test_cli.py BUILD"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

from rig_cli import ROOT, Cluster, FakeApi, Tdsa, need, openssl, rig, run_facts

MESSAGE = b"the letter that is signed"


def main(build):
    with Cluster(build, "servers") as cluster:
        for index in cluster.servers:
            rig.use_aesgcm(cluster, index, "a-key-of-the-command-line-test-0123456789")
            rig.change(cluster, index, "sessionTimeout: 60",
                       f"sessionTimeout: 60\n  importKeys: true\n  auditLog: {cluster.home}/audit{index}.log")
        cluster.start_all()
        return run_facts(commands(Tdsa(cluster)) + manners(Tdsa(cluster)) + troubles(Tdsa(cluster)))


def commands(tdsa):
    work = tdsa.work
    (work / "letter").write_bytes(MESSAGE)

    def info_tells_who_answers():
        need(tdsa.doc("info")["participantIndex"] == 1, "another participant answers")
        need("Participant index" in tdsa.ok("info"), "no words for people")
        need(tdsa.doc("info", "--url", tdsa.cluster.url(2, "api") + "/")["participantIndex"] == 2, "--url")

    def a_key_is_made_shown_and_listed():
        doc = tdsa.doc("key", "create", "letters", "--curve", "P-256", "--derivation", "none", "--label", "Letters",
                       "--digests", "SHA-256,SHA-384")
        need((doc["keyId"], doc["state"], doc["digests"]) == ("letters", "ACTIVE", ["SHA-256", "SHA-384"]), doc)
        need(tdsa.doc("key", "show", "letters") == doc, "show differs from create")
        need("ACTIVE" in tdsa.ok("key", "show", "letters"), "show for people")
        tdsa.ok("key", "create", "wallet", "--curve", "secp256k1", "--path-prefix", "m/44", "--min-path", "2")
        listed = tdsa.ok("key", "list").splitlines()
        need(listed[0].split() == ["KEY", "CURVE", "SCHEME", "STATE", "OF", "LABEL"], listed)
        need(listed[1].index("P-256") == listed[2].index("secp256k1"), f"not aligned: {listed}")
        need([k["keyId"] for k in tdsa.doc("key", "list")["keys"]] == ["letters", "wallet"], "list")

    def a_registered_key_is_completed_by_the_same_command():
        need(tdsa.doc("key", "create", "later", "--curve", "Ed25519", "--register-only")["state"] == "REGISTERED", "state")
        need("later" not in tdsa.ok("key", "list"), "a key without shares is listed")
        need("later" in tdsa.ok("key", "list", "--all"), "--all does not list it")
        need(tdsa.doc("key", "create", "later", "--curve", "Ed25519")["state"] == "ACTIVE", "state")

    def public_keys_come_in_every_form():
        pem = tdsa.ok("key", "public-key", "letters")
        (work / "letters.pem").write_text(pem)
        tdsa.ok("key", "public-key", "letters", "--format", "spki", "--out", "letters.der")
        need(openssl("pkey", "-pubin", "-inform", "DER", "-in", work / "letters.der") == pem, "spki is another key")
        short = tdsa.ok("key", "public-key", "letters", "--format", "compressed").strip()
        long = tdsa.ok("key", "public-key", "letters", "--format=uncompressed").strip()
        need(len(short) == 66 and long[2:66] == short[2:], f"{short} {long}")
        need(tdsa.ok("key", "xpub", "wallet", "--path", "m/44/0/1").startswith("xpub"), "no xpub")

    def files_and_digests_are_signed():
        tdsa.ok("key", "sign", "letters", "--in", "letter", "--out", "letter.sig")
        openssl("dgst", "-sha256", "-verify", work / "letters.pem", "-signature", work / "letter.sig", work / "letter")
        need(tdsa.ok("key", "sign", "letters", "--in", "-", "--out", "piped.sig", data=MESSAGE) == "", "it talks")
        openssl("dgst", "-sha256", "-verify", work / "letters.pem", "-signature", work / "piped.sig", work / "letter")
        digest = hashlib.sha384(MESSAGE).hexdigest()
        (work / "sha384.sig").write_bytes(bytes.fromhex(tdsa.ok("key", "sign", "letters", "--digest", digest)))
        openssl("dgst", "-sha384", "-verify", work / "letters.pem", "-signature", work / "sha384.sig", work / "letter")
        doc = tdsa.doc("key", "sign", "wallet", "--in", "letter", "--path", "m/44/5", "--encoding", "rs")
        need(doc["encoding"] == "rs" and len(doc["signature"]) == 128, doc)

    def messages_are_signed_as_they_are():
        (work / "later.pem").write_text(tdsa.ok("key", "public-key", "later"))
        tdsa.ok("key", "sign", "later", "--in", "letter", "--out", "ed25519.sig")
        openssl("pkeyutl", "-verify", "-pubin", "-inkey", work / "later.pem", "-rawin", "-in", work / "letter",
                "-sigfile", work / "ed25519.sig")

    def parts_of_a_signature_are_combined():
        tdsa.ok("key", "presign", "letters", "--count", "4")
        first = tdsa.doc("key", "stock", "letters", "--ranges", "1")["ranges"][0]["first"]
        parts = []
        for index in tdsa.cluster.servers:
            parts.append(f"part{index}")
            tdsa.ok("key", "partial-sign", "letters", first, "--in", "letter", "--out", parts[-1],
                    env=tdsa.env(index))
        tdsa.fails(2, "missing", "key", "combine", "letters", *parts[:2])
        tdsa.fails(2, "partialSignature", "key", "combine", "letters", "letter")
        tdsa.ok("key", "combine", "letters", *parts, "--out", "combined.sig")
        openssl("dgst", "-sha256", "-verify", work / "letters.pem", "-signature", work / "combined.sig", work / "letter")
        (work / "other").write_bytes(b"another letter")
        tdsa.fails(4, "another request", "key", "partial-sign", "letters", first, "--in", "other")

    def a_share_is_backed_up_under_a_passphrase():
        (work / "passphrase").write_text("correct horse battery staple\n")
        (work / "wrong").write_text("incorrect horse battery staple\n")
        tdsa.ok("backup", "letters", "--out", "letters.backup", "--passphrase-file", "passphrase")
        need("staple" not in (work / "letters.backup").read_text(), "the passphrase is in the backup")
        tdsa.fails(2, "passphrase", "backup", "letters", "--out", "none")
        need(not (work / "none").exists(), "a backup without a passphrase")
        tdsa.fails(2, "backup", "restore", "letter", "--passphrase-file", "passphrase")
        tdsa.fails(4, "letters", "restore", "letters.backup", "--passphrase-file", "passphrase")  # it is there
        tdsa.fails(2, "--out", "backup", "letters", "--passphrase-file", "passphrase")

    def a_batch_is_signed_line_by_line():
        names = [f"page{i}" for i in range(300)]
        for name in names:
            (work / name).write_text(f"this is {name}")
        sums = subprocess.run(["sha256sum", *names], cwd=work, capture_output=True, text=True, check=True).stdout
        (work / "sums").write_text(sums)
        lines = tdsa.ok("key", "sign", "letters", "--batch", "sums").splitlines()
        need([line.split()[1] for line in lines] == names, "other names or another order")
        for name, line in list(zip(names, lines))[::100]:
            (work / "page.sig").write_bytes(bytes.fromhex(line.split()[0]))
            openssl("dgst", "-sha256", "-verify", work / "letters.pem", "-signature", work / "page.sig", work / name)
        need(len(tdsa.doc("key", "sign", "letters", "--batch", "-", data=sums.encode())["results"]) == 300, "results")

    def an_item_that_is_refused_does_not_fail_the_others():
        (work / "mixed").write_text(f"{'11' * 32}  good\n\n{'00' * 64}  long\n{'00' * 30}\n")
        code, out, err = tdsa.run("key", "sign", "letters", "--batch", "mixed")
        need(code == 4 and "2 of 3" in err, f"exit {code}: {err}")
        need([line.split()[0] for line in out.splitlines()][1:] == ["error", "error"] and "good" in out, out)
        tdsa.fails(2, "empty", "key", "sign", "letters", "--batch", "-")
        tdsa.fails(2, "line 3", "key", "sign", "letters", "--batch", "-", data=f"{'11' * 32} a\n\nzz b\n".encode())

    def what_was_signed_is_shown_when_a_later_request_fails():
        lines = "".join(f"{i:064x}  line{i}\n" for i in range(1, 601))
        good = (200, lambda body: {"results": [{"signature": f"{i:04x}"} for i in range(len(body["items"]))]})
        bad = (503, lambda _: {"code": 503, "error": "UNAVAILABLE", "message": "participant 2 does not answer", "participantIndex": 2})
        with FakeApi([good, bad]) as api:
            asked = ("key", "sign", "letters", "--batch", "-", "--url", api.url)
            code, out, err = tdsa.run(*asked, data=lines.encode())
            got = [line.split() for line in out.splitlines()]
            need(code == 5 and "350 of 600" in err and "participant 2" in err, f"exit {code}: {err}")
            need(got[249] == ["00f9", "line250"] and got[250] == ["error", "UNAVAILABLE", "line251"] and len(got) == 600, got[248:252])
            api.answers.insert(0, good)
            code, out, _ = tdsa.run(*asked, "--json", data=lines.encode())
            results = json.loads(out)["results"]
            need(code == 5 and len(results) == 600 and results[599]["error"]["participantIndex"] == 2, results[599])

    def presignatures_are_made_counted_and_dropped():
        need(tdsa.doc("key", "presign", "letters", "--count", "300")["made"] == 300, "made")
        need(tdsa.doc("key", "stock", "letters", "--ranges", "3")["available"] >= 290, "available")
        people = tdsa.ok("key", "stock", "letters", "--ranges", "3")
        need("Committees:" in people and "Ranges:" in people, people)
        need(tdsa.doc("key", "limit", "letters", "1000")["limit"] == 1000, "limit")
        need(tdsa.doc("key", "limit", "letters", "-1")["limit"] == -1, "limit")
        tdsa.fails(2, "--yes", "key", "stock", "letters", "--drop")
        need(tdsa.doc("key", "stock", "letters", "--drop", "--yes")["dropped"] > 250, "dropped")

    def an_existing_key_is_imported_from_pem_der_and_standard_input():
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", work / "old.pem")
        openssl("pkey", "-in", work / "old.pem", "-pubout", "-out", work / "old-public.pem")
        openssl("pkey", "-in", work / "old.pem", "-outform", "DER", "-out", work / "old.der")
        plain = ("--derivation", "none")
        doc = tdsa.doc("key", "import", "old.pem", "old", *plain, "--public-key", "old-public.pem")
        need((doc["keyId"], doc["state"]) == ("old", "ACTIVE"), doc)
        tdsa.ok("key", "import", "old.der", "old-der", *plain, "--public-key", "old-public.pem")
        tdsa.ok("key", "import", "-", "old-stdin", *plain, data=(work / "old.pem").read_bytes())
        for key in ("old", "old-der", "old-stdin"):
            need(tdsa.ok("key", "public-key", key) == (work / "old-public.pem").read_text(), f"{key} is another key")
        tdsa.ok("key", "sign", "old", "--in", "letter", "--out", "old.sig")
        openssl("dgst", "-sha256", "-verify", work / "old-public.pem", "-signature", work / "old.sig", work / "letter")

    def an_import_that_cannot_be_is_refused():
        tdsa.fails(2, "public key", "key", "import", "old.pem", "wrong", "--derivation", "none", "--public-key", "letters.pem")
        tdsa.fails(2, "", "key", "import", "letter", "wrong")
        tdsa.fails(2, "missing", "key", "import", "missing", "wrong")
        tdsa.fails(2, "another host", "key", "import", "old.pem", "wrong", "--url", "http://192.0.2.1:8080")
        tdsa.fails(2, "another host", "key", "import", "old.pem", "wrong", "--url", "http://127.0.0.1.example.com")
        tdsa.fails(4, "", "key", "import", "old.pem", "old", "--derivation", "none")

    def new_shares_sign():
        epoch = tdsa.doc("key", "show", "letters")["epoch"]
        doc = tdsa.doc("key", "reshare", "letters", "--members", "0,1,2", "--threshold", "1")
        need(doc["epoch"] == epoch + 1, doc)
        files_and_digests_are_signed()

    return [info_tells_who_answers, a_key_is_made_shown_and_listed, a_registered_key_is_completed_by_the_same_command,
            public_keys_come_in_every_form, files_and_digests_are_signed, messages_are_signed_as_they_are,
            parts_of_a_signature_are_combined, a_share_is_backed_up_under_a_passphrase,
            a_batch_is_signed_line_by_line, what_was_signed_is_shown_when_a_later_request_fails, an_item_that_is_refused_does_not_fail_the_others,
            presignatures_are_made_counted_and_dropped, an_existing_key_is_imported_from_pem_der_and_standard_input,
            an_import_that_cannot_be_is_refused, new_shares_sign]


def manners(tdsa):
    work = tdsa.work

    def nothing_is_drawn_into_a_pipe():
        need("\033" not in tdsa.ok("key", "list"), "colours in a pipe")
        tdsa.ok("key", "presign", "letters", "--count", "20")  # ok() wants standard error to be empty

    def a_terminal_shows_a_bar_and_bold_letters():
        code, shown = tdsa.on_terminal("key", "presign", "letters", "--count", "520")
        need(code == 0 and "####" in shown and "520/520" in shown, shown)
        code, shown = tdsa.on_terminal("key", "presign", "letters", "--count", "20", "--quiet")
        need(code == 0 and "20/20" not in shown, shown)
        need("\033[1m" in tdsa.on_terminal("key", "list")[1], "no bold heading")
        need("\033" not in tdsa.on_terminal("key", "list", env=tdsa.env(1, NO_COLOR="1"))[1], "NO_COLOR")

    def a_deletion_is_asked_for():
        tdsa.ok("key", "create", "scrap", "--curve", "P-256")
        tdsa.fails(2, "--yes", "key", "delete", "scrap")
        code, shown = tdsa.on_terminal("key", "delete", "scrap", typed=[("[y/N]", "n")])
        need(code == 4 and "nothing was done" in shown, f"exit {code}: {shown}")
        tdsa.ok("key", "show", "scrap")
        code, shown = tdsa.on_terminal("key", "delete", "scrap", typed=[("[y/N]", "y")])
        need(code == 0 and "DELETING" in shown, f"exit {code}: {shown}")

    def a_deletion_is_undone_within_its_grace_period():
        tdsa.fails(4, "undelete", "key", "sign", "scrap", "--digest", "11" * 32)
        need(tdsa.doc("key", "undelete", "scrap")["state"] == "ACTIVE", "undelete")
        tdsa.ok("key", "show", "scrap")
        tdsa.fails(2, "--grace", "key", "delete", "scrap", "--yes", "--grace", "soon")
        tdsa.fails(2, "grace", "key", "delete", "scrap", "--yes", "--grace", "1")
        doc = tdsa.doc("key", "delete", "scrap", "--yes", "--grace", "86400")
        need(doc["state"] == "DELETING" and tdsa.doc("key", "show", "scrap")["deletionTime"] == doc["deletionTime"], doc)
        tdsa.fails(3, "", "key", "undelete", "nobody")

    def a_key_without_shares_is_gone_at_once():
        tdsa.ok("key", "create", "gone", "--curve", "P-256", "--register-only")
        need(tdsa.doc("key", "delete", "gone", "--yes")["state"] == "DELETED", "state")

    def a_label_does_not_move_the_cursor():
        tdsa.ok("key", "create", "evil", "--curve", "P-256", "--label", "a\x1b[2Jb")
        need("\x1b" not in tdsa.ok("key", "list") and "a?[2Jb" in tdsa.ok("key", "list"), "an escape got through")
        tdsa.ok("key", "delete", "evil", "--yes")

    def errors_of_writing_are_seen():
        tdsa.fails(1, "No space left", "key", "sign", "letters", "--in", "letter", "--out", "/dev/full")
        for command in (["help"], ["key", "list", "--json"], ["key", "public-key", "letters"], ["completion", "bash"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([tdsa.program, *command], env=tdsa.env(1), stdout=full, stderr=subprocess.PIPE,
                                      check=False)
            need(done.returncode == 1 and b"No space left" in done.stderr, f"{command}: {done}")
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([tdsa.program, "help"], stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)
        need(done.returncode == 1 and b"Broken pipe" in done.stderr, f"closed pipe: {done}")
        tdsa.fails(1, "cannot be written", "key", "public-key", "letters", "--out", "no/such/folder/key.pem")

    def a_file_is_replaced_whole_and_links_stay():
        (work / "target").write_text("old")
        (work / "link").symlink_to("target")
        tdsa.ok("key", "public-key", "letters", "--out", "link")
        need((work / "link").is_symlink() and "BEGIN" in (work / "target").read_text(), "the link was replaced")
        left = [p.name for p in work.iterdir() if p.name.startswith(".")]
        need(left == [], f"left behind: {left}")

    def an_interrupt_leaves_no_file_and_is_seen():
        with tdsa.cluster.frozen(1):
            process = subprocess.Popen([tdsa.program, "key", "sign", "letters", "--in", "letter", "--out", "cut.sig"],
                                       cwd=work, env=tdsa.env(1), stderr=subprocess.PIPE)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            need(process.wait(timeout=10) == -signal.SIGINT, f"exit {process.returncode}")
        need(not [p for p in work.iterdir() if "cut.sig" in p.name], "a file was left")

    def the_manual_has_every_command_and_no_warning():
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", ROOT / "docs/man/tdsa.1"], capture_output=True, text=True,
                              check=True)
        need(done.stderr == "", done.stderr)
        for line in tdsa.ok("help").split("Commands")[1].split("Options")[0].splitlines()[1:]:
            if line.startswith("  ") and line[2] != " ":
                name = line[2:].split("  ")[0]
                need(f"tdsa {name}" in done.stdout.replace("\u2010", "-"), f"{name} is not in the manual")
                need("usage: tdsa " + name in tdsa.ok("help", *name.split()), f"help {name}")
                need("usage: tdsa " + name in tdsa.ok(*name.split(), "--help"), f"{name} --help")

    def program_page_and_completion_are_installed():
        place = work / "installed"
        subprocess.run(["cmake", "--install", tdsa.cluster.build, "--component", "cli"], env={**os.environ, "DESTDIR": str(place)},
                       check=True, capture_output=True)
        found = {str(p.relative_to(place)).split("/", 1)[1] for p in place.rglob("*") if p.is_file()}
        names = ("bin/tdsa", "share/man/man1/tdsa.1", "share/bash-completion/completions/tdsa")
        need(len(found) == 3 and all(any(f.endswith(n) for f in found) for n in names), found)
        (page,), (script,), (program,) = place.rglob("man1/tdsa.1"), place.rglob("completions/tdsa"), place.rglob("bin/tdsa")
        need(page.read_bytes() == (ROOT / "docs/man/tdsa.1").read_bytes(), "another page")
        need(script.read_text() == tdsa.ok("completion", "bash"), "another completion")
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        need(done.stdout == tdsa.ok("--version"), done)

    def bash_completes():
        script = work / "completion"
        script.write_text(tdsa.ok("completion", "bash"))

        def completed(*line):
            words = " ".join(f"'{w}'" for w in ("tdsa", *line))
            ask = (f". {script}; COMP_WORDS=({words}); COMP_CWORD={len(line)}; _tdsa; "
                   'printf "%s\\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "--norc", "-c", ask], cwd=work, capture_output=True, text=True, check=True)
            need(done.stderr == "", done.stderr)
            return done.stdout.split()

        need({"key", "info", "help"} <= set(completed("")), completed(""))
        need({"sign", "stock", "show"} == set(completed("key", "s")), completed("key", "s"))
        need("--digest" in completed("key", "sign", "letters", "--d"), completed("key", "sign", "letters", "--d"))
        need(completed("key", "create", "--curve", "P-2") == ["P-256"], completed("key", "create", "--curve", "P-2"))
        need(completed("key", "sign", "--in", "lette") == ["letter", "letter.sig", "letters.der", "letters.pem"]
             or "letter" in completed("key", "sign", "--in", "lette"), completed("key", "sign", "--in", "lette"))
        need(completed("--url", "http://x", "key", "lim") == ["limit"], "an option before the command")

    return [nothing_is_drawn_into_a_pipe, a_terminal_shows_a_bar_and_bold_letters, a_deletion_is_asked_for, a_deletion_is_undone_within_its_grace_period,
            a_key_without_shares_is_gone_at_once,
            a_label_does_not_move_the_cursor, errors_of_writing_are_seen, a_file_is_replaced_whole_and_links_stay,
            an_interrupt_leaves_no_file_and_is_seen, the_manual_has_every_command_and_no_warning,
            program_page_and_completion_are_installed, bash_completes]


def troubles(tdsa):
    def wrong_command_lines_end_with_2():
        tdsa.fails(2, "did you mean tdsa key sign", "key", "sgn", "letters")
        tdsa.fails(2, "did you mean --digest", "key", "sign", "letters", "--digset", "00")
        tdsa.fails(2, "no option --count", "key", "sign", "letters", "--count", "1")
        tdsa.fails(2, "argument is missing", "key", "show")
        tdsa.fails(2, "needs --curve", "key", "create", "x")
        tdsa.fails(2, "P-256, secp256k1", "key", "create", "x", "--curve", "P-999")
        tdsa.fails(2, "--in FILE, --digest HEX or --batch", "key", "sign", "letters")
        tdsa.fails(2, "stands alone", "key", "sign", "letters", "--in", "letter", "--batch", "letter")
        tdsa.fails(2, "no-such-file", "key", "sign", "letters", "--in", "no-such-file")
        tdsa.fails(2, "hash", "key", "sign", "letters", "--digest", "00")
        tdsa.fails(2, "no address", "info", "--url", "ftp://x")
        tdsa.fails(2, "give one of them", "info", "--url", "http://x", "--config", "x")
        tdsa.fails(2, "no-such.yml", "info", "--config", "no-such.yml")

    def unknown_and_deleted_keys_end_with_3():
        need(tdsa.fails(3, "nobody", "key", "show", "nobody")["error"] == "NOT_FOUND", "error")
        tdsa.fails(2, "no name of a key", "key", "show", "../v1")
        tdsa.fails(3, "key list", "key", "show", "...")
        need(tdsa.fails(3, "deleted", "key", "show", "gone")["code"] == 410, "a tombstone")

    def what_is_refused_ends_with_4():
        need(tdsa.fails(4, "path", "key", "public-key", "wallet")["error"] == "DENIED", "policy")
        tdsa.fails(4, "sha512", "key", "sign", "letters", "--in", "letter", "--algorithm", "SHA-512")
        tdsa.ok("key", "limit", "wallet", "5")
        need(tdsa.fails(4, "limit", "key", "presign", "wallet", "--count", "6")["error"] == "LIMIT", "limit")

    def a_server_has_its_daemon_act_with_others():
        config = tdsa.env(config=1)
        need(len(tdsa.doc("key", "list", "--quiet", env=config)["keys"]) >= 2, "its keys")
        need(tdsa.doc("info", "--quiet", env=config)["service"] == "tdsa", "who answered")
        pem = tdsa.ok("key", "public-key", "letters", "--quiet", env=config)
        need(pem == tdsa.ok("key", "public-key", "letters"), "another key")
        tdsa.fails(2, "--url", "key", "sign", "letters", "--in", "letter", "--quiet", env=config)

    def participants_that_are_away_end_with_5():
        tdsa.ok("key", "stock", "letters", "--drop", "--yes")
        tdsa.cluster.stop(2)
        doc = tdsa.fails(5, "participant 2", "key", "sign", "letters", "--in", "letter")
        need(doc["participantIndex"] == 2, doc)
        with tdsa.cluster.frozen(1):
            tdsa.fails(5, "in time", "info", "--timeout", "1")
        tdsa.cluster.stop(1)
        tdsa.fails(5, "does not answer", "info")

    return [wrong_command_lines_end_with_2, unknown_and_deleted_keys_end_with_3, what_is_refused_ends_with_4,
            a_server_has_its_daemon_act_with_others, participants_that_are_away_end_with_5]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
