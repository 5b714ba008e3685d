//! The floor: what one RSA-2048 signature of the same library costs on the same machine at the same time.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use brevet::keys::signing::GeneratedKey;
use brevet::oauth::SigningAlgorithm;

use crate::Result;
use crate::process::on_cpu;

/// How long one measurement signs.
const SPAN: Duration = Duration::from_millis(200);

/// A key held ready, and what to sign.
pub(crate) struct RawSignature {
    pkcs8: GeneratedKey,
    input: Vec<u8>,
}

impl RawSignature {
    /// Signs what the server signed in that token: the same length of input.
    pub(crate) fn like(token: &str) -> Result<Self> {
        let (input, _signature) = token.rsplit_once('.').ok_or("the server's token is not a JWS")?;
        Ok(Self { pkcs8: GeneratedKey::generate(SigningAlgorithm::Rs256)?, input: input.as_bytes().to_vec() })
    }

    /// Processor time for a signature, in µs, with that many threads signing at once, each with a key of its own.
    pub(crate) fn cpu(&self, threads: usize) -> Result<f64> {
        thread::scope(|scope| {
            let signers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.sign_for(SPAN))).collect();
            let mut all = Duration::ZERO;
            let mut count = 0;
            for signer in signers {
                let (cpu, signed) = signer.join().map_err(|_panic| "a signing thread panicked")??;
                all += cpu;
                count += signed;
            }
            Ok(all.as_secs_f64() * 1e6 / f64::from(count))
        })
    }

    fn sign_for(&self, span: Duration) -> Result<(Duration, u32)> {
        let pair = RsaKeyPair::from_pkcs8(&self.pkcs8.private_key)?;
        let random = SystemRandom::new();
        let mut signature = vec![0; pair.public_modulus_len()];
        let mut sign = || pair.sign(&RSA_PKCS1_SHA256, &random, &self.input, &mut signature);
        // The first ones make the blinding and fill the caches.
        for _ in 0..20 {
            sign()?;
        }
        let mut count = 0;
        let (began, cpu_before) = (Instant::now(), thread_cpu()?);
        while began.elapsed() < span {
            sign()?;
            count += 1;
        }
        Ok((thread_cpu()?.saturating_sub(cpu_before), count))
    }
}

/// Processor time of this thread.
fn thread_cpu() -> Result<Duration> {
    // The kernel brings the count up to date when the thread gives up the processor.
    thread::sleep(Duration::from_micros(50));
    on_cpu(&fs::read_to_string("/proc/thread-self/schedstat")?)
}
