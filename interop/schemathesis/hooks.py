"""What schemathesis is told of the mint beside its OpenAPI document: things that are there, and how far it got.

The environment names MINT_STOCK, the file that `stock.py` wrote. Each route is first sent requests that succeed and requests that
meet things in each state; and of what is made up afterwards a part is given real quotes, keysets, points, proofs and invoices in
place of random ones, so that it gets past the first rule. What is chosen depends on nothing but what was made up.

At the end a line for each route says how it answered; one that never succeeded has failed.
"""

import atexit
import collections
import hashlib
import json
import os
import random

import schemathesis
from stock import hash_to_curve, encode, y_of

with open(os.environ["MINT_STOCK"], encoding="utf-8") as file:
    STOCK = json.load(file)

KEYSET = STOCK["keyset"]
COINS = STOCK["coins"]
UNKNOWN_QUOTE = "019e6d5a-2347-7000-8037-b42dae20f1fe"
MELTS = [*STOCK["melts"].values(), *STOCK["payable"][20:]]
MINTS = [*STOCK["issued"], *STOCK["paid"][20:]]

# How each route answered, by status; those that are there.
ANSWERS = collections.defaultdict(collections.Counter)
ROUTES = set()


def point(name):
    return encode(hash_to_curve(name.encode()))


def outputs(name, *amounts):
    """Blinded messages as good as any: whoever signs cannot know that nobody can unblind them."""
    return [{"amount": a, "id": KEYSET, "B_": point(f"{name} {n}")} for n, a in enumerate(amounts)]


class Shelf:
    """Takes coins and quotes off the stock, each once. What is made up uses the rest, as often as it likes."""

    def __init__(self):
        self.coins = {amount: [c for c in COINS if c["amount"] == amount] for amount in (1, 2, 4, 8)}
        self.paid = list(STOCK["paid"][:20])
        self.payable = list(STOCK["payable"][:20])

    def take(self, *amounts):
        return [self.coins[amount].pop() for amount in amounts]


SHELF = Shelf()


def swaps():
    inputs = SHELF.take(1, 2, 8)
    swap = {"inputs": inputs, "outputs": outputs("swap", 1, 2, 8)}
    yield swap
    yield swap
    yield {"inputs": SHELF.take(4), "outputs": outputs("swap of 4", 2, 1, 1)}
    yield {"inputs": inputs, "outputs": outputs("spent", 1, 2, 8)}
    for name in ("pending", "locked"):
        proofs = STOCK[name][:2]
        yield {"inputs": proofs, "outputs": outputs(name, *(proof["amount"] for proof in proofs))}
    yield {"inputs": SHELF.take(4), "outputs": outputs("too much", 8)}
    yield {"inputs": SHELF.take(4), "outputs": outputs("swap", 1, 2, 8)}


def issues():
    paid = {"quote": SHELF.paid.pop(), "outputs": outputs("issue", 8)}
    yield paid
    yield paid
    yield {"quote": SHELF.paid.pop(), "outputs": outputs("too much issued", 8, 8)}
    yield {"quote": STOCK["issued"][0], "outputs": outputs("issued", 8)}
    yield {"quote": UNKNOWN_QUOTE, "outputs": outputs("no quote", 8)}


def batches():
    quotes = [SHELF.paid.pop(), SHELF.paid.pop()]
    batch = {"quotes": quotes, "outputs": outputs("batch", 16)}
    yield batch
    yield batch
    yield {"quotes": [SHELF.paid.pop(), STOCK["issued"][0]], "outputs": outputs("batch of issued", 8)}
    yield {"quotes": [SHELF.paid.pop()] * 2, "outputs": outputs("batch of twice", 16)}


def melts():
    melt = {"quote": SHELF.payable.pop(), "inputs": SHELF.take(8, 8), "outputs": outputs("change", 0, 0, 0, 0)}
    yield melt
    yield melt
    yield {"quote": SHELF.payable.pop(), "inputs": SHELF.take(8, 8), "prefer_async": True}
    yield {"quote": SHELF.payable.pop(), "inputs": SHELF.take(1)}
    yield {"quote": SHELF.payable.pop(), "inputs": STOCK["pending"]}
    for quote in STOCK["melts"].values():
        yield {"quote": quote, "inputs": SHELF.take(8, 8), "prefer_async": True}


def melt_quotes():
    request = STOCK["invoices"][0]
    yield {"request": request, "unit": "sat"}
    yield {"request": request, "unit": "sat", "options": {"mpp": {"amount": 2000}}}
    yield {"request": request, "unit": "sat", "options": {"amountless": {"amount_msat": 4000}}}
    yield {"request": request[:-1] + "q", "unit": "sat"}


def mint_quotes():
    yield {"amount": 8, "unit": "sat"}
    yield {"amount": 8, "unit": "sat", "description": "a quote", "pubkey": point("key")}
    yield {"amount": 2**53, "unit": "sat"}


