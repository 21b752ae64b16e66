//! The amounts of a swap: so many inputs that, after the fee, so many outputs carry exactly what they carry.

use anyhow::{Context, Result};

/// Amounts of one swap's inputs and outputs, in the unit, powers of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) inputs: Vec<u64>,
    pub(crate) outputs: Vec<u64>,
}

impl Shape {
    /// The smallest amounts that work with a fee of `fee` for all inputs together.
    ///
    /// # Errors
    /// No amounts do, up to a thousand for each output.
    pub(crate) fn new(inputs: u64, outputs: u64, fee: u64) -> Result<Self> {
        let totals = outputs.max(inputs)..=outputs.max(inputs).saturating_mul(1_000);
        let shape = totals
            .into_iter()
            .find_map(|total| Some(Self { inputs: compose(total + fee, inputs)?, outputs: compose(total, outputs)? }));
        shape.with_context(|| format!("no amounts fit {inputs} inputs, {outputs} outputs and a fee of {fee}"))
    }
}

/// `total` as exactly `count` powers of two, in ascending order; none when it takes more, or has not that many parts.
pub(crate) fn compose(total: u64, count: u64) -> Option<Vec<u64>> {
    let mut parts: Vec<u64> = (0..u64::BITS).map(|bit| 1 << bit).filter(|part| total & part != 0).collect();
    let count = usize::try_from(count).ok()?;
    if parts.len() > count || total < u64::try_from(count).ok()? {
        return None;
    }
    while parts.len() < count {
        // Halving the largest part keeps all of them alike, and there is one above 1, since the total is large enough.
        let largest = parts.pop()?;
        parts.extend([largest / 2, largest / 2]);
        parts.sort_unstable();
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_fee_equal_counts_go_round() {
        for count in [1, 2, 8, 13] {
            let shape = Shape::new(count, count, 0).expect("there is one");
            assert_eq!(shape.inputs, shape.outputs);
        }
    }

    #[test]
    fn every_shape_balances_and_has_the_counts_asked_for() {
        for (inputs, outputs, fee) in [(2, 2, 0), (2, 2, 1), (8, 8, 1), (1, 10, 1), (10, 1, 0), (3, 2, 1), (500, 2, 50)]
        {
            let shape = Shape::new(inputs, outputs, fee).expect("there is one");
            assert_eq!(shape.inputs.iter().sum::<u64>(), shape.outputs.iter().sum::<u64>() + fee, "{shape:?}");
            let counts = (shape.inputs.len(), shape.outputs.len());
            assert_eq!(counts, (usize::try_from(inputs).expect("small"), usize::try_from(outputs).expect("small")));
            assert!(shape.inputs.iter().chain(&shape.outputs).all(|part| part.is_power_of_two()), "{shape:?}");
        }
    }
}
