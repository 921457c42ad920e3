"""Signed HTTP messages (section 13)."""

import base64
import hashlib
import re

from . import keys, need

REQUEST = ['"@method"', '"@path"', '"@query"', '"content-digest"', '"hiwar-destination"', '"hiwar-session"', '"hiwar-sequence"']
RESPONSE = ['"@status"', '"content-digest"', '"signature";req;key="hiwar"']


def content_digest(body):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def read_signature(headers, components, code):
    """`created`, key identifier and signature of the one form that is allowed."""
    given, value = headers["signature-input"], headers["signature"]
    need(len(given) <= 512 and len(value) <= 512, "length", code)
    covered = re.escape(f"hiwar=({' '.join(components)})")
    form = rf'{covered};created=(0|[1-9][0-9]*);keyid="([0-9a-f]{{64}})";alg="ed25519"'
    found, signature = re.fullmatch(form, given), re.fullmatch(r"hiwar=:([A-Za-z0-9+/=]+):", value)
    need(found and signature, "form", code)
    return int(found[1]), found[2], keys.unbase64(signature[1], 64)


def base(components, values, created, key_id, code):
    lines = []
    for component, value in zip(components, values, strict=True):
        need(re.fullmatch(r"[!-~]([ -~]*[!-~])?", value) and len(value) <= 8192, component, code)
        lines.append(f"{component}: {value}\n")
    params = f'({" ".join(components)});created={created};keyid="{key_id}";alg="ed25519"'
    return "".join(lines) + f'"@signature-params": {params}'


def verify(components, values, headers, body, key, code):
    created, key_id, signature = read_signature(headers, components, code)
    need(key_id == keys.key_id(key), "key", code)
    text = base(components, values, created, key_id, code)
    keys.verify(keys.public_key(key), text.encode(), signature, code)
    need(headers["content-digest"] == content_digest(body), "digest", code)
    return text


def verify_request(method, target, headers, body, key):
    path, mark, query = target.partition("?")
    need(path.startswith("/") and not re.search("[ #]", target), "target", "request")
    named = [headers[name] for name in ("content-digest", "hiwar-destination", "hiwar-session", "hiwar-sequence")]
    return verify(REQUEST, [method, path, "?" + query, *named], headers, body, key, "request")


def verify_response(status, headers, body, key, request_signature):
    member = request_signature.removeprefix("hiwar=")
    return verify(RESPONSE, [str(status), headers["content-digest"], member], headers, body, key, "response")
