//! Rows by other hands, for the contract suite.

use async_trait::async_trait;
use hazel_protocol::{KeysetId, PointBytes};

use crate::ports::{InputState, KeysetTotals, OperationId, SignedRow};
use crate::store::contract::Plant;

use super::MemoryStore;

#[async_trait]
impl Plant for MemoryStore {
    async fn plant_signatures(&self, operation: OperationId, rows: &[SignedRow]) {
        let mut ledger = self.lock();
        for row in rows {
            let output = ledger.outputs.get_mut(&row.output.b).expect("the output is reserved");
            assert_eq!(output.operation, operation, "the output is of another operation");
            output.signature = Some((row.c, row.dleq));
            let totals = ledger.totals.get_mut(&row.output.keyset).expect("the keyset is known");
            totals.issued = totals.issued.checked_add(row.output.amount).expect("a small amount");
        }
    }

    async fn plant_spent(&self, ys: &[PointBytes]) {
        let mut ledger = self.lock();
        for y in ys {
            let input = ledger.inputs.get_mut(y).expect("the input is known");
            input.state = InputState::Spent;
            let (keyset, amount) = (input.row.keyset, input.row.amount);
            let totals = ledger.totals.get_mut(&keyset).expect("the keyset is known");
            totals.reserved = totals.reserved.checked_sub(amount).expect("it was reserved");
            totals.redeemed = totals.redeemed.checked_add(amount).expect("a small amount");
        }
    }

    async fn plant_totals(&self, keyset: KeysetId, totals: KeysetTotals) {
        self.lock().totals.insert(keyset, totals);
    }
}
