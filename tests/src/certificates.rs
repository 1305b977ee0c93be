use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// An authority of the test's own, made with `openssl`, and certificates of it.
pub struct Certificates {
    folder: TempDir,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

const CONFIG: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nnew_certs_dir = .\ncertificate = ca.pem\n\
    private_key = ca.key\nrand_serial = yes\ndefault_md = sha256\npolicy = any\nunique_subject = no\n\
    [any]\ncommonName = supplied\n\
    [extensions]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n";

impl Certificates {
    /// Makes the authority.
    pub fn new() -> Result<Self> {
        let certificates = Self { folder: TempDir::new()? };
        fs::write(certificates.path("ca.conf"), CONFIG)?;
        fs::write(certificates.path("index.txt"), "")?;
        certificates.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority")?;
        Ok(certificates)
    }

    /// The authority's own certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate for 127.0.0.1, or for a client called `name`, that is valid now.
    pub fn issue(&self, name: &str) -> Result<Certificate> {
        self.issue_from_to(name, "20200101000000Z", "20991231235959Z")
    }

    /// One that was valid until long ago.
    pub fn issue_expired(&self, name: &str) -> Result<Certificate> {
        self.issue_from_to(name, "20200101000000Z", "20200201000000Z")
    }

    fn issue_from_to(&self, name: &str, from: &str, to: &str) -> Result<Certificate> {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ))?;
        self.openssl(&format!(
            "ca -batch -notext -config ca.conf -extensions extensions -startdate {from} -enddate {to} -in {name}.csr -out {name}.pem"
        ))?;
        Ok(Certificate {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        })
    }

    fn openssl(&self, arguments: &str) -> Result<()> {
        let made = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .context("starting openssl")?;
        ensure!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}
