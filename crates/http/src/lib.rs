//! The Cashu HTTP API, both ends: an axum router for a mint, a client for a wallet.
