//! TLS for the wallet: rustls with ring, and the certificates that the operating system trusts.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::ClientError;

/// The settings for one client. A client for plain `http` gets some that trust nobody, so that it works on machines without
/// certificates.
///
/// # Errors
/// [`ClientError::Certificates`].
pub fn config(https: bool) -> Result<ClientConfig, ClientError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: rustls::Error| ClientError::Certificates(error.to_string());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    let builder = if https {
        builder.with_platform_verifier().map_err(failed)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
