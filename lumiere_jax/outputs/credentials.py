"""Content Credentials (C2PA): who signed a video, and that a trained algorithm made it.

c2pa-python, which is optional, writes and reads them offline: it requests no time stamps and
fetches no remote manifests.
"""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

import lumiere_jax
from lumiere_jax.errors import UserError, disk_is_full, is_disk_full

INSTALL = "pip install c2pa-python"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
RECORD = "org.lumiere-jax.record"
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
# C2PA's least size of an RSA key, in bits.
SMALLEST_RSA = 2048
LARGEST = 1 << 20


@dataclass(frozen=True)
class Credentials:
    """A certificate chain, the signer's first, and the signer's private key, both as PEM."""

    algorithm: str
    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Claim:
    """The content of a video's Content Credentials.

    Attributes:
      signer: Name and issuer of the signer's certificate.
      state: "trusted", "valid" (intact, but the signer is on no trust list) or "invalid".
      reason: C2PA's status codes, or why the credentials are invalid.
      synthetic: Whether they say that a trained algorithm made the media.
    """

    signer: str
    state: str
    reason: str
    synthetic: bool


def c2pa() -> ModuleType | None:
    """Returns the c2pa library; None where it is not installed."""
    try:
        import c2pa as library
    except ImportError:
        return None
    return library


def read_credentials(certificate: Path, key: Path) -> Credentials:
    """Reads a certificate chain and its key, and tests them by signing a picture in memory.

    Raises:
      UserError: c2pa-python is missing, a file cannot be read, certificate and key do not match,
        or they cannot sign.
    """
    if c2pa() is None:
        raise UserError(f"--certificate needs c2pa-python, which is not installed: {INSTALL}.")
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    chain, secret = (_bytes(path) for path in (certificate, key))
    try:
        signer = x509.load_pem_x509_certificates(chain)[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(
            f"--certificate={certificate}: this is no certificate in PEM; name the signer's, "
            "followed by those that vouch for it."
        ) from error
    try:
        private: Any = serialization.load_pem_private_key(secret, password=None)
    except TypeError as error:
        raise UserError(
            f"--key={key}: the key is locked by a password; name a copy without one that only "
            "you can read."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(
            f"--key={key}: this is no private key in PEM, or of a kind that nobody signs with."
        ) from error
    if private.public_key() != signer:
        raise UserError(
            f"--key={key} does not belong to the first certificate of --certificate={certificate}: "
            "name the signer's own key, and put the signer's certificate first."
        )
    algorithm = _algorithm(private)
    if algorithm is None:
        raise UserError(
            f"--key={key}: C2PA does not sign with such a key; use one of ECDSA (P-256, P-384 or "
            f"P-521), Ed25519 or RSA of {SMALLEST_RSA} bits and more."
        )
    plain = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    credentials = Credentials(algorithm, chain, plain)
    _try(credentials, certificate)
    return credentials


def sign(credentials: Credentials, source: Path, target: Path, record: dict) -> None:
    """Writes `target`: the MP4 `source` with a signed manifest that holds the record.

    Raises:
      UserError: the disk is full, or signing fails, for example with an expired certificate.
    """
    library: Any = c2pa()
    try:
        with source.open("rb") as given, target.open("w+b") as made:
            _sign(credentials, "video/mp4", given, made, record)
    except library.C2paError as error:
        if is_disk_full(error):
            raise disk_is_full(target.parent) from error
        raise UserError(f"{target.parent}: a video cannot be signed ({_said(error)}).") from error


def read_claim(path: Path) -> Claim | None:
    """Reads a file's Content Credentials; None where it has none that can be read."""
    library: Any = c2pa()
    try:
        with path.open("rb") as file, library.Context.from_dict(OFFLINE) as context:
            reader = library.Reader.try_create(None, file, context=context)
            if reader is None:
                return None
            with reader:
                state, manifests = reader.get_validation_state(), json.loads(reader.json())
    except (library.C2paError.NotSupported, ValueError, RecursionError):
        return None
    except library.C2paError as error:
        return Claim("", "invalid", _said(error), False)
    manifest = manifests.get("manifests", {}).get(manifests.get("active_manifest"), {})
    signature = manifest.get("signature_info") or {}
    names = [signature.get(name) for name in ("common_name", "issuer")]
    reasons = [status.get("code", "") for status in manifests.get("validation_status") or ()]
    actions = [
        action
        for assertion in manifest.get("assertions") or ()
        if assertion.get("label", "").startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions") or ()
    ]
    return Claim(
        signer=", ".join(name for name in dict.fromkeys(names) if name) or "someone unnamed",
        state=str(state).lower(),
        reason=", ".join(dict.fromkeys(reasons)),
        synthetic=any(action.get("digitalSourceType") == TRAINED for action in actions),
    )


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UserError(f"{path}: it is larger than {LARGEST >> 20} MB; name a file in PEM.")
        return data
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its name.") from error


def _algorithm(private: Any) -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, ec.EllipticCurvePrivateKey):
        return CURVES.get(private.curve.name)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    large = isinstance(private, rsa.RSAPrivateKey) and private.key_size >= SMALLEST_RSA
    return "ps256" if large else None


def _try(credentials: Credentials, certificate: Path) -> None:
    """Signs a picture in memory, so the library checks C2PA's other rules for certificates."""
    library: Any = c2pa()
    _, png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    try:
        _sign(credentials, "image/png", io.BytesIO(png.tobytes()), io.BytesIO(), {})
    except library.C2paError as error:
        raise UserError(
            f"--certificate={certificate}: nothing can be signed with it ({_said(error)}); C2PA "
            "asks for a certificate that another vouches for, in force, for signing."
        ) from error


def _sign(credentials: Credentials, kind: str, source: Any, target: Any, record: dict) -> None:
    library: Any = c2pa()
    generator = {"name": "lumiere_jax", "version": lumiere_jax.__version__}
    created = {"action": "c2pa.created", "softwareAgent": generator, "digitalSourceType": TRAINED}
    manifest = {
        "claim_generator_info": [generator],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": RECORD, "data": record},
        ],
    }
    info = library.C2paSignerInfo(
        credentials.algorithm, credentials.chain, credentials.key, ta_url=None
    )
    with (
        library.Context.from_dict(OFFLINE) as context,
        library.Signer.from_info(info) as signer,
        library.Builder(manifest, context=context) as builder,
    ):
        builder.sign(signer, kind, source, target)


def _said(error: Exception) -> str:
    """Returns the library's error message on one line."""
    return " ".join(str(error).split()).rstrip(".")[:200]
