"""The command `cashu`, as a user types it."""

import asyncio
import os
import re
import sys
from pathlib import Path

from wallet import ENVIRONMENT, FOLDER, LIGHTNING_FEE, MINT, PAYEE, assert_holds, equal, is_paid, open_wallet, until

from cashu.wallet.crud import get_proofs
from cashu.wallet.helpers import deserialize_token_from_string
from cashu.wallet.wallet import Wallet

COMMAND_LIMIT_S = 60
COMMAND = Path(sys.executable).parent / "cashu"


def home(name):
    """Nutshell can keep several wallets by name, but receives into the one of the default name: so each user has a folder."""
    return FOLDER / "cli" / name


async def cashu(name, *arguments, typed=""):
    """What the command prints to the user `name`. It ends with 0 unless it fails."""
    line = [str(COMMAND), "--host", MINT, "--yes", *arguments]
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **ENVIRONMENT, "CASHU_DIR": str(home(name))}
    process = await asyncio.create_subprocess_exec(*line, stdin=pipe, stdout=pipe, stderr=pipe, cwd=FOLDER, env=environment)
    out, err = await asyncio.wait_for(process.communicate(typed.encode()), COMMAND_LIMIT_S)
    equal(process.returncode, 0, f"cashu {arguments}: {out.decode()} {err.decode()}")
    return out.decode()


async def assert_balance(name, amount, when):
    """By the command and by what the mint says of the proofs in the wallet's database."""
    printed = re.findall(r"^Balance: (\d+) sat$", await cashu(name, "balance"), re.MULTILINE)
    equal(printed, [str(amount)], f"{name} {when}")
    wallet = await peek(name)
    await wallet.load_proofs()
    await assert_holds(wallet, amount)


async def peek(name):
    """The wallet of the command, opened by the library: what it spent says which input fees were due."""
    wallet = await Wallet.with_db(MINT, str(home(name) / "wallet"))
    await wallet.load_mint()
    return wallet


class Spending:
    """The proofs that the wallet of the command `name` has spent, as far as they were accounted for."""

    def __init__(self, name):
        self.name = name
        self.known = set()

    async def fees(self):
        """The input fees of the swap and the melt, or less, that were made since it was last asked."""
        wallet = await peek(self.name)
        used = [proof for proof in await get_proofs(db=wallet.db, table="proofs_used") if proof.secret not in self.known]
        self.known.update(proof.secret for proof in used)
        swapped = [proof for proof in used if not proof.melt_id]
        melted = [proof for proof in used if proof.melt_id]
        return wallet.get_fees_for_proofs(swapped) + wallet.get_fees_for_proofs(melted)


async def send(name, *arguments):
    """A token by the command, what it is worth, and what receiving it costs."""
    printed = await cashu(name, "send", *arguments)
    found = re.findall(r"^cashuB\S+$", printed, re.MULTILINE)
    equal(len(found), 1, f"tokens in {printed}")
    token = deserialize_token_from_string(found[0])
    wallet = await peek(name)
    fee = wallet.get_fees_for_keyset(token.proofs, wallet.keysets[wallet.keyset_id])
    return found[0], token.amount, fee


async def pay(name, amount):
    """An invoice of the payee, which must then have the money."""
    payee = await open_wallet(PAYEE)
    bill = await payee.request_mint(amount)
    await cashu(name, "pay", bill.request)
    await until("the payee is paid", lambda: is_paid(payee, bill))
    await payee.mint(amount, bill.quote)
    await assert_holds(payee, amount)


async def commands():
    """invoice, send, receive, pay, restore, lock."""
    alice = Spending("alice")
    await cashu("alice", "invoice", "300")
    await assert_balance("alice", 300, "after the invoice")

    token, sent, due = await send("alice", "21", "--dleq", "--include-fees")
    equal(sent, 21 + due, "sent")
    held = 300 - sent - await alice.fees()
    await assert_balance("alice", held, "after sending")
    await cashu("bob", "receive", token)
    await assert_balance("bob", 21, "after receiving")

    await pay("alice", 50)
    held -= 50 + LIGHTNING_FEE + await alice.fees()
    await assert_balance("alice", held, "after paying")
    words = (await peek("alice")).mnemonic
    await cashu("again", "restore", typed=f"{words}\n")
    await assert_balance("again", held, "by the words of alice")

    lock = re.search(r"P2PK:[0-9a-f]{66}", await cashu("bob", "lock", "p2pk")).group()
    token, sent, due = await send("alice", "10", "--lock", lock)
    equal(sent, 10, "sent with a lock")
    await assert_balance("alice", held - sent - await alice.fees(), "after sending with a lock")
    await cashu("bob", "receive", token)
    await assert_balance("bob", 21 + 10 - due, "after opening the lock")
