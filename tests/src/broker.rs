use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Certificate, Process, free_port};

/// How long Mosquitto may take to listen.
const START: Duration = Duration::from_secs(20);

/// A user name and a password.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// The MQTT user name.
    pub username: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// A second door of a broker, with TLS.
#[derive(Clone, Debug)]
pub struct BrokerTls {
    /// What the broker shows.
    pub certificate: Certificate,
    /// Whom the broker trusts; clients without a certificate of this authority are not let in.
    pub clients_of: Option<PathBuf>,
}

/// A Mosquitto of the test's own, on a loopback port that was free.
pub struct Broker {
    process: Option<Process>,
    folder: TempDir,
    port: u16,
    login: Option<Login>,
    tls: Option<BrokerTls>,
    tls_port: u16,
}

impl Broker {
    /// Starts a broker that lets everyone in.
    pub fn start() -> Result<Self> {
        Self::start_on_free_port(None, None)
    }

    /// Starts a broker that lets in only `login`.
    pub fn start_with_login(login: Login) -> Result<Self> {
        Self::start_on_free_port(Some(login), None)
    }

    /// Starts a broker that lets everyone in at its plain door, and has one with TLS besides.
    pub fn start_with_tls(tls: BrokerTls) -> Result<Self> {
        Self::start_on_free_port(None, Some(tls))
    }

    /// As `[mqtt] url` wants the door with TLS.
    pub fn tls_url(&self) -> String {
        format!("mqtts://127.0.0.1:{}", self.tls_port)
    }

    /// The port it listens on; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a subscriber must say to be let in.
    pub fn login(&self) -> Option<Login> {
        self.login
    }

    /// As `[mqtt] url` wants it.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut would: nothing is said to its clients, nothing is saved.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts it again on the same port, with nothing remembered.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.process = Some(self.launch()?);
        Ok(())
    }

    /// What it said so far.
    pub fn log(&self) -> Vec<String> {
        self.process.as_ref().map(|process| process.stderr.all()).unwrap_or_default()
    }

    fn start_on_free_port(login: Option<Login>, tls: Option<BrokerTls>) -> Result<Self> {
        let mut broker = Self { process: None, folder: TempDir::new()?, port: 0, login, tls, tls_port: 0 };
        // Another test may take the free port first: then another port.
        let mut attempts = 0;
        loop {
            broker.port = free_port()?;
            broker.tls_port = free_port()?;
            attempts += 1;
            match broker.launch() {
                Ok(process) => {
                    broker.process = Some(process);
                    return Ok(broker);
                }
                Err(error) if attempts == 5 => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn launch(&self) -> Result<Process> {
        let path = self.folder.path().join("mosquitto.conf");
        fs::write(&path, self.config()?)?;
        let process = Process::spawn("mosquitto", Command::new(program("mosquitto")).arg("-c").arg(&path))?;
        process.stderr.wait_for("Mosquitto to run", START, |lines| {
            let has = |text: &str| lines.iter().any(|line| line.contains(text));
            if has("Error:") {
                Some(Err(anyhow::anyhow!("Mosquitto: {lines:?}")))
            } else {
                has(" running").then_some(Ok(()))
            }
        })??;
        Ok(process)
    }

    fn config(&self) -> Result<String> {
        // As root, Mosquitto would change to a user who cannot read the test's folder.
        let mut config = format!(
            "user root\nlistener {} 127.0.0.1\npersistence false\nlog_dest stderr\nlog_type all\n",
            self.port
        );
        match self.login {
            None => config.push_str("allow_anonymous true\n"),
            Some(login) => {
                let passwords = self.folder.path().join("passwords");
                if !passwords.exists() {
                    let made = Command::new(program("mosquitto_passwd"))
                        .args(["-b", "-c"])
                        .arg(&passwords)
                        .args([login.username, login.password])
                        .output()
                        .context("starting mosquitto_passwd")?;
                    ensure!(
                        made.status.success(),
                        "mosquitto_passwd: {}",
                        String::from_utf8_lossy(&made.stderr)
                    );
                }
                config.push_str(&format!("allow_anonymous false\npassword_file {}\n", passwords.display()));
            }
        }
        if let Some(BrokerTls { certificate, clients_of }) = &self.tls {
            config.push_str(&format!(
                "listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
                self.tls_port,
                certificate.certificate.display(),
                certificate.key.display(),
            ));
            if let Some(authority) = clients_of {
                config.push_str(&format!("cafile {}\nrequire_certificate true\n", authority.display()));
            }
        }
        Ok(config)
    }
}

/// Debian installs the broker in a folder that is not on a user's path.
fn program(name: &str) -> String {
    let installed = format!("/usr/sbin/{name}");
    if fs::exists(&installed).unwrap_or(false) { installed } else { name.to_owned() }
}
