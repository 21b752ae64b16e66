"""Tokens that cashu-ts makes and nutshell receives, and the other way round.

    python cross.py MINT_URL PAYEE_URL FOLDER

It needs what `npm ci` brings to interop/cashu-ts.
"""

import asyncio
from pathlib import Path

from wallet import (
    MINT,
    PAYEE,
    SPENT,
    TOKEN_ALREADY_SPENT,
    assert_dleq,
    assert_holds,
    assert_states,
    equal,
    funded,
    open_wallet,
    refused,
    split,
    step,
    with_fee,
)

from cashu.wallet.helpers import deserialize_token_from_string, receive

CASHU_TS = Path(__file__).resolve().parent.parent / "cashu-ts"
NODE_LIMIT_S = 60


async def cashu_ts(*arguments):
    """What the wallet of cashu-ts prints."""
    line = ["node", "token.mjs", MINT, PAYEE, *arguments]
    process = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE, cwd=CASHU_TS)
    out, _ = await asyncio.wait_for(process.communicate(), NODE_LIMIT_S)
    equal(process.returncode, 0, f"cashu-ts {arguments[0]}")
    return out.decode().strip()


async def from_cashu_ts():
    receiver, thief = await open_wallet(), await open_wallet()
    text = await cashu_ts("make", "21")
    assert text.startswith("cashuB"), text
    token = deserialize_token_from_string(text)
    assert token.proofs and all(proof.dleq for proof in token.proofs), "the token carries a DLEQ for every proof"
    # Nutshell verifies them as it receives.
    await receive(receiver, token)
    await assert_holds(receiver, 21)
    assert_dleq(receiver, receiver.proofs)
    await refused(TOKEN_ALREADY_SPENT, "receiving twice", receive(thief, deserialize_token_from_string(text)))


async def from_nutshell(legacy):
    sender = await funded(100)
    send, _ = await split(sender, with_fee(sender, 21))
    text = await sender.serialize_proofs(send, include_dleq=True, legacy=legacy)
    assert text.startswith("cashuA" if legacy else "cashuB"), text[:6]
    equal(await cashu_ts("receive", text), "21", "received by cashu-ts")
    await assert_states(sender, send, SPENT)


async def main():
    await step("cashu-ts to nutshell (version 4)", from_cashu_ts())
    await step("nutshell to cashu-ts (version 4)", from_nutshell(legacy=False))
    await step("nutshell to cashu-ts (version 3)", from_nutshell(legacy=True))


if __name__ == "__main__":
    asyncio.run(main())