def checks():
    yield {"Ys": [y_of(proof["secret"]) for name in ("coins", "spent", "pending", "locked") for proof in STOCK[name][:3]]}


BODIES = {
    "swap": swaps,
    "checkState": checks,
    "restore": lambda: [{"outputs": STOCK["signed"]}, {"outputs": STOCK["signed"][:1] + outputs("unsigned", 1)}],
    "openMintQuote": mint_quotes,
    "mintQuotes": lambda: [{"quotes": [*STOCK["issued"], *STOCK["paid"][:3]]}, {"quotes": [UNKNOWN_QUOTE]}],
    "mint": issues,
    "mintBatch": batches,
    "openMeltQuote": melt_quotes,
    "melt": melts,
}
PARTS = {
    "keysOf": [{"keyset_id": KEYSET}, {"keyset_id": KEYSET[::-1]}],
    "mintQuote": [{"quote_id": quote} for quote in (*STOCK["issued"], STOCK["paid"][0], UNKNOWN_QUOTE)],
    "meltQuote": [{"quote_id": quote} for quote in (*MELTS[:4], UNKNOWN_QUOTE)],
}


def name_of(operation):
    return operation.definition.raw["operationId"]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for path, operations in raw_schema["paths"].items():
        for verb, operation in operations.items():
            if "200" in operation["responses"]:
                ROUTES.add(f"{verb.upper()} {path}")


@schemathesis.hook
def before_add_examples(context, examples):
    operation, name = context.operation, name_of(context.operation)
    method = {"method": "bolt11"} if "{method}" in operation.path else {}
    for body in BODIES.get(name, list)():
        examples.append(operation.Case(path_parameters=dict(method), body=body, media_type="application/json"))
    for parts in PARTS.get(name, []):
        examples.append(operation.Case(path_parameters=method | parts))


def chance_of(made_up):
    """A source of choices that follows from what was made up."""
    text = json.dumps(made_up, sort_keys=True, default=repr)
    return random.Random(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    name, chance = name_of(context.operation), chance_of(path_parameters)
    known = {"mintQuote": MINTS, "meltQuote": MELTS}.get(name)
    if not path_parameters or chance.random() < 0.3:
        return path_parameters
    real = {"method": "bolt11", "keyset_id": KEYSET, "quote_id": chance.choice(known or [UNKNOWN_QUOTE])}
    return {part: real.get(part, value) for part, value in path_parameters.items()}


@schemathesis.hook
def map_body(context, body):
    chance = chance_of(body)
    if not isinstance(body, dict) or chance.random() < 0.3:
        return body
    return graft(name_of(context.operation), body, chance)


def proofs(chance):
    name = chance.choice(["coins"] * 6 + ["spent", "pending", "locked"])
    return [dict(proof) for proof in chance.sample(STOCK[name], chance.randint(1, 3))]


def graft(name, body, chance):
    """The body with some of its parts replaced by real ones."""
    quotes = MELTS if name == "melt" else MINTS
    real = {
        "quote": lambda: chance.choice(quotes),
        "quotes": lambda: chance.sample(quotes, chance.randint(1, 3)),
        "request": lambda: chance.choice(STOCK["invoices"]),
        "unit": lambda: "sat",
        "inputs": lambda: proofs(chance),
        "Ys": lambda: [y_of(proof["secret"]) for proof in proofs(chance)],
    }
    body = {key: real[key]() if key in real and chance.random() < 0.85 else value for key, value in body.items()}
    if "outputs" in body and chance.random() < 0.85:
        body["outputs"] = fitting(name, body, chance)
    return body


def fitting(name, body, chance):
    """Outputs that are worth what goes in, most often."""
    if name == "restore":
        return chance.sample(STOCK["signed"], 3)
    if name == "melt":
        amounts = [0] * chance.randint(0, 4)
    elif name == "swap" and isinstance(body.get("inputs"), list):
        amounts = [proof.get("amount", 1) if isinstance(proof, dict) else 1 for proof in body["inputs"]]
    else:
        quotes = body.get("quotes")
        amounts = [8] * (len(quotes) if isinstance(quotes, list) else 1)
    if chance.random() < 0.1:
        amounts.append(1)
    return outputs(f"{chance.random()}", *amounts)


@schemathesis.hook
def after_call(context, case, response):
    if case.method.upper() == case.operation.method.upper():
        ANSWERS[f"{case.method.upper()} {case.operation.path}"][response.status_code] += 1


@atexit.register
def report():
    for route in sorted(ROUTES):
        answers = ANSWERS[route]
        words = ", ".join(f"{status} x {count}" for status, count in sorted(answers.items()))
        print(f"{'ok' if answers[200] else 'FAILED'} {route} answered {words or 'nothing'}", flush=True)
