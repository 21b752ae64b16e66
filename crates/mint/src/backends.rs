//! Payment methods and who serves each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hazel_protocol::PaymentMethod;

use crate::error::{Group, MintError};
use crate::ports::Payments;

/// The backend of each payment method (NUT-04, NUT-05). Several methods may share one.
///
/// Each method has a stream of settlements of its own, and credits only quotes of its own.
#[derive(Clone, Default)]
pub struct Backends(BTreeMap<PaymentMethod, Arc<dyn Payments>>);

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Backends {
    /// Lightning invoices alone (NUT-23).
    pub fn bolt11(payments: Arc<dyn Payments>) -> Self {
        Self::default().with(PaymentMethod::bolt11(), payments)
    }

    /// These and one more; a second backend of a method takes the first one's place.
    #[must_use]
    pub fn with(mut self, method: PaymentMethod, payments: Arc<dyn Payments>) -> Self {
        self.0.insert(method, payments);
        self
    }

    /// The methods, in the order of their names.
    pub fn methods(&self) -> impl Iterator<Item = &PaymentMethod> {
        self.0.keys()
    }

    /// Who serves `method`.
    ///
    /// # Errors
    /// Nobody does.
    pub(crate) fn of(&self, method: &str) -> Result<&Arc<dyn Payments>, MintError> {
        let unsupported =
            || MintError::invalid(Group::Request, "this payment method is not supported, see GET /v1/info");
        self.0.get(method).ok_or_else(unsupported)
    }
}
