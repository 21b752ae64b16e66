"""The stock wallet of nutshell, as PyPI delivers it, against a running mint.

    python main.py MINT_URL PAYEE_URL FOLDER

MINT_URL is the mint under test. PAYEE_URL is a second mint that owns the Lightning invoice which is paid, so that the melt
is a payment to the outside; its invoices do not pay themselves. FOLDER takes the wallets' databases. This script starts no
mint and stops none: `cargo xtask interop` does.

Every flow ends with its books balanced to the sat: what went in equals what came out plus the fees that the keyset and the
quote announce. The first disagreement ends the run with exit code 1.
"""

import asyncio

from wallet import (
    LIGHTNING_FEE,
    PAYEE,
    QUOTE_ALREADY_ISSUED,
    RESERVE,
    SIGNATURE_INVALID,
    SPENT,
    TOKEN_ALREADY_SPENT,
    assert_dleq,
    assert_holds,
    assert_states,
    equal,
    funded,
    is_paid,
    open_wallet,
    refused,
    split,
    step,
    total,
    until,
    with_fee,
)

from cashu.core.base import MeltQuoteState, Method, MintQuote, MintQuoteState
from cashu.core.crypto.secp import PrivateKey
from cashu.wallet.crud import store_bolt11_mint_quote
from cashu.wallet.helpers import deserialize_token_from_string, receive

from cli import commands
from locks import locks

async def describe():
    """NUT-01, NUT-02, NUT-06."""
    wallet = await open_wallet()
    info = wallet.mint_info
    for nut in (7, 8, 9, 10, 11, 12, 14, 20):
        assert info.supports_nut(nut), f"NUT-{nut}"
    assert info.supports_websocket_mint_quote(Method.bolt11, wallet.unit), "NUT-17"
    for keyset in wallet.keysets.values():
        equal((keyset.id[:2], len(keyset.id)), ("01", 66), "a version 2 keyset id")


async def mint():
    """NUT-04, NUT-23."""
    wallet = await open_wallet()
    quote = await wallet.request_mint(1000)
    await until("the mint quote is paid", lambda: is_paid(wallet, quote))
    proofs = await wallet.mint(1000, quote.quote)
    assert_dleq(wallet, proofs)
    await refused(QUOTE_ALREADY_ISSUED, "minting a quote twice", wallet.mint(1000, quote.quote))
    now = await wallet.get_mint_quote(quote.quote)
    equal(now.state, MintQuoteState.issued, "state of the quote")
    await assert_holds(wallet, 1000)


async def locked_quote():
    """NUT-20: nutshell locks every quote. With another key nobody mints it."""
    owner, thief = await open_wallet(), await open_wallet()
    quote = await owner.request_mint(21)
    assert quote.privkey, "nutshell locked the quote"
    await until("the quote is paid", lambda: is_paid(owner, quote))
    other_key = {**quote.model_dump(), "privkey": PrivateKey().to_hex()}
    await store_bolt11_mint_quote(db=thief.db, quote=MintQuote(**other_key))
    await refused(SIGNATURE_INVALID, "minting with another key", thief.mint(21, quote.quote))
    await owner.mint(21, quote.quote)
    await assert_holds(owner, 21)
    await assert_holds(thief, 0)


async def swap():
    """NUT-03: all that a wallet has for new proofs of another division."""
    wallet = await funded(100)
    old = list(wallet.proofs)
    fee = wallet.get_fees_for_proofs(old)
    keep, send = await wallet.split(old, 37)
    equal(total(send), 37, "split off")
    equal(total(keep), 63 - fee, "kept")
    await assert_states(wallet, old, SPENT)
    await assert_holds(wallet, 100 - fee)


async def send_and_receive(legacy):
    """NUT-00: by token of version 4, or 3 where `legacy`."""
    sender, receiver, thief = await funded(200), await open_wallet(), await open_wallet()
    send, _ = await split(sender, with_fee(sender, 21))
    text = await sender.serialize_proofs(send, include_dleq=True, legacy=legacy)
    assert text.startswith("cashuA" if legacy else "cashuB"), text[:6]
    await receive(receiver, deserialize_token_from_string(text))
    await assert_holds(receiver, 21)
    assert_dleq(receiver, receiver.proofs)
    await assert_states(sender, send, SPENT)
    await refused(TOKEN_ALREADY_SPENT, "receiving twice", receive(thief, deserialize_token_from_string(text)))
    await assert_holds(thief, 0)


async def restore(wallet):
    """NUT-09, NUT-13: the words alone bring back what is unspent."""
    again = await open_wallet()
    await again.restore_wallet_from_mnemonic(wallet.mnemonic)
    await again.load_proofs(reload=True)
    secrets = sorted(proof.secret for proof in again.proofs)
    equal(secrets, sorted(proof.secret for proof in wallet.proofs), "secrets restored")
    assert_dleq(again, again.proofs)
    await assert_holds(again, wallet.available_balance.amount)


async def melt():
    """NUT-05, NUT-08: what the fee reserve did not need comes back as change. The seed finds all of it."""
    wallet, payee = await funded(500), await open_wallet(PAYEE)
    bill = await payee.request_mint(100)
    quote = await wallet.melt_quote(bill.request)
    equal((quote.amount, quote.fee_reserve), (100, RESERVE), "quoted")
    send, swap_fee = await split(wallet, with_fee(wallet, 100 + RESERVE))
    melt_fee = wallet.get_fees_for_proofs(send)
    paid = await wallet.melt(send, bill.request, quote.fee_reserve, quote.quote)
    equal(paid.state, MeltQuoteState.paid.value, "state of the melt")
    assert paid.payment_preimage, "a preimage"
    await assert_states(wallet, send, SPENT)
    await until("the payee is paid", lambda: is_paid(payee, bill))
    await payee.mint(100, bill.quote)
    await assert_holds(payee, 100)
    await assert_holds(wallet, 500 - swap_fee - melt_fee - 100 - LIGHTNING_FEE)
    await restore(wallet)


async def subscriptions():
    """NUT-17: that a quote is paid and that proofs are spent is told on the WebSocket."""
    wallet = await open_wallet()
    told = []
    quote, mints = await wallet.request_mint_with_callback(32, lambda note: told.append(note.payload))

    async def is_told():
        return any(payload["quote"] == quote.quote and payload["state"] == "PAID" for payload in told)

    await until("the payment is told", is_told)
    mints.close()
    proofs = await wallet.mint(32, quote.quote)
    states = []
    now, spends = await wallet.check_proof_state_with_callback(proofs, lambda note: states.append(note.payload))
    assert all(entry.unspent for entry in now.states), "fresh"
    # Told as they are at first, so that what comes after is the change.
    told_of = lambda state: {entry["Y"] for entry in states if entry["state"] == state}  # noqa: E731
    ys = {proof.Y for proof in proofs}

    async def is_unspent():
        return told_of("UNSPENT") == ys

    async def is_spent():
        return told_of("SPENT") == ys

    await until("the states as they are", is_unspent)
    fee = wallet.get_fees_for_proofs(proofs)
    await wallet.split(proofs, 0)
    await until("the spending is told", is_spent)
    spends.close()
    await assert_holds(wallet, 32 - fee)


async def main():
    await step("describe", describe())
    await step("mint 1000", mint())
    await step("locked mint quote", locked_quote())
    await step("swap", swap())
    await step("send 21, receive (version 4)", send_and_receive(legacy=False))
    await step("send 21, receive (version 3)", send_and_receive(legacy=True))
    await step("melt with change, restore", melt())
    await step("subscriptions", subscriptions())
    await locks()
    await step("the command cashu", commands())


asyncio.run(main())
