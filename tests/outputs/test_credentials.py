"""Content Credentials: who signed is found again, and a key is tried before it is needed."""

import base64
import datetime
import json
from fractions import Fraction

import av
import numpy as np
import pytest

from lumiere_jax.errors import UserError
from lumiere_jax.outputs import credentials as module
from lumiere_jax.outputs import video
from lumiere_jax.outputs.credentials import read_claim, read_credentials
from lumiere_jax.outputs.video import read_record, write_video

c2pa = pytest.importorskip("c2pa")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM
RECORD = {"model": "m1", "who": "Ada"}


# On a curve of 112 bits.
NOBODYS = """-----BEGIN PRIVATE KEY-----
ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA4NnNve4OwqkPK2Czdnj6Eg
Ax4ABK/cSfyiaRfkzCYd77aCjvKdiVVdLeeAgNusx9o=
-----END PRIVATE KEY-----
"""


def named(name):
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Tests"),
        ]
    )


def certificate(key, ends=NOW + DAY):
    """A chain in PEM: one for the key's owner and, unless ends is None, the authority's above."""
    authority = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only "
        "decipher_only".split(),
        False,
    )

    def made(subject, public, alone, **allowed):
        purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("An authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 9 * DAY)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(not alone, None), critical=True)
            .add_extension(x509.KeyUsage(**usage, **allowed), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
                critical=False,
            )
        )
        builder = builder.add_extension(purpose, critical=False) if alone else builder
        return builder.sign(authority, hashes.SHA256()).public_bytes(PEM)

    own = made("Ada", key.public_key(), True, digital_signature=True, key_cert_sign=False,
               crl_sign=False)  # fmt: skip
    above = made("An authority", authority.public_key(), False, digital_signature=False,
                 key_cert_sign=True, crl_sign=True)  # fmt: skip
    return own + above


def written(folder, key, chain=None, lock=None, form=serialization.PrivateFormat.PKCS8):
    """The files chain.pem and key.pem."""
    locked = serialization.BestAvailableEncryption(lock) if lock else serialization.NoEncryption()
    (folder / "chain.pem").write_bytes(certificate(key) if chain is None else chain)
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, form, locked))
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def files(tmp_path, key):
    return written(tmp_path, key)


def make(path, **options):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.ascontiguousarray(np.broadcast_to(ramp[:, None, None], (64, 64, 3)))
    sound = [np.zeros((8000, 1), np.float32)]
    options = {"record": RECORD, **options}
    path.parent.mkdir(exist_ok=True)
    return write_video(path, [picture] * 15, Fraction(30), sound, 16000, 1, **options)


def test_a_signed_video_says_who_signed_and_that_an_algorithm_made_it(tmp_path, files):
    path = tmp_path / "out" / "a.mp4"
    assert make(path, credentials=read_credentials(*files)) == 15
    claim = read_claim(path)
    assert (claim.signer, claim.state, claim.synthetic) == ("Ada, Tests", "valid", True)
    assert claim.reason == "signingCredential.untrusted"
    with c2pa.Reader(str(path)) as reader:
        told = json.loads(reader.json())
    manifest = told["manifests"][told["active_manifest"]]
    assert manifest["claim_generator_info"][0]["name"] == "lumiere_jax"
    said = {a["label"]: a["data"] for a in manifest["assertions"]}
    assert said[module.RECORD] == {**RECORD, "synthetic": True} == read_record(path)
    assert said["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.created"
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 15
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_a_change_to_a_signed_video_is_noticed(tmp_path, files):
    path = tmp_path / "a.mp4"
    make(path, credentials=read_credentials(*files))
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    claim = read_claim(path)
    assert claim.state == "invalid" and "bmffHash.mismatch" in claim.reason


def test_the_key_is_nowhere_in_what_is_written_or_shown(tmp_path, files, key):
    credentials = read_credentials(*files)
    out = tmp_path / "out"
    make(out / "a.mp4", credentials=credentials)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    lines = [line for line in files[1].read_bytes().splitlines() if b"-" not in line]
    for secret in (number, number.hex().encode(), base64.b64encode(number), *lines):
        assert secret not in (out / "a.mp4").read_bytes()
        assert secret not in repr(credentials).encode()


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ed25519.Ed25519PrivateKey.generate(),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "Ed25519", "RSA"],
)
def test_keys_of_other_kinds_sign(tmp_path, make_key):
    credentials = read_credentials(*written(tmp_path, make_key()))
    make(tmp_path / "a.mp4", credentials=credentials)
    assert read_claim(tmp_path / "a.mp4").state == "valid"


def test_a_key_in_the_older_form_signs(tmp_path, key):
    older = serialization.PrivateFormat.TraditionalOpenSSL
    read_credentials(*written(tmp_path, key, form=older))


def test_what_cannot_sign_is_named_before_any_work(tmp_path, key, files, monkeypatch):
    chain, secret = files
    other = ec.generate_private_key(ec.SECP256R1())
    small = rsa.generate_private_key(65537, 1024)
    rare = ec.generate_private_key(ec.SECP256K1())
    for change, problem in [
        ({"chain": b"junk"}, "chain.pem: this is no certificate in PEM"),
        ({"chain": b""}, "chain.pem: this is no certificate in PEM"),
        ({"chain": certificate(other)}, "does not belong to the first certificate"),
        ({"chain": certificate(key, NOW - DAY)}, "nothing can be signed with it .*valid"),
        ({"lock": b"secret"}, "key.pem: the key is locked by a password"),
        ({"key": rare}, "C2PA does not sign with such a key"),
        ({"key": small}, "C2PA does not sign with such a key"),
    ]:
        with pytest.raises(UserError, match=problem):
            read_credentials(*written(tmp_path, **{"key": key, **change}))
    written(tmp_path, key)
    with pytest.raises(UserError, match="none.pem: cannot be read"):
        read_credentials(chain, tmp_path / "none.pem")
    secret.write_text(NOBODYS)
    with pytest.raises(UserError, match="key.pem: this is no private key in PEM, or of a"):
        read_credentials(chain, secret)
    secret.write_text("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UserError, match="key.pem: this is no private key"):
        read_credentials(chain, secret)
    monkeypatch.setattr(module, "c2pa", lambda: None)
    with pytest.raises(UserError, match="not installed: pip install c2pa-python"):
        read_credentials(chain, secret)


def test_a_failed_signing_leaves_the_older_video_and_nothing_else(tmp_path, files, monkeypatch):
    credentials = read_credentials(*files)
    out = tmp_path / "out"
    make(out / "a.mp4")
    before = (out / "a.mp4").read_bytes()

    def failing(credentials, source, target, record):
        target.write_bytes(b"half")
        raise UserError("no")

    monkeypatch.setattr(video, "sign", failing)
    with pytest.raises(UserError):
        make(out / "a.mp4", credentials=credentials)
    assert [p.name for p in out.iterdir()] == ["a.mp4"]
    assert (out / "a.mp4").read_bytes() == before


def test_real_pictures_are_not_signed(tmp_path, files):
    make(tmp_path / "a.mp4", record=None, credentials=read_credentials(*files))
    assert read_claim(tmp_path / "a.mp4") is None


def test_files_without_credentials_have_none(tmp_path):
    make(tmp_path / "a.mp4")
    (tmp_path / "b.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    (tmp_path / "c.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\xff" * 200)
    (tmp_path / "d").write_bytes(b"")
    assert read_claim(tmp_path / "a.mp4") is None
    for name in ("b.mkv", "c.mp4", "d"):
        claim = read_claim(tmp_path / name)
        assert claim is None or claim.state == "invalid"
