// What the flows share: the two mints, opening a wallet, and the checks that every flow makes.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { MintOperationError, MintQuoteState, Wallet, sumProofs } from '@cashu/cashu-ts';

export const [mintUrl, payeeUrl] = process.argv.slice(2);
if (!mintUrl || !payeeUrl) {
  console.error('usage: node main.mjs MINT_URL PAYEE_URL');
  process.exit(2);
}

const SETTLE_TIMEOUT_MS = 30_000;

// What a payment costs on Lightning: the mints under test reserve 10 sat and their node uses 40 % of it (`FEE_RESERVE` in xtask).
const FEE_RESERVE = 10n;
export const LIGHTNING_FEE = 4n;

export const sum = (proofs) => sumProofs(proofs).toBigInt();
export const inputFee = (wallet, proofs) => wallet.getFeesForProofs(proofs).toBigInt();

export async function open(options) {
  const wallet = new Wallet(mintUrl, { unit: 'sat', ...options });
  await wallet.loadMint();
  return wallet;
}

export async function refused(code, what, attempt) {
  await assert.rejects(attempt, (error) => {
    assert.ok(error instanceof MintOperationError, `${what}: not a NUT error: ${error}`);
    assert.equal(error.code, code, `${what}: ${error.message}`);
    return true;
  });
}

export async function until(what, check) {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const found = await check();
    if (found) return found;
    await sleep(100);
  }
  assert.fail(`${what} did not happen within ${SETTLE_TIMEOUT_MS} ms`);
}

export async function assertStates(wallet, proofs, state) {
  const entries = await wallet.checkProofsStates(proofs);
  assert.equal(entries.length, proofs.length, 'one state for each proof asked about');
  for (const entry of entries) assert.equal(entry.state, state);
}

// The books of a melt: what left the wallet is the amount, what Lightning took, and the input fee, to the sat.
export function assertMelt(wallet, quote, proofs, change) {
  assert.equal(quote.fee_reserve.toBigInt(), FEE_RESERVE, 'the reserve that the mint was started with');
  const gone = sum(proofs) - sum(change ?? []);
  assert.equal(gone, quote.amount.toBigInt() + LIGHTNING_FEE + inputFee(wallet, proofs), 'the melt balances');
}

// Fresh proofs that are worth `amount`.
export async function fund(wallet, amount) {
  const quote = await wallet.createMintQuoteBolt11(amount);
  await until('the mint quote is paid', async () => {
    const now = await wallet.checkMintQuoteBolt11(quote.quote);
    return now.state === MintQuoteState.PAID;
  });
  const proofs = await wallet.mintProofsBolt11(amount, quote.quote);
  assert.equal(sum(proofs), amount);
  return proofs;
}
