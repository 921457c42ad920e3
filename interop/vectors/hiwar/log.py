"""Merkle trees, notes, checkpoints, cosignatures, receipts (sections 9 to 11)."""

import base64
import hashlib
import re

from . import Refused, keys, need


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return node_hash(root(hashes[:split]), root(hashes[split:]))


def proof(condition, detail):
    need(condition, detail, "proof")


def inclusion(leaf, index, size, path, expected):
    """RFC 9162 section 2.1.3.2."""
    proof(index < size, "index")
    node, last, found = index, size - 1, leaf
    for sibling in path:
        proof(last != 0, "too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    proof(last == 0 and found == expected, "root")


def consistency(size1, root1, size2, root2, path):
    """RFC 9162 section 2.1.4.2."""
    proof(size1 <= size2, "sizes")
    if size1 == 0 or size1 == size2:
        proof(not path and (root1 == root2 if size1 == size2 else root1 == root([])), "roots")
        return
    proof(path, "empty")
    if size1 & (size1 - 1) == 0:
        path = [root1, *path]
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    found1 = found2 = path[0]
    for sibling in path[1:]:
        proof(last != 0, "too long")
        if node & 1 or node == last:
            found1, found2 = node_hash(sibling, found1), node_hash(sibling, found2)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found2 = node_hash(found2, sibling)
        node, last = node >> 1, last >> 1
    proof(last == 0 and found1 == root1 and found2 == root2, "root")


def decimal(text):
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text) and int(text) < 2**64, f"{text!r} is no size", "note")
    return int(text)


class Note:
    def __init__(self, text):
        need(len(text.encode()) <= 65536 and text.endswith("\n") and "\n\n" in text, "form", "note")
        body, lines = text[:-1].rsplit("\n\n", 1)
        self.text = body + "\n"
        need(not any(c < " " and c != "\n" for c in self.text), "control character", "note")
        self.lines = []
        for line in lines.split("\n"):
            dash, _, rest = line.partition(" ")
            name, _, blob = rest.partition(" ")
            need(dash == "\u2014" and name and not re.search(r"[\s+\x00-\x1f]", name), "signature line", "note")
            try:
                blob = keys.unbase64(blob)
            except Refused as error:
                raise Refused("note", "blob") from error
            need(len(blob) > 4, "blob", "note")
            self.lines.append((name, blob[:4], blob[4:]))
        need(len(self.lines) <= 64, "lines", "note")

    def blobs(self, name, kind, raw_key):
        wanted = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + raw_key).digest()[:4]
        found = [blob for n, key_hash, blob in self.lines if n == name and key_hash == wanted]
        need(found, f"not signed by {name}", "note")
        return found

    def verify(self, name, raw_key):
        for blob in self.blobs(name, 1, raw_key):
            keys.verify(raw_key, self.text.encode(), blob, "note")

    def verify_any(self, name, key_texts):
        for key in key_texts:
            try:
                return self.verify(name, keys.public_key(key))
            except Refused:
                pass
        raise Refused("note", "no key fits")

    def verify_cosignature(self, name, raw_key):
        """When the checkpoint was cosigned, in seconds."""
        latest = 0
        for blob in self.blobs(name, 4, raw_key):
            need(len(blob) == 72, "length", "note")
            seconds = int.from_bytes(blob[:8], "big")
            need(seconds < 2**63, "time", "note")
            message = f"cosignature/v1\ntime {seconds}\n{self.text}"
            keys.verify(raw_key, message.encode(), blob[8:], "note")
            latest = max(latest, seconds)
        return latest


class Checkpoint(Note):
    def __init__(self, text):
        super().__init__(text)
        lines = self.text[:-1].split("\n")
        need(len(lines) >= 3 and all(lines), "lines", "note")
        self.origin, self.size = lines[0], decimal(lines[1])
        try:
            self.root = keys.unbase64(lines[2], 32)
        except Refused as error:
            raise Refused("note", "root") from error


def vkey(text):
    """Name, kind and raw key of a C2SP verifier key, its hash checked."""
    name, key_hash, typed = text.split("+", 2)
    typed = keys.unbase64(typed, 33)
    need(hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8] == key_hash, "vkey")
    return name, typed[0], typed[1:]


class Receipt:
    """A receipt checked against its items."""

    def __init__(self, note, items):
        try:
            self.note = Note(note)
            lines = self.note.text.split("\n")
            header, to, time, counted, origin, state, end = lines
            self.to, self.time = keys.did(to.removeprefix("to ")), keys.time(time.removeprefix("time "))
            _, count, items_root = counted.split(" ")
            _, size, log_root = state.split(" ")
            self.count, self.root = decimal(count), keys.unbase64(items_root, 32)
            self.size, self.log_root = decimal(size), keys.unbase64(log_root, 32)
            self.origin, self.issuer = origin.removeprefix("log "), keys.did(self.note.lines[0][0])
        except (ValueError, Refused) as error:
            raise Refused("receipt", str(error)) from error
        again = [
            "hiwar.org/receipt/v1", f"to {self.to}", time, f"items {self.count} {base64.b64encode(self.root).decode()}",
            f"log {self.origin}", f"state {self.size} {base64.b64encode(self.log_root).decode()}", "",
        ]  # fmt: skip
        need(again == lines and time.startswith("time ") and end == "", "form", "receipt")
        self.items = [self.item(line) for line in items]
        hashes = [leaf_hash(line.encode()) for line in items]
        need(len(items) == self.count <= 4096 and root(hashes) == self.root, "items", "receipt")

    def item(self, line):
        parts = re.fullmatch(r"(entry|attachment) ([0-9a-f]{64}) (0|[1-9][0-9]*)", line)
        need(parts and int(parts[3]) < self.size, line, "receipt")
        return parts[1], parts[2], int(parts[3])

    def single(self, line, index, path):
        self.item(line)
        inclusion(leaf_hash(line.encode()), index, self.count, path, self.root)


def tile_path(text):
    parts = re.fullmatch(r"tile/([0-7])/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", text)
    need(parts and int(parts[4] or 1) < 256, "path")
    need(not parts[2].startswith("x000"), "path")
    index = int("".join(re.findall("[0-9]{3}", parts[2])) + parts[3])
    need(index <= (2**64 - 1) >> (8 * int(parts[1]) + 8), "index")
    return int(parts[1]), index, int(parts[4] or 256)
