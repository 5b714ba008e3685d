//! With what this process does TLS: chosen here, once, for the server and its commands.

use rustls::crypto::aws_lc_rs::default_provider;

/// Lets every TLS connection of this process use aws-lc-rs, which signs and verifies tokens as well. Called by whatever
/// is about to connect; of several calls the first counts.
pub fn choose_provider() {
    // Installed already: another part of this process was quicker.
    let _installed = default_provider().install_default();
}
