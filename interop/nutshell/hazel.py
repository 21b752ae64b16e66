"""Tokens that our wallet makes and others receive, and the other way round, at a mint of ours.

    python hazel.py HAZEL MINT_URL PAYEE_URL FOLDER

HAZEL is our command. It needs what `npm ci` brings to interop/cashu-ts.
"""

import asyncio
import hashlib
import sys
from pathlib import Path

HAZEL = sys.argv.pop(1)

from wallet import FOLDER, MINT, SPENT, assert_dleq, assert_holds, assert_states, equal, funded, open_wallet, split, step, with_fee  # noqa: E402

sys.path.append(str(Path(__file__).resolve().parent.parent / "hazel"))

from purse import Purse, Refused  # noqa: E402

from cashu.core.base import HTLCWitness  # noqa: E402
from cashu.wallet.helpers import deserialize_token_from_string, receive  # noqa: E402

from cross import cashu_ts  # noqa: E402

opened = 0


def purse(name):
    global opened
    opened += 1
    return Purse(HAZEL, FOLDER / "hazel", f"{name}-{opened}", MINT)


def with_money(amount):
    alice = purse("alice")
    alice.mint(amount)
    return alice


def send(alice, amount, *arguments):
    """A token that pays its receiver's fee; the sender's books must balance."""
    before = alice.balance()
    made = alice.hazel("send", str(amount), "--include-fee", *arguments)
    equal(alice.balance(), before - made["token_value"] - made["fee"], "the sender has left")
    return made["token"]


async def to_cashu_ts():
    equal(await cashu_ts("receive", send(with_money(100), 21)), "21", "received by cashu-ts")


async def from_cashu_ts():
    bob = purse("bob")
    text = await cashu_ts("make", "21")
    equal(bob.receive(text)[0], 21, "received of cashu-ts")
    equal(bob.balance(), 21, "received of cashu-ts")


async def to_nutshell():
    receiver = await open_wallet()
    token = deserialize_token_from_string(send(with_money(100), 21))
    assert token.proofs and all(proof.dleq for proof in token.proofs), "the token carries a DLEQ for every proof"
    await receive(receiver, token)
    await assert_holds(receiver, 21)
    assert_dleq(receiver, receiver.proofs)


async def from_nutshell(legacy):
    sender, bob = await funded(100), purse("bob")
    proofs, _ = await split(sender, with_fee(sender, 21))
    text = await sender.serialize_proofs(proofs, include_dleq=True, legacy=legacy)
    equal(bob.receive(text)[0], 21, "received of nutshell")
    equal(bob.balance(), 21, "received of nutshell")
    await assert_states(sender, proofs, SPENT)


async def locked_to_nutshell():
    receiver = await open_wallet()
    token = send(with_money(100), 21, "--lock-to", await receiver.create_p2pk_pubkey())
    try:
        purse("thief").receive(token)
    except Refused:
        pass
    else:
        raise AssertionError("a token for another was taken")
    await receive(receiver, deserialize_token_from_string(token))
    await assert_holds(receiver, 21)


async def locked_by_nutshell():
    sender, bob = await funded(100), purse("bob")
    bob.mint(1)
    lock = await sender.create_p2pk_lock(bob.key())
    proofs, _ = await split(sender, 32, lock=lock)
    came, fee = bob.receive(await sender.serialize_proofs(proofs, include_dleq=True))
    equal(came + fee, 32, "a token that nutshell locked")
    equal(bob.balance(), 1 + came, "a token that nutshell locked")
    await assert_states(sender, proofs, SPENT)


async def hashed_for_nutshell():
    receiver, preimage = await open_wallet(), "03" * 32
    hashed = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
    token = deserialize_token_from_string(send(with_money(100), 21, "--hash", hashed))
    proofs = token.proofs
    for proof in proofs:
        proof.witness = HTLCWitness(preimage=preimage).model_dump_json()
    await receiver.redeem(proofs)
    await assert_holds(receiver, 21)


async def hashed_by_nutshell():
    sender, bob, preimage = await funded(100), purse("bob"), "04" * 32
    lock = await sender.create_htlc_lock(preimage=preimage)
    proofs, _ = await split(sender, 32, lock=lock)
    text = await sender.serialize_proofs(proofs, include_dleq=True)
    came, fee = bob.receive(text, "--preimage", preimage)
    equal(came + fee, 32, "a token that nutshell locked to a hash")
    await assert_states(sender, proofs, SPENT)


async def main():
    await step("hazel to cashu-ts", to_cashu_ts())
    await step("cashu-ts to hazel", from_cashu_ts())
    await step("hazel to nutshell", to_nutshell())
    await step("nutshell to hazel (version 4)", from_nutshell(legacy=False))
    await step("nutshell to hazel (version 3)", from_nutshell(legacy=True))
    await step("hazel to nutshell, locked to a key", locked_to_nutshell())
    await step("nutshell to hazel, locked to a key", locked_by_nutshell())
    await step("hazel to nutshell, locked to a hash", hashed_for_nutshell())
    await step("nutshell to hazel, locked to a hash", hashed_by_nutshell())


asyncio.run(main())
