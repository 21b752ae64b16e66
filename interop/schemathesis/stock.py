"""Fills a mint with what there is to ask for, so that requests made up at random find something.

    python stock.py MINT_URL PAYEE_URL FILE

MINT_URL is the mint under test; its invoices are paid by themselves. PAYEE_URL is a second mint that owns the invoices which are
paid from the first; its own are never paid by themselves. FILE takes what was made, as JSON: proofs in each state, quotes in each
state, invoices, and blinded messages that are signed. It is no wallet: its blinding factors are 1, and it hides nothing.
"""

import hashlib
import json
import sys
import time
import urllib.request

PRIME = 2**256 - 2**32 - 977
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
PATIENCE_S = 120


def add(a, b):
    """The sum of two points of secp256k1 that are neither equal nor opposite."""
    slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, PRIME) % PRIME
    x = (slope * slope - a[0] - b[0]) % PRIME
    return x, (slope * (a[0] - x) - a[1]) % PRIME


def lift(x, odd=0):
    """The point with this x, if there is one."""
    square = (pow(x, 3, PRIME) + 7) % PRIME
    y = pow(square, (PRIME + 1) // 4, PRIME)
    if x >= PRIME or y * y % PRIME != square:
        return None
    return x, y if y % 2 == odd else PRIME - y


def decode(text):
    return lift(int(text[2:], 16), int(text[:2], 16) - 2)


def encode(point):
    return f"{2 + point[1] % 2:02x}{point[0]:064x}"


def hash_to_curve(message):
    """NUT-00."""
    digest = hashlib.sha256(b"Secp256k1_HashToCurve_Cashu_" + message).digest()
    for counter in range(2**16):
        point = lift(int.from_bytes(hashlib.sha256(digest + counter.to_bytes(4, "little")).digest(), "big"))
        if point:
            return point
    raise AssertionError("no point")


def y_of(secret):
    return encode(hash_to_curve(secret.encode()))


def blind(keyset, amount, secret):
    """A blinded message: NUT-00 with a blinding factor of 1."""
    return {"amount": amount, "id": keyset, "B_": encode(add(hash_to_curve(secret.encode()), G))}


class Mint:
    """A mint and a number that makes each secret another."""

    def __init__(self, url):
        self.url = url
        keysets = self.get("/v1/keys")["keysets"]
        keyset = next(keyset for keyset in keysets if keyset["unit"] == "sat")
        self.keyset, self.keys = keyset["id"], keyset["keys"]
        self.count = 0

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def post(self, path, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def secrets(self, count):
        self.count += count
        return [hashlib.sha256(f"stock {self.count - n}".encode()).hexdigest() for n in range(count)]

    def quote(self, amount, description=None):
        return self.post("/v1/mint/quote/bolt11", {"amount": amount, "unit": "sat", "description": description})

    def wait_until_paid(self, quotes):
        end = time.monotonic() + PATIENCE_S
        while any(self.get(f"/v1/mint/quote/bolt11/{quote}")["state"] != "PAID" for quote in quotes):
            assert time.monotonic() < end, "the invoices are not paid"
            time.sleep(0.1)

    def messages(self, amounts, secrets):
        return [blind(self.keyset, amount, secret) for amount, secret in zip(amounts, secrets, strict=True)]

    def unblind(self, signatures, secrets):
        proofs = []
        for signature, secret in zip(signatures, secrets, strict=True):
            x, y = decode(self.keys[str(signature["amount"])])
            c = add(decode(signature["C_"]), (x, PRIME - y))
            proofs.append({"amount": signature["amount"], "id": signature["id"], "secret": secret, "C": encode(c)})
        return proofs

    def mint(self, amounts, secrets=None):
        """Proofs of these amounts, and the quote that is issued now."""
        secrets = secrets or self.secrets(len(amounts))
        quote = self.quote(sum(amounts))["quote"]
        self.wait_until_paid([quote])
        outputs = self.messages(amounts, secrets)
        signatures = self.post("/v1/mint/bolt11", {"quote": quote, "outputs": outputs})["signatures"]
        return self.unblind(signatures, secrets), quote, outputs

    def melt_quote(self, invoice):
        return self.post("/v1/melt/quote/bolt11", {"request": invoice, "unit": "sat"})

    def melt(self, invoice):
        """Melts without waiting, and says what became of it in the end."""
        quote = self.melt_quote(invoice)
        proofs, _, _ = self.mint([1] * (quote["amount"] + quote["fee_reserve"]))
        self.post("/v1/melt/bolt11", {"quote": quote["quote"], "inputs": proofs, "prefer_async": True})
        return quote["quote"], proofs


def lock(number):
    """A lock to a key that nobody has (NUT-11), or to a hash that nobody knows (NUT-14)."""
    kind = ("P2PK", "HTLC")[number % 2]
    data = encode(hash_to_curve(b"nobody")) if kind == "P2PK" else "00" * 32
    return json.dumps([kind, {"nonce": f"{number:032x}", "data": data, "tags": []}], separators=(",", ":"))


def settle(mint, quote, state):
    end = time.monotonic() + PATIENCE_S
    while mint.get(f"/v1/melt/quote/bolt11/{quote}")["state"] != state:
        assert time.monotonic() < end, f"the payment is not {state}"
        time.sleep(0.1)


def fill(mint, payee):
    script = lambda word: json.dumps({"pay_invoice_state": word, "check_payment_state": word})
    invoices = [payee.quote(4)["request"] for _ in range(60)]
    paid = [mint.quote(8)["quote"] for _ in range(60)]
    coins, issued, signed = mint.mint([1] * 150 + [2] * 50 + [4] * 50 + [8] * 50)
    old, also_issued, _ = mint.mint([1, 2, 4])
    secrets = mint.secrets(3)
    mint.post("/v1/swap", {"inputs": old, "outputs": mint.messages([1, 2, 4], secrets)})
    melted, more_old = mint.melt(payee.quote(4)["request"])
    settle(mint, melted, "PAID")
    failed, _ = mint.melt(payee.quote(4, script("FAILED"))["request"])
    settle(mint, failed, "UNPAID")
    pending, held = mint.melt(payee.quote(4, script("PENDING"))["request"])
    settle(mint, pending, "PENDING")
    locked, _, _ = mint.mint([1] * 8, [lock(number) for number in range(8)])
    mint.wait_until_paid(paid)
    return {
        "keyset": mint.keyset,
        "coins": coins,
        "spent": old + more_old,
        "pending": held,
        "locked": locked,
        "signed": signed[:20],
        "paid": paid,
        "issued": [issued, also_issued],
        "invoices": invoices[30:],
        "payable": [mint.melt_quote(invoice)["quote"] for invoice in invoices[:30]],
        "melts": {"PAID": melted, "PENDING": pending, "UNPAID": failed},
    }


if __name__ == "__main__":
    _, mint_url, payee_url, file = sys.argv
    with open(file, "w", encoding="utf-8") as out:
        json.dump(fill(Mint(mint_url), Mint(payee_url)), out)
