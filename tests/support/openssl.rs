//! Keys, certificates and signatures by the `openssl` command: none by the code under test, nor by a library that it uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tools::{or_skip, run};

/// From before the clock of tests begins until long after it.
pub const VALID: (&str, &str) = ("20260101000000Z", "20360101000000Z");
pub const SIGNER: &str = "keyUsage = digitalSignature\nextendedKeyUsage = clientAuth\nsubjectAltName = DNS:signer.example,URI:spiffe://acme/signer";
pub const AUTHORITY: &str = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign";

/// A directory in which `openssl` works.
pub struct Openssl {
    home: TempDir,
    made: AtomicU32,
}

/// A certificate in a file, and the file with its key.
#[derive(Clone)]
pub struct Made {
    pub certificate: PathBuf,
    pub key: PathBuf,
    name: String,
}

/// What a certificate shall be.
pub struct Order<'a> {
    pub name: &'a str,
    pub extensions: &'a str,
    pub valid: (&'a str, &'a str),
    pub digest: &'a str,
    pub key: &'a Path,
}

impl Made {
    pub fn pem(&self) -> String {
        fs::read_to_string(&self.certificate).unwrap()
    }

    /// As it stands in `x5c`.
    pub fn base64(&self) -> String {
        self.pem().lines().filter(|line| !line.starts_with("-----")).collect()
    }
}

impl Openssl {
    pub fn new() -> Option<Self> {
        or_skip("openssl", run(Command::new("openssl").arg("version")))?;
        Some(Self { home: tempfile::tempdir().unwrap(), made: AtomicU32::new(0) })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What it prints.
    pub fn run(&self, args: &[&str]) -> String {
        let ran = run(Command::new("openssl").args(args).current_dir(self.home.path())).unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }

    pub fn key(&self, bits: u32) -> PathBuf {
        let path = self.path(&format!("key-{}.pem", self.next()));
        self.run(&["genrsa", "-out", path.to_str().unwrap(), &bits.to_string()]);
        path
    }

    /// The number that an RSA key is known by.
    pub fn modulus(&self, key: &Path) -> Vec<u8> {
        let printed = self.run(&["rsa", "-in", key.to_str().unwrap(), "-noout", "-modulus"]);
        let digits = printed.trim().strip_prefix("Modulus=").unwrap().as_bytes();
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect()
    }

    fn next(&self) -> u32 {
        self.made.fetch_add(1, Ordering::SeqCst)
    }

    /// Where what an authority of that name issued is written down.
    fn configuration(&self, authority: &str, extensions: &str) -> String {
        let index = self.path(&format!("index-{authority}.txt"));
        if !index.exists() {
            fs::write(&index, "").unwrap();
        }
        let numbers = index.with_extension("number");
        if !numbers.exists() {
            fs::write(&numbers, "01\n").unwrap();
        }
        let (home, index, numbers) = (self.home.path().display(), index.display(), numbers.display());
        let text = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\nnew_certs_dir = {home}\nrand_serial = yes\nunique_subject = no\n\
             policy = any\ndefault_md = sha256\ndefault_crl_days = 30\ncrlnumber = {numbers}\n[any]\ncommonName = supplied\n[req]\n\
             distinguished_name = dn\n[dn]\n[ext]\n{extensions}\n"
        );
        let path = self.path(&format!("ca-{}.cnf", self.next()));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A certificate by that authority or, without one, by itself.
    pub fn certify(&self, by: Option<&Made>, order: &Order<'_>) -> Made {
        let number = self.next();
        let (request, certificate) = (self.path(&format!("{number}.csr")), self.path(&format!("{number}.pem")));
        let (request, shown) = (request.to_str().unwrap(), certificate.to_str().unwrap());
        let authority = by.map_or("itself", |by| &by.name).replace(' ', "-");
        let configuration = self.configuration(&authority, order.extensions);
        let (key, subject) = (order.key.to_str().unwrap(), format!("/CN={}", order.name));
        self.run(&["req", "-new", "-key", key, "-subj", &subject, "-config", &configuration, "-out", request]);
        let mut args = vec!["ca", "-batch", "-notext", "-config", &configuration, "-in", request, "-out", shown];
        args.extend([
            "-startdate",
            order.valid.0,
            "-enddate",
            order.valid.1,
            "-md",
            order.digest,
            "-extensions",
            "ext",
        ]);
        match by {
            Some(by) => args.extend(["-keyfile", by.key.to_str().unwrap(), "-cert", by.certificate.to_str().unwrap()]),
            None => args.extend(["-selfsign", "-keyfile", key]),
        }
        self.run(&args);
        Made { certificate, key: order.key.to_owned(), name: order.name.to_owned() }
    }

    pub fn authority(&self, name: &str) -> Made {
        let key = self.key(2048);
        self.certify(None, &Order { extensions: AUTHORITY, ..order(name, &key) })
    }

    /// A certificate that nobody vouches for, as it is pinned.
    pub fn pinned(&self, name: &str) -> Made {
        let key = self.key(2048);
        self.certify(None, &order(name, &key))
    }

    /// Calls a certificate back, and gives the list that says so.
    pub fn revoke(&self, by: &Made, revoked: &Made) -> String {
        let configuration = self.configuration(&by.name.replace(' ', "-"), "");
        let list = self.path(&format!("list-{}.pem", self.next()));
        let (key, own) = (by.key.to_str().unwrap(), by.certificate.to_str().unwrap());
        let common = ["ca", "-config", &configuration, "-keyfile", key, "-cert", own];
        self.run(&[&common[..], &["-revoke", revoked.certificate.to_str().unwrap()]].concat());
        self.run(&[&common[..], &["-gencrl", "-out", list.to_str().unwrap()]].concat());
        fs::read_to_string(list).unwrap()
    }

    /// The signature of RS256.
    pub fn signature(&self, key: &Path, message: &[u8]) -> Vec<u8> {
        let number = self.next();
        let (text, signature) = (self.path(&format!("{number}.txt")), self.path(&format!("{number}.sig")));
        fs::write(&text, message).unwrap();
        let (text, output) = (text.to_str().unwrap(), signature.to_str().unwrap());
        self.run(&["dgst", "-sha256", "-sign", key.to_str().unwrap(), "-out", output, text]);
        fs::read(signature).unwrap()
    }

    /// Signs with RS256.
    pub fn sign(&self, key: &Path, mut header: Value, claims: &Value) -> String {
        header["alg"] = json!("RS256");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.signature(key, signed.as_bytes())))
    }

    /// Signs with the key of the first of these, which stand in the header.
    pub fn sign_with_chain(&self, chain: &[&Made], claims: &Value) -> String {
        let x5c: Vec<String> = chain.iter().map(|made| made.base64()).collect();
        self.sign(&chain[0].key, json!({ "x5c": x5c }), claims)
    }
}

/// A usual signer.
pub fn order<'a>(name: &'a str, key: &'a Path) -> Order<'a> {
    Order { name, extensions: SIGNER, valid: VALID, digest: "sha256", key }
}
