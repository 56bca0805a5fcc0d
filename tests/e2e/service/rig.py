"""What the tests of the daemon share: verifying with openssl, changing a configuration."""
import hashlib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from cluster import need  # noqa: E402

MESSAGE = b"the message that is signed"
DIGEST = hashlib.sha256(MESSAGE).hexdigest()


def expect(answer, status, code=None):
    """The answer has this status (and error code); gives its body."""
    need(answer[0] == status, f"status {answer[0]} instead of {status}: {answer[1]}")
    if code is not None:
        need(answer[1].get("error") == code, f"error {answer[1].get('error')} instead of {code}")
        need(answer[1].get("code") == status, f"the body says {answer[1].get('code')}")
    return answer[1]


def verify(folder, pem, signature_hex):
    """openssl accepts the signature of MESSAGE."""
    folder = pathlib.Path(folder)
    (folder / "message").write_bytes(MESSAGE)
    (folder / "signature").write_bytes(bytes.fromhex(signature_hex))
    (folder / "public.pem").write_text(pem)
    done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", folder / "public.pem", "-signature",
                           folder / "signature", folder / "message"], capture_output=True, text=True, check=False)
    need("Verified OK" in done.stdout, f"openssl: {done.stdout}{done.stderr}")


def make_key(cluster, index, key, curve="P-256", **more):
    """Registers a key and generates its shares through one participant; gives its PEM."""
    expect(cluster.call("POST", index, "api", "/v1/keys",
                        {"keyId": key, "curve": curve, "derivation": "none", **more}), 201)
    expect(cluster.call("POST", index, "api", f"/v1/keys/{key}/share", {}), 200)
    return expect(cluster.get(index, "api", f"/v1/keys/{key}/public-key"), 200)["pem"]


def sign(cluster, index, key, seconds=30, **more):
    return cluster.call("POST", index, "api", f"/v1/keys/{key}/sign", {"hash": DIGEST, **more}, seconds=seconds)


def change(cluster, index, old, new):
    """Replaces a piece of a participant's configuration."""
    path = cluster.dir / f"participant{index}/config.yml"
    text = path.read_text()
    need(old in text, f"{old} is not in {path}")
    path.write_text(text.replace(old, new, 1))


def use_aesgcm(cluster, index, secret):
    """Keeps the shares under an encryption key instead of a wrapping token."""
    path = cluster.dir / f"participant{index}/config.yml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines
            if not line.strip().startswith(("encryptor:", "encryptorArguments:", "createWrappingKey:"))]
    at = kept.index("  storageConfiguration:")
    kept.insert(at + 1, f"    encryptionKey: {secret}")
    path.write_text("\n".join(kept) + "\n")
