"""Entries, memberships and their judgement (sections 6 to 8)."""

import json
import re

from . import Refused, keys, need
from .canonical import integer, read, read_canonical
from .cards import has_control

MARKINGS = ["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"]
TYPES = ["statement", "attachment", "correction", "withdrawal", "dispute", "acknowledgement", "membership", "assent", "refusal"]
DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
DAY_MS = 24 * 60 * 60 * 1000


def text_of(value, what):
    need(isinstance(value, str), what)
    return value


def name(value):
    need(text_of(value, "name").strip() and len(value.encode()) <= 200 and not has_control(value), "name")
    return value


def list_of(value, most, what):
    need(isinstance(value, list) and len(value) <= most, what)
    return value


def ascending(values, what):
    need(all(a < b for a, b in zip(values, values[1:])), what)
    return values


def texts(value):
    need(isinstance(value, dict) and len(value) <= 16, "texts")
    for tag, text in value.items():
        need(len(tag) <= 35 and re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*", tag), f"language tag {tag}")
        need(text_of(text, "text").strip() and not has_control(text.replace("\n", "").replace("\t", "")), "text")
    return value


def attachment(value):
    need(isinstance(value, dict), "attachment")
    file, media = text_of(value.get("name"), "name"), text_of(value.get("mediaType"), "media type")
    need(0 < len(file.encode()) <= 255 and not re.search(r"[/\\:]|^\.|[. ]$", file), "file name")
    need(not has_control(file) and not DIRECTION.search(file), "file name")
    need(len(media) <= 127 and re.fullmatch(r"[ -~]+", media), "media type")
    need(all(media.partition("/")[::2]), "media type")
    integer(value.get("size"), 10 * 2**30)
    return keys.digest(value.get("sha256"))


class Entry:
    """Content, read and checked."""

    def __init__(self, content):
        value = read_canonical(content, size_max=65536, depth_max=16, members_max=4096)
        need(isinstance(value, dict), "no object")
        need(value.get("specversion") == "1.0" and value.get("datacontenttype") == "application/json", "CloudEvents")
        kind = re.fullmatch(r"org\.hiwar\.([a-z]+)\.v1", text_of(value.get("type"), "type"))
        need(kind and kind[1] in TYPES, "type")
        self.id, self.kind = keys.sha256(content), kind[1]
        self.author, self.time = keys.did(value.get("source")), keys.time(value.get("time"))
        self.arrangement = name(value.get("arrangement"))
        name(value.get("desk"))
        need(value.get("marking") in MARKINGS, "marking")
        self.marking = MARKINGS.index(value["marking"])
        self.prev = ascending([keys.digest(p) for p in list_of(value.get("prev"), 20, "prev")], "prev")
        need(re.fullmatch(r"[0-9a-f]{32}", text_of(value.get("nonce"), "nonce")), "nonce")
        self.files = [attachment(file) for file in list_of(value.get("attachments", []), 32, "attachments")]
        self.named_dialogue, self.named_membership = (
            None if value.get(m) is None else keys.digest(value[m]) for m in ("dialogue", "membership")
        )
        self.dialogue, self.membership = self.named_dialogue or self.id, self.named_membership or self.id
        self.data = value.get("data")
        need(isinstance(self.data, dict), "data")
        self.opens = False
        if self.kind == "membership":
            self.check_membership()
        else:
            self.check_words()
        need(self.opens or (self.named_dialogue and self.named_membership), "stands nowhere")

    def check_words(self):
        said, prevailing = texts(self.data.get("texts", {})), self.data.get("prevailing")
        need(prevailing is None or prevailing in said, "prevailing")
        need(said or self.kind not in ("statement", "correction", "dispute"), "no text")
        need(self.files or self.kind != "attachment", "no files")
        self.of = None
        if self.kind not in ("statement", "attachment"):
            self.of = keys.digest(self.data.get("of"))

    def check_membership(self):
        need(texts(self.data.get("title")), "title")
        self.parties = ascending([keys.did(p) for p in list_of(self.data.get("parties"), 64, "parties")], "parties")
        need(len(self.parties) >= 2, "parties")
        need(self.data.get("cap") in MARKINGS, "cap")
        self.cap = MARKINGS.index(self.data["cap"])
        need(self.marking <= self.cap, "marked above its own cap")
        self.replaces = self.data.get("replaces")
        self.opens = self.replaces is None
        if self.opens:
            need(not (self.named_dialogue or self.named_membership or self.prev), "opens and stands somewhere")
            need(self.author in self.parties, "author is no party")
        else:
            need(keys.digest(self.replaces) == self.named_membership, "replaces another")


class Envelope:
    """An entry with its signature; `raw` are the content's bytes."""

    def __init__(self, line):
        data = line.encode()
        need(len(data) <= 66048 and line.startswith("{") and "\n" not in line, "envelope")
        value = read(data)
        self.key = keys.digest(value.get("key"))
        self.signature = keys.unbase64(text_of(value.get("signature"), "signature"), 64)
        self.raw = member(line, "entry").encode()
        self.entry = Entry(self.raw)


def member(text, wanted):
    """The bytes of a member's value as they stand in an object."""
    def spaces(at):
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        return at

    decoder, at = json.JSONDecoder(), 1
    while True:
        found, at = decoder.raw_decode(text, spaces(at))
        start = spaces(spaces(at) + 1)
        _, at = decoder.raw_decode(text, start)
        if found == wanted:
            return text[start:at]
        after = spaces(at)
        need(text[after] == ",", f"no {wanted}")
        at = after + 1


class Node:
    """What one node knows of its peers and dialogues: enough to judge entries."""

    def __init__(self, did, chains):
        self.did, self.chains = did, {chain.did: chain for chain in chains}
        self.entries, self.links = {}, set()

    def concerned(self, proposal):
        before = self.entries.get(proposal.replaces)
        return set(proposal.parties) | set(before.parties if before else [])

    def assents(self, proposal):
        voices = [e.author for e in self.entries.values() if e.kind == "assent" and e.of == proposal.id]
        return {proposal.author, *voices}

    def is_complete(self, proposal):
        return self.concerned(proposal) <= self.assents(proposal)

    def in_force(self, dialogue):
        current = self.entries[dialogue]
        while True:
            follow = [e for e in self.entries.values() if e.kind == "membership" and e.replaces == current.id]
            complete = sorted(e.id for e in follow if self.is_complete(e))
            if not complete:
                return current
            current = self.entries[complete[0]]

    def everyone(self, dialogue):
        found = [e.parties for e in self.entries.values() if e.kind == "membership" and e.dialogue == dialogue]
        return {party for parties in found for party in parties}

    def verify(self, envelope):
        """The checks that need only the bytes and the cards."""
        entry = envelope.entry
        chain = self.chains.get(entry.author)
        need(chain, entry.author, "unknown-author")
        key, status, at = chain.entry_key(envelope.key)
        need(key, envelope.key, "unknown-key")
        keys.verify(key, envelope.raw, envelope.signature)
        return "doubtful" if status == "revoked" or (status == "retired" and entry.time > at) else "good"

    def judge(self, envelope, sender, now):
        status, entry = self.verify(envelope), envelope.entry
        if entry.id in self.entries:
            return
        need(entry.time - now <= DAY_MS, "future", "future-dated")
        need(status == "good" or entry.id in self.links, "key", "revoked-key")
        if entry.opens:
            need({self.did, sender} <= set(entry.parties), "opening", "not-asked-for")
            return
        under = self.entries.get(entry.membership)
        need(under and under.kind == "membership", "membership", "unknown-membership")
        circle = set(under.parties)
        may_speak = set(under.parties)
        proposal = None
        if entry.kind in ("assent", "refusal"):
            proposal = self.entries.get(entry.of)
        need(entry.dialogue == under.dialogue and entry.arrangement == under.arrangement, "dialogue", "wrong-dialogue")
        if entry.kind in ("assent", "refusal"):
            need(proposal and proposal.kind == "membership", "proposal", "unknown-membership")
            circle |= self.concerned(proposal)
            may_speak |= circle
        if entry.kind == "membership":
            circle |= set(entry.parties)
        need(entry.author in may_speak, "author", "not-a-party")
        if entry.kind not in ("membership", "assent", "refusal"):
            need(self.did in circle, "receiver", "not-a-party")
            need(sender in circle | self.everyone(entry.dialogue), "sender", "not-a-party")
        need(entry.marking <= under.cap, "cap", "above-cap")

    def take(self, envelope, sender, now):
        self.judge(envelope, sender, now)
        self.keep(envelope.entry)

    def keep(self, entry):
        self.entries[entry.id] = entry
        self.links.update(entry.prev)


def refusal_of(node, line, sender, now):
    """The code with which a node refuses a line, or None."""
    try:
        node.judge(Envelope(line), sender, now)
    except Refused as refused:
        return refused.code
    return None
