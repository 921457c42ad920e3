"""Cards, chains, invitations (sections 4 and 5)."""

import re
import unicodedata

from . import Refused, keys, need
from .canonical import canonical, integer, read

MEMBERS = {
    "type", "did", "name", "sequence", "previous", "time", "organisationKey", "nodeKey", "recoveryKey", "endpoints", "tlsKey",
    "delivery", "logOrigin", "logContinues", "revoked",
}  # fmt: skip


def has_control(text):
    return any(unicodedata.category(c) == "Cc" for c in text)


def bad(condition, detail):
    need(condition, detail, "bad-member")


class Card:
    def __init__(self, signed):
        card = {name: value for name, value in signed["card"].items() if name in MEMBERS and value is not None}
        if card.get("revoked") == []:
            del card["revoked"]
        self.value, self.signatures = card, signed["signatures"]
        self.did, self.sequence = keys.did(card["did"]), integer(card["sequence"])
        self.time, self.previous = keys.time(card["time"]), card.get("previous")
        self.organisation, self.node = card["organisationKey"], card["nodeKey"]
        self.recovery, self.revoked = card.get("recoveryKey"), card.get("revoked", [])
        for key in (self.organisation, self.node, self.recovery):
            need(key is None or keys.public_key(key))
        for found in (self.previous, card.get("tlsKey")):
            need(found is None or keys.digest(found))
        need(card["delivery"] in ("push", "pull"))
        self.check(card)
        self.bytes = canonical(card)
        bad(len(self.bytes) <= 16384 and len(self.signatures) <= 4, "size")
        self.hash = keys.sha256(self.bytes)

    def check(self, card):
        need(card["type"] == "org.hiwar.card.v1", card["type"], "wrong-type")
        name, endpoints, origin = card["name"], card["endpoints"], card["logOrigin"]
        bad(name.strip() and len(name) <= 200 and not has_control(name), "name")
        url = r"https?://[!#-\[\]-~]+"
        bad(len(endpoints) <= 8 and all(len(e) <= 300 and re.fullmatch(url, e) for e in endpoints), "endpoints")
        bad(0 < len(origin.encode()) <= 300 and " " not in origin and not has_control(origin), "logOrigin")
        for revoked in self.revoked:
            keys.digest(revoked["key"]), keys.time(revoked["since"])
            bad(len(revoked["reason"].encode()) <= 1000, "revoked")
        bad(len(self.revoked) <= 1024, "revoked")

    def signed_by(self, key):
        for signature in self.signatures:
            if key is not None and signature["key"] == keys.key_id(key):
                try:
                    keys.verify(keys.public_key(key), self.bytes, keys.unbase64(signature["value"], 64))
                    return True
                except Refused:
                    pass
        return False

    def revokes_itself(self):
        return any(r["key"] == keys.key_id(self.organisation) for r in self.revoked)


class Chain:
    """A verified chain of cards."""

    def __init__(self, signed_cards):
        need(0 < len(signed_cards) <= 1024, "length", "length")
        self.cards = []
        for signed in signed_cards:
            self.extend(signed)

    def extend(self, signed):
        card = Card(signed)
        if not self.cards:
            need(card.sequence == 0 and card.previous is None, "first", "broken-chain")
            need(not card.revokes_itself(), "revokes itself", "broken-chain")
            need(card.signed_by(card.organisation), "signature", "missing-signature")
            self.cards.append(card)
            return
        last = self.cards[-1]
        need(card.did == last.did, "did", "broken-chain")
        if card.sequence < len(self.cards):
            before = self.cards[max(card.sequence - 1, 0)]
            if self.cards[card.sequence].hash != card.hash:
                raise Refused("fork" if card.signed_by(before.organisation) else "missing-signature")
            return
        need(card.sequence == len(self.cards) and card.previous == last.hash, "order", "broken-chain")
        need(card.signed_by(last.organisation) or card.signed_by(last.recovery), "old", "missing-signature")
        need(card.signed_by(card.organisation), "new", "missing-signature")
        need(all(r in card.revoked for r in last.revoked), "revocation dropped", "broken-chain")
        need(not card.revokes_itself(), "revokes itself", "broken-chain")
        self.cards.append(card)

    @property
    def did(self):
        return self.cards[-1].did

    def entry_key(self, key_id):
        """The key with this identifier, and what it is worth: status and time."""
        at = [n for n, card in enumerate(self.cards) if keys.key_id(card.organisation) == key_id]
        if not at:
            return None, "unknown", None
        key = keys.public_key(self.cards[at[-1]].organisation)
        for revoked in self.cards[-1].revoked:
            if revoked["key"] == key_id:
                return key, "revoked", keys.time(revoked["since"])
        if at[-1] == len(self.cards) - 1:
            return key, "current", None
        return key, "retired", self.cards[at[-1] + 1].time

    def node_keys(self):
        return [card.node for card in self.cards]


def invitation(text):
    data = text.encode()
    need(len(data) <= 1 << 20, "size")
    value = read(data)
    need(isinstance(value, dict) and set(value) == {"type", "cards"}, "members")
    need(value["type"] == "org.hiwar.invitation.v1", "type")
    return Chain(value["cards"])
