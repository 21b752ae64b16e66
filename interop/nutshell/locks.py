"""Spending conditions (NUT-10, NUT-11, NUT-14), with nutshell's own code on the wallet's side.

Each flow starts with money of its own and ends with its books balanced. Where a rule is broken on purpose the refusal must
be the NUTs', the proofs must still be unspent, and the right witness must then spend them.
"""

import copy
import os

from wallet import PROOF_NOT_VERIFIED, SPENT, UNSPENT, assert_holds, assert_states, equal, funded, open_wallet, refused, split, step

from cashu.core.base import HTLCWitness
from cashu.core.secret import Tags

LOCKED = 32
HOUR_S = 3600
LONG_AGO_S = -HOUR_S


async def key(wallet):
    return await wallet.create_p2pk_pubkey()


async def lock(secret):
    """Fresh money, locked so."""
    wallet = await funded(LOCKED + 8)
    proofs, _ = await split(wallet, LOCKED, lock=secret)
    for proof in proofs:
        assert proof.secret.startswith(f'["{secret.kind}"'), proof.secret
    return proofs


async def opens(wallet, proofs):
    """Spends them, and checks that all but the fee arrives."""
    before = wallet.available_balance.amount
    fee = wallet.get_fees_for_proofs(proofs)
    await wallet.redeem(copy.deepcopy(proofs))
    await assert_states(wallet, proofs, SPENT)
    await assert_holds(wallet, before + LOCKED - fee)


async def stays_shut(wallet, proofs, what):
    """Nutshell adds the signature of its own key where the lock names it, and no other; the mint must refuse."""
    before = wallet.available_balance.amount
    await refused(PROOF_NOT_VERIFIED, what, wallet.redeem(copy.deepcopy(proofs)))
    await assert_states(wallet, proofs, UNSPENT)
    await assert_holds(wallet, before)


async def to_one_key():
    owner, thief = await open_wallet(), await open_wallet()
    proofs = await lock(await owner.create_p2pk_lock(await key(owner)))
    await stays_shut(thief, proofs, "spending without a signature")
    forged = copy.deepcopy(proofs)
    thief.add_signatures_to_proofs(forged, thief.signatures_proofs_sig_inputs(forged))
    await stays_shut(thief, forged, "spending with the signature of another key")
    await opens(owner, proofs)


async def two_of_three():
    one, two, three = [await open_wallet() for _ in range(3)]
    tags = Tags([["pubkeys", await key(two), await key(three)]])
    proofs = await lock(await one.create_p2pk_lock(await key(one), tags=tags, n_sigs=2))
    await stays_shut(three, proofs, "one signature of two")
    signed = one.sign_p2pk_sig_inputs(copy.deepcopy(proofs))
    equal(len(signed), len(proofs), "signed by the first")
    await opens(three, signed)


async def locktime():
    owner, back = await open_wallet(), await open_wallet()
    refund = Tags([["refund", await key(back)]])
    early = await lock(await owner.create_p2pk_lock(await key(owner), HOUR_S, copy.deepcopy(refund)))
    await stays_shut(back, early, "a refund before the locktime")
    await opens(owner, early)
    late = await owner.create_p2pk_lock(await key(owner), LONG_AGO_S, refund)
    await opens(back, await lock(late))
    await opens(owner, await lock(late))
    anyone = await open_wallet()
    await opens(anyone, await lock(await owner.create_p2pk_lock(await key(owner), LONG_AGO_S)))


async def refund_of_two():
    owner, one, two = [await open_wallet() for _ in range(3)]
    tags = Tags([["refund", await key(one), await key(two)], ["n_sigs_refund", "2"]])
    proofs = await lock(await owner.create_p2pk_lock(await key(owner), LONG_AGO_S, tags))
    await stays_shut(one, proofs, "one refund signature of two")
    await opens(two, one.sign_p2pk_sig_inputs(copy.deepcopy(proofs)))


async def with_preimage(wallet, proofs, preimage):
    return await wallet.add_htlc_preimage_to_proofs(copy.deepcopy(proofs), preimage)


async def hash_lock():
    receiver, sender, thief = [await open_wallet() for _ in range(3)]
    preimage = os.urandom(32).hex()
    options = {"preimage": preimage, "hashlock_pubkeys": [await key(receiver)], "locktime_pubkeys": [await key(sender)]}
    proofs = await lock(await receiver.create_htlc_lock(**options, locktime_seconds=HOUR_S))
    await stays_shut(receiver, await with_preimage(receiver, proofs, os.urandom(32).hex()), "a wrong preimage")
    await stays_shut(thief, await with_preimage(thief, proofs, preimage), "a preimage without a signature")
    await stays_shut(sender, proofs, "a refund before the locktime")
    await opens(receiver, await with_preimage(receiver, proofs, preimage))
    entry = (await sender.check_proof_state(proofs)).states[0]
    told = HTLCWitness.from_witness(entry.witness).preimage
    equal(told, preimage, "the sender finds the preimage by NUT-07")
    await opens(sender, await lock(await receiver.create_htlc_lock(**options, locktime_seconds=LONG_AGO_S)))


async def sig_all_of_old():
    """Nutshell 0.20 signs the secrets and the outputs only, not the amounts and `C` that NUT-11 asks for: no such swap counts."""
    owner = await open_wallet()
    proofs = await lock(await owner.create_p2pk_lock(await key(owner), sig_all=True))
    signed = owner.sign_proofs_inplace_swap(copy.deepcopy(proofs), [])
    assert signed[0].witness, "nutshell does sign"
    await stays_shut(owner, proofs, "SIG_ALL over less than NUT-11 says")


async def locks():
    await step("locked to one key", to_one_key())
    await step("locked to two of three keys", two_of_three())
    await step("locktime and refund", locktime())
    await step("refund by two of two", refund_of_two())
    await step("hash lock", hash_lock())
    await step("SIG_ALL of the old form is refused", sig_all_of_old())
