"""What the flows share: opening a wallet of stock nutshell, paying quotes, and the checks that every flow makes.

Importing this must come before importing `cashu` elsewhere: nutshell reads its settings when it is first imported.
"""

import asyncio
import os
import re
import sys
import time
from pathlib import Path

if len(sys.argv) != 4:
    sys.exit(f"usage: python {sys.argv[0]} MINT_URL PAYEE_URL FOLDER")
MINT, PAYEE = sys.argv[1:3]
FOLDER = Path(sys.argv[3]).resolve()
# Neither a wallet nor settings of the person who runs this may be touched.
ENVIRONMENT = {"HOME": str(FOLDER), "CASHU_DIR": str(FOLDER / "cli"), "TOR": "false", "LOG_LEVEL": "WARNING", "DEBUG": "false"}
os.environ.update(ENVIRONMENT)
FOLDER.mkdir(parents=True, exist_ok=True)
os.chdir(FOLDER)

from cashu.core.base import MintQuoteState, ProofSpentState  # noqa: E402
from cashu.core.split import amount_split  # noqa: E402
from cashu.wallet.wallet import Wallet  # noqa: E402

# NUT error codes: https://github.com/cashubtc/nuts/blob/main/error_codes.md
PROOF_NOT_VERIFIED = 10001
TOKEN_ALREADY_SPENT = 11001
QUOTE_ALREADY_ISSUED = 20002
SIGNATURE_INVALID = 20008

# Of the fee reserve of the mint under test, in sat, it uses this much.
RESERVE, LIGHTNING_FEE = 10, 4

SETTLE_LIMIT_S = 30
UNSPENT, SPENT = ProofSpentState.unspent, ProofSpentState.spent
opened = 0


async def open_wallet(url=MINT):
    """A new wallet with a seed and a database of its own."""
    global opened
    opened += 1
    wallet = await Wallet.with_db(url, str(FOLDER / f"wallet-{opened}"))
    # It swallows its errors, so what it should have brought is asked for.
    await wallet.load_mint()
    assert wallet.keyset_id in wallet.keysets, "the mint's keys are loaded"
    return wallet


def total(proofs):
    return sum(proof.amount for proof in proofs)


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found}, not {wanted}"


async def refused(code, what, attempt):
    """The mint says no, and by the right number of the NUTs: stock nutshell hands it on as text only."""
    try:
        await attempt
    except Exception as error:
        said = re.search(r"\(Code: (\d+)\)", str(error))
        assert said, f"{what}: not a NUT error: {error!r}"
        equal(int(said.group(1)), code, f"{what}: {error}")
        return
    raise AssertionError(f"{what} was allowed")


async def until(what, check):
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < deadline:
        found = await check()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {SETTLE_LIMIT_S} s")


async def assert_states(wallet, proofs, state):
    answer = await wallet.check_proof_state(proofs)
    equal(len(answer.states), len(proofs), "one state for each proof asked about")
    for entry, proof in zip(answer.states, proofs, strict=True):
        equal(entry.Y, proof.Y, "in the order of the request")
        equal(entry.state, state, "state")


async def assert_holds(wallet, amount):
    """What the wallet holds in memory, in its database and, unspent, at the mint, is `amount`."""
    equal(wallet.available_balance.amount, amount, "balance")
    await wallet.load_proofs(reload=True)
    equal(wallet.available_balance.amount, amount, "balance of the database")
    free = [proof for proof in wallet.proofs if not proof.reserved]
    if free:
        await assert_states(wallet, free, UNSPENT)


def assert_dleq(wallet, proofs):
    """Stock nutshell passes over proofs without DLEQ, so that there is one is checked here."""
    assert proofs and all(proof.dleq for proof in proofs), "every proof has a DLEQ"
    wallet.verify_proofs_dleq(proofs)


async def is_paid(wallet, quote):
    now = await wallet.get_mint_quote(quote.quote)
    return now.state == MintQuoteState.paid


async def fund(wallet, amount):
    """Fresh proofs that are worth `amount`. Nutshell locks every quote of its own to a new key (NUT-20)."""
    quote = await wallet.request_mint(amount)
    await until("the mint quote is paid", lambda: is_paid(wallet, quote))
    proofs = await wallet.mint(amount, quote.quote)
    equal(total(proofs), amount, "minted")
    assert_dleq(wallet, proofs)
    return proofs


async def funded(amount):
    wallet = await open_wallet()
    await fund(wallet, amount)
    return wallet


def swapped_away(before, wallet):
    """Which of the proofs that the wallet held `before` it holds no more: what a swap has spent."""
    held = {proof.secret for proof in wallet.proofs}
    return [proof for proof in before if proof.secret not in held]


def with_fee(wallet, amount):
    """What to send so that `amount` is left when the receiver has swapped it.

    `include_fees` of nutshell's own swap does not put it into the selection of inputs, which then may not suffice.
    """
    keyset = wallet.keysets[wallet.keyset_id]
    sent = amount
    while sent - wallet.get_fees_for_keyset(amount_split(sent), keyset) < amount:
        sent += 1
    return sent


async def split(wallet, amount, lock=None):
    """Swaps `amount` off, locked where `lock` says so, and checks the books of the swap."""
    before = list(wallet.proofs)
    keep, send = await wallet.swap_to_send(before, amount, secret_lock=lock, set_reserved=True)
    inputs = swapped_away(before, wallet)
    assert inputs, "a swap took place"
    fee = wallet.get_fees_for_proofs(inputs)
    equal(total(send), amount, "sent")
    equal(total(keep) + total(send) + fee, total(inputs), "what comes out of the swap, with its fee")
    assert_dleq(wallet, keep + send)
    await assert_states(wallet, inputs, SPENT)
    await assert_holds(wallet, total(before) - fee - total(send))
    return send, fee


async def step(name, work):
    """Runs one flow and prints the line that `cargo xtask interop` counts."""
    started = time.monotonic()
    await work
    print(f"ok {name} ({round((time.monotonic() - started) * 1000)} ms)", flush=True)
