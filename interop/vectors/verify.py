#!/usr/bin/env python3
"""Verifies vectors/hiwar-1.json with an implementation of its own; see PROTOCOL.md.

Usage: verify.py [VECTORS.json]        needs: pip install -r requirements.txt
"""

import json
import pathlib
import sys
from base64 import b64encode

from hiwar import Refused, canonical, cards, entries, http, keys, log, need

HERE = pathlib.Path(__file__).resolve().parent


class Score:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, name, verifies):
        """Runs a check that raises or returns False when it does not hold."""
        try:
            holds = verifies()
        except Exception as error:  # a verifier that breaks off has not verified
            holds, name = False, f"{name}: {type(error).__name__}: {error}"
        if holds is False:
            self.failed += 1
            print(f"FAILED {name}")
        else:
            self.passed += 1

    def equal(self, name, found, expected):
        def compare():
            value = found()
            need(value == expected, f"found {value!r}, expected {expected!r}")

        self.check(name, compare)


def raw(hashes):
    return [bytes.fromhex(h) for h in hashes]


def simple(vectors, score):
    for key in vectors["keys"]:
        score.equal(f"key of seed: {key['name']}", lambda: keys.public_of_seed(bytes.fromhex(key["seed"])), key["public"])
        score.equal(f"key identifier: {key['name']}", lambda: keys.key_id(key["public"]), key["id"])
    for text in vectors["json"]:
        found = lambda: canonical.canonical(canonical.read(text["text"].encode())).decode()
        score.equal(f"JSON: {text['name']}", found, text["canonical"])
        score.check(f"JSON again: {text['name']}", lambda: canonical.read_canonical(text["canonical"].encode()) is not None)
    file = vectors["attachment"]
    score.equal("attachment", lambda: keys.sha256(file["text"].encode()), file["sha256"])
    score.equal("attachment size", lambda: len(file["text"].encode()), file["size"])


def identities(vectors, score):
    by_name = {card["name"]: card for card in vectors["cards"]}
    chains = {
        "motie": cards.Chain([by_name["motie 0"]["signed"], by_name["motie 1"]["signed"]]),
        "meti": cards.Chain([by_name["meti 0"]["signed"]]),
    }
    for name, vector in by_name.items():
        party, number = name.split(" ")
        card = chains[party].cards[int(number)]
        score.equal(f"card bytes: {name}", lambda: card.bytes.decode(), vector["canonical"])
        score.equal(f"card digest: {name}", lambda: card.hash, vector["hash"])
        score.equal(f"fingerprint: {name}", lambda: keys.fingerprint(card.did, card.organisation), vector["fingerprint"])
        score.equal(f"words: {name}", lambda: keys.words(vector["fingerprint"]), vector["words"])
        score.equal(f"DID document: {name}", lambda: keys.did_document(card.did), vector["document"])
    invited = cards.invitation(vectors["invitation"])
    score.equal("invitation", lambda: [c.hash for c in invited.cards], [c.hash for c in chains["motie"].cards])
    return chains


def first_chains(vectors):
    """What the nodes know of each other at the start; each has chains of its own that grow."""
    return [cards.Chain([vectors["cards"][n]["signed"]]) for n in (0, 2)]


def dialogue(vectors, score):
    """Plays the exchanges again; both nodes must take all entries and see the same membership in force."""
    seeds = {key["id"]: bytes.fromhex(key["seed"]) for key in vectors["keys"]}
    for vector in vectors["entries"]:
        name, envelope = vector["name"], entries.Envelope(vector["envelope"])
        score.equal(f"entry bytes: {name}", lambda: envelope.raw.decode(), vector["canonical"])
        score.equal(f"canonical again: {name}", lambda: canonical.canonical(json.loads(envelope.raw)).decode(), vector["canonical"])
        score.equal(f"entry identifier: {name}", lambda: envelope.entry.id, vector["id"])
        score.equal(f"entry author: {name}", lambda: envelope.entry.author, vector["author"])
        score.equal(f"entry signature: {name}", lambda: keys.sign(seeds[vector["key"]], envelope.raw), envelope.signature)
        leaf = f"entry {vector['id']}".encode()
        score.equal(f"entry leaf: {name}", lambda: log.leaf_hash(leaf).hex(), vector["leaf"]["hash"])
        form = f'{{"entry":{vector["canonical"]},"key":"{vector["key"]}","signature":"{vector["signature"]}"}}'
        score.equal(f"envelope: {name}", lambda: form, vector["envelope"])
    nodes = {chain.did: entries.Node(chain.did, first_chains(vectors)) for chain in first_chains(vectors)}
    seen = {}
    for number, exchange in enumerate(vectors["exchanges"]):
        score.check(f"exchange {number}", lambda: one_exchange(exchange, nodes, seen))
    for did, node in nodes.items():
        expected = vectors["membership"]
        current = node.in_force(expected["dialogue"])
        score.equal(f"membership in force at {did}", lambda: current.id, expected["current"])
        score.equal(f"parties at {did}", lambda: current.parties, expected["parties"])
        score.equal(f"open at {did}", lambda: node.is_complete(current), expected["open"])
        score.equal(f"assents at {did}", lambda: sorted(node.assents(current)), expected["assents"])
        heads = sorted(set(node.entries) - node.links)
        score.equal(f"heads at {did}", lambda: heads, expected["heads"])
    return nodes


