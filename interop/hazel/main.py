"""Our wallet, the command `hazel`, against a mint that others wrote.

    python3 main.py HAZEL MINT_URL PAYEE_URL FOLDER

MINT_URL is their mint, whose invoices pay themselves. PAYEE_URL is a mint of ours; what is paid is an invoice of it, and theirs has no way
to it but a fake one, so that only the payer's side is looked at. FOLDER takes the wallets.

Every flow ends with its books balanced to the sat: what went in equals what came out plus the fees that were announced.
"""

import hashlib
import sys

from purse import Purse, equal, step

PROGRAM, MINT, PAYEE, FOLDER = sys.argv[1:]
opened = 0


def purse(name, mint=MINT):
    global opened
    opened += 1
    return Purse(PROGRAM, FOLDER, f"{name}-{opened}", mint)


def funded(amount):
    alice = purse("alice")
    alice.mint(amount)
    equal(alice.balance(), amount, "minted")
    return alice


def send_and_receive(alice, amount, to_send=(), to_receive=(), bob=None):
    """Sends from one to the other and looks at both books. Gives the token and who has its money now."""
    bob = bob or purse("bob")
    before = alice.balance(), bob.balance()
    token, fee = alice.send(amount, "--include-fee", *to_send)
    came, due = bob.receive(token, *to_receive)
    equal(came, amount, "what arrives of a token that pays its receiver's fee")
    equal(alice.balance(), before[0] - amount - due - fee, "the sender has left")
    equal(bob.balance(), before[1] + came, "the receiver has")
    bob.refuses("receiving twice", "receive", "-", *to_receive, typed=token)
    return token, bob


def mint():
    """NUT-04, NUT-23."""
    alice = funded(777)
    alice.mint(1)
    equal(alice.balance(), 778, "minted twice")


def send():
    """NUT-03, NUT-00."""
    alice = funded(100)
    _, bob = send_and_receive(alice, 21)
    send_and_receive(bob, 9, bob=alice)


def p2pk():
    """NUT-11."""
    alice, bob, thief = funded(100), purse("bob"), purse("thief")
    token, _ = alice.send(10, "--lock-to", bob.key())
    thief.refuses("a token for another", "receive", "-", typed=token)
    came, fee = bob.receive(token)
    equal(came + fee, 10, "a locked token")
    # Two of two keys, one after the other.
    lock = ["--lock-to", bob.key(), "--lock-to", alice.key(), "--signatures", "2"]
    token, _ = alice.send(8, *lock)
    half = alice.hazel("unlock", "-", typed=token)["token"]
    thief.refuses("a token for two others", "receive", "-", typed=half)
    came, fee = bob.receive(half)
    equal(came + fee, 8, "a token locked to two keys")


def htlc():
    """NUT-14."""
    alice, bob = funded(100), purse("bob")
    preimage = "01" * 32
    hashed = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
    token, _ = alice.send(10, "--hash", hashed, "--lock-to", bob.key())
    bob.refuses("a hash lock without its preimage", "receive", "-", typed=token)
    bob.refuses("a hash lock with another preimage", "receive", "-", "--preimage", "02" * 32, typed=token)
    came, fee = bob.receive(token, "--preimage", preimage)
    equal(came + fee, 10, "a token locked to a hash")


def melt():
    """NUT-05, NUT-08."""
    alice, payee = funded(500), purse("payee", PAYEE)
    invoice = payee.hazel("mint", "60", "--no-wait")["invoice"]
    paid = alice.hazel("pay", invoice)
    equal((paid["state"], paid["amount"]), ("paid", 60), "paid")
    assert paid["change"] > 0, f"change of the fee reserve: {paid}"
    equal(alice.balance(), 500 - 60 - paid["fee"], "the change is back")
    alice.refuses("paying twice", "pay", invoice)
    equal(alice.balance(), 500 - 60 - paid["fee"], "paid once")


def restore():
    """NUT-09, NUT-13."""
    alice = funded(300)
    send_and_receive(alice, 21)
    left = alice.balance()
    again = purse("again")
    again.hazel("init", "--from-words", "-", typed=alice.words())
    equal(again.hazel("restore")["restored"][0]["amount"], left, "restored")
    equal(again.balance(), left, "restored")
    equal(again.hazel("restore")["restored"][0]["amount"], 0, "restored twice")
    send_and_receive(again, left // 2)


for work in (mint, send, p2pk, htlc, melt, restore):
    step(f"hazel: {work.__name__}", work)
