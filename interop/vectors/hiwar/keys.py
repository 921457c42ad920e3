"""Identifiers, keys, encodings (section 2) and fingerprints (section 5)."""

import base64
import hashlib
import pathlib
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import Refused, need

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def unbase64(text, length=None):
    """Base64 in its one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("malformed", "base64") from error
    need(base64.b64encode(data).decode() == text and length in (None, len(data)), "base64")
    return data


def digest(text):
    need(isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text), f"{text!r} is no digest")
    return text


def did(text):
    need(isinstance(text, str) and len(text) <= 255 and text.startswith("did:web:"), f"{text!r} is no DID")
    host, *segments = text[8:].split(":")
    name, colon, port = host.partition("%3A")
    label = r"[a-z0-9-]+"
    need(re.fullmatch(rf"{label}(\.{label})*", name) and not name.startswith("-"), "host")
    need(not colon or (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) < 65536), "port")
    for segment in segments:
        need(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", segment), "path")
    return text


def did_document(text):
    host, *segments = did(text)[8:].split(":")
    place = "/".join(segments) or ".well-known"
    return f"https://{host.replace('%3A', ':')}/{place}/did.json"


def time(text):
    """Milliseconds since 1970."""
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
    need(isinstance(text, str) and re.fullmatch(form, text) and text < "9999", f"{text!r} is no time")
    try:
        # The years 0000 and 0400 have the same calendar; Python's begin at 1.
        shifted = text if text[:4] != "0000" else "0400" + text[4:]
        seconds = (datetime.fromisoformat(shifted[:19]) - datetime(1970, 1, 1)).total_seconds()
    except ValueError as error:
        raise Refused("malformed", str(error)) from error
    shift = 0 if shifted == text else 146097 * 86400
    return round(seconds - shift) * 1000 + int(text[20:23])


def is_small_order(encoded):
    """Whether a point is on the curve and of an order that divides 8; None when it is on no curve."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != x2 or (x == 0 and sign):
        return None
    for _ in range(3):
        xy, denominator = x * y % P, D * x * x * y * y % P
        x, y = 2 * xy * pow(1 + denominator, -1, P) % P, (y * y + x * x) * pow(1 - denominator, -1, P) % P
    return (x, y) == (0, 1)


def public_key(text):
    """The 32 bytes of a public key."""
    need(isinstance(text, str) and text.startswith("ed25519:"), "algorithm")
    raw = unbase64(text[8:], 32)
    need(int.from_bytes(raw, "little") & (2**255 - 1) < P, "coordinate is not reduced")
    need(is_small_order(raw) is False, "no usable point")
    return raw


def key_id(text):
    return sha256(text.encode())


def verify(raw_key, message, signature, code="wrong-signature"):
    """Ed25519 without cofactor, S below the order, R not of small order."""
    need(len(signature) == 64 and int.from_bytes(signature[32:], "little") < L, "S", code)
    need(is_small_order(signature[:32]) is not True, "R", code)
    try:
        Ed25519PublicKey.from_public_bytes(raw_key).verify(signature, message)
    except InvalidSignature as error:
        raise Refused(code, "signature") from error


def public_of_seed(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return "ed25519:" + base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def fingerprint(identifier, organisation_key):
    return sha256(f"{identifier}\n{organisation_key}\n".encode())


def words(fingerprint_hex):
    listed = pathlib.Path(__file__).with_name("bip39-english.txt").read_text().split()
    bits = int(fingerprint_hex, 16) >> (256 - 132)
    chosen = [listed[bits >> (11 * (11 - n)) & 2047] for n in range(12)]
    return " ".join("-".join(chosen[n : n + 3]) for n in range(0, 12, 3))