def read_batch(text):
    header, *lines = text.encode().split(b"\n")
    value = canonical.read(header)
    need(isinstance(value, dict) and value.get("protocol") == "hiwar/1", "protocol", "batch")
    lines = [line.decode() for line in lines if line]
    need(canonical.integer(value.get("entries")) == len(lines) <= 512, "entries", "batch")
    need(all(isinstance(value.get(m), t) for m, t in (("from", str), ("to", str), ("log", dict), ("time", str))), "members", "batch")
    return value, lines


def one_exchange(exchange, nodes, seen):
    """A batch from one node to the other, and the reply."""
    header, lines = read_batch(exchange["batch"])
    sender, receiver = nodes[exchange["from"]], nodes[exchange["to"]]
    need((header["from"], header["to"]) == (sender.did, receiver.did), "direction")
    verified = brief(header, sender, receiver, seen)
    now = keys.time(header["time"])
    brought = []
    for line in lines:
        envelope = entries.Envelope(line)
        receiver.take(envelope, sender.did, now)
        sender.keep(envelope.entry)
        brought.append(envelope.entry.id)
    reply = canonical.read(exchange["reply"].encode())
    need(reply["protocol"] == "hiwar/1" and "refused" not in reply, "reply")
    brief(reply, receiver, sender, seen)
    receipted = []
    for wire in reply.get("receipts", []):
        receipted += [digest for kind, digest, _ in check_receipt(wire, receiver, sender).items if kind == "entry"]
    need(sorted(receipted) == sorted(brought), "not all entries are receipted")
    for wire in header.get("receipts", []):
        check_receipt(wire, sender, receiver)
    need(("cosigned" in reply) == verified, "cosigned without need, or not")
    if not verified:
        return
    cosigned = log.Checkpoint(reply["cosigned"])
    need(cosigned.text == log.Checkpoint(header["log"]["checkpoint"]).text, "another checkpoint is cosigned")
    cosigned.verify_cosignature(receiver.did, keys.public_key(sender.chains[receiver.did].cards[-1].node))


def check_receipt(wire, issuer, to):
    receipt = log.Receipt(wire["note"], wire["items"])
    need((receipt.issuer, receipt.to) == (issuer.did, to.did), "receipt")
    receipt.note.verify_any(issuer.did, to.chains[issuer.did].node_keys())
    return receipt


def brief(briefing, sender, receiver, seen):
    """Cards and log of a briefing, as its receiver takes them in; says whether it verified the checkpoint."""
    chain = receiver.chains[sender.did]
    for signed in briefing.get("cards", []):
        chain.extend(signed)
        sender.chains[sender.did] = chain
    shown, state = log.Checkpoint(briefing["log"]["checkpoint"]), briefing["log"]
    need(shown.origin == chain.cards[-1].value["logOrigin"], "origin")
    shown.verify_any(shown.origin, chain.node_keys())
    size, root = seen.get((sender.did, receiver.did), (0, log.root([])))
    if shown.size == size:
        need(shown.root == root, "fork")
        return True
    need(shown.size > size, "rollback")
    if canonical.integer(state["from"]) != size:
        return False
    log.consistency(size, root, shown.size, shown.root, raw(state["proof"]))
    seen[sender.did, receiver.did] = (shown.size, shown.root)
    return True


def trees(vectors, chains, score):
    tree = vectors["log"]
    hashes = [log.leaf_hash(leaf["data"].encode()) for leaf in tree["leaves"]]
    score.equal("leaf hashes", lambda: [h.hex() for h in hashes], [leaf["hash"] for leaf in tree["leaves"]])
    score.equal("origin", lambda: tree["origin"], chains["motie"].cards[-1].value["logOrigin"])
    roots = [bytes.fromhex(r["root"]) for r in tree["roots"]]
    score.equal("sizes", lambda: [r["size"] for r in tree["roots"]], list(range(len(hashes) + 1)))
    for size, root in enumerate(roots):
        score.equal(f"root of {size}", lambda: log.root(hashes[:size]), root)
    for p in tree["inclusion"]:
        name = f"inclusion of {p['index']} in {p['size']}"
        score.check(name, lambda: log.inclusion(hashes[p["index"]], p["index"], p["size"], raw(p["proof"]), roots[p["size"]]))
    for p in tree["consistency"]:
        name = f"consistency from {p['from']} to {p['to']}"
        score.check(name, lambda: log.consistency(p["from"], roots[p["from"]], p["to"], roots[p["to"]], raw(p["proof"])))
    score.equal("tile", lambda: b"".join(hashes).hex(), tree["tile"]["hex"])
    score.equal("tile path", lambda: log.tile_path(tree["tile"]["path"]), (0, 0, len(hashes)))


