//! SQLite storage for a Cashu mint and a Cashu wallet.
