// One side of a payment between two kinds of wallet: cashu-ts makes a token for another, or takes one that another made.
//
//   node token.mjs MINT_URL PAYEE_URL make AMOUNT     prints a token that leaves its receiver with AMOUNT
//   node token.mjs MINT_URL PAYEE_URL receive TOKEN   prints what arrives

import assert from 'node:assert/strict';
import { CheckStateEnum, getEncodedToken } from '@cashu/cashu-ts';
import { assertStates, fund, inputFee, mintUrl, open, sum } from './wallet.mjs';

async function make(wallet, amount) {
  const proofs = await fund(wallet, 2n * amount);
  const { keep, send } = await wallet.send(amount, proofs, { includeFees: true });
  assert.equal(sum(send), amount + inputFee(wallet, send));
  await assertStates(wallet, keep, CheckStateEnum.UNSPENT);
  return getEncodedToken({ mint: mintUrl, proofs: send, unit: 'sat' });
}

async function receive(wallet, token) {
  const received = await wallet.receive(token, { requireDleq: true });
  await assertStates(wallet, received, CheckStateEnum.UNSPENT);
  return String(sum(received));
}

const [what, argument] = process.argv.slice(4);
const wallet = await open({});
console.log(what === 'make' ? await make(wallet, BigInt(argument)) : await receive(wallet, argument));