def notes(vectors, score):
    vector = vectors["checkpoint"]
    (log_name, kind, log_key), (cosigner, kind4, cosigner_key) = log.vkey(vector["log_key"]), log.vkey(vector["cosigner_key"])
    score.equal("kinds of keys", lambda: (kind, kind4), (1, 4))
    score.check("checkpoint", lambda: log.Checkpoint(vector["note"]).verify(log_name, log_key))
    score.check("cosigned checkpoint", lambda: log.Checkpoint(vector["cosigned"]).verify(log_name, log_key))
    found = lambda: log.Checkpoint(vector["cosigned"]).verify_cosignature(cosigner, cosigner_key)
    score.equal("cosignature", found, vector["cosigned_at"])
    vector = vectors["receipt"]
    receipt, (name, _, key) = log.Receipt(vector["note"], vector["items"]), log.vkey(vector["issuer_key"])
    score.check("receipt signature", lambda: receipt.note.verify(name, key))
    score.equal("receipt root", lambda: receipt.root.hex(), vector["root"])
    score.equal("receipt leaf", lambda: "receipt " + keys.sha256(vector["note"].encode()), vector["leaf"])
    one = vector["single"]
    score.check("single item", lambda: receipt.single(one["item"], one["index"], raw(one["proof"])))


def messages(vectors, score):
    for number, pair in enumerate(vectors["http"]):
        request, response = pair["request"], pair["response"]
        found = lambda: verify_request(request)
        score.equal(f"request {number}", found, request["base"])
        found = lambda: verify_response(response, request["headers"]["signature"])
        score.equal(f"response {number}", found, response["base"])


def verify_request(r):
    return http.verify_request(r["method"], r["target"], r["headers"], r["body"].encode(), r["key"])


def verify_response(r, request_signature):
    return http.verify_response(r["status"], r["headers"], r["body"].encode(), r["key"], request_signature)


def note(vector, verify):
    name, _, key = log.vkey(vector["vkey"])
    verify(vector, name, key)


def receipt(vector, name, key):
    log.Receipt(vector["note"], vector["items"]).note.verify(name, key)


MOTIE = "did:web:motie.example"
METI = "did:web:meti.example%3A7400:trade"


def refuse(vector, nodes):
    """Raises when the vector is to be refused."""
    v, text = vector, vector.get("text")
    h = bytes.fromhex
    match vector["kind"]:
        case "did":
            keys.did(text)
        case "time":
            keys.time(text)
        case "hash":
            keys.digest(text)
        case "key":
            keys.public_key(text)
        case "tile":
            log.tile_path(text)
        case "json":
            canonical.read_canonical(text.encode(), size_max=65536, depth_max=16, members_max=4096)
        case "invitation":
            cards.invitation(text)
        case "cards":
            cards.Chain(v["cards"])
        case "entry":
            nodes[METI].judge(entries.Envelope(v["envelope"]), MOTIE, keys.time(v["now"]))
        case "inclusion":
            log.inclusion(h(v["leaf"]), v["index"], v["size"], raw(v["proof"]), h(v["root"]))
        case "consistency":
            log.consistency(v["from"], h(v["from_root"]), v["to"], h(v["to_root"]), raw(v["proof"]))
        case "checkpoint":
            note(v, lambda v, name, key: log.Checkpoint(v["note"]).verify(name, key))
        case "cosignature":
            note(v, lambda v, name, key: log.Checkpoint(v["note"]).verify_cosignature(name, key))
        case "receipt":
            note(v, receipt)
        case "request":
            verify_request(v)
        case "response":
            verify_response(v, v["request_signature"])
        case "batch":
            read_batch(text)
        case other:
            raise ValueError(f"there is no kind {other}")


# Codes that other nodes see; the other kinds only have to be refused.
STABLE = ("entry", "cards")


def negative(vectors, nodes, score):
    for vector in vectors["negative"]:

        def verdict():
            code = None
            try:
                refuse(vector, nodes)
            except Refused as refused:
                code = refused.code
            if code and vector["refused"] and vector["kind"] not in STABLE:
                return
            need(code == vector["refused"], f"said {code}, expected {vector['refused']}")

        score.check(vector["name"], verdict)


def main():
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "vectors" / "hiwar-1.json"
    vectors, score = json.loads(path.read_text(encoding="utf-8")), Score()
    simple(vectors, score)
    chains = identities(vectors, score)
    nodes = dialogue(vectors, score)
    trees(vectors, chains, score)
    notes(vectors, score)
    messages(vectors, score)
    negative(vectors, nodes, score)
    print(f"{score.passed} passed, {score.failed} failed")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
