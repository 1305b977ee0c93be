//! Who may talk to whom, and what becomes of a broker that does not.

use std::{fs, time::Duration};

use anyhow::Result;
use belvedere_tests::{
    Broker, BrokerTls, Certificates, Daemon, SilentServer, SmallCheckpoint, Subscriber, belvedere,
};
use tempfile::TempDir;

use crate::scene::{WITHIN, assert_ends_well};

/// A configuration with these lines under `[mqtt]`.
fn config(checkpoint: &SmallCheckpoint, mqtt: &str) -> String {
    format!(
        "[mqtt]\n{mqtt}\n[model]\npath = {:?}\n[[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
        checkpoint.path(),
    )
}

fn wait_for_log(daemon: &Daemon, text: &str) -> Result<()> {
    daemon.process.stderr.wait_for(&format!("{text:?} in the log"), WITHIN, |lines| {
        lines.iter().any(|line| line.contains(text)).then_some(())
    })
}

#[test]
fn a_broker_that_wants_certificates_lets_in_who_has_one_and_nobody_else() -> Result<()> {
    let certificates = Certificates::new()?;
    let tls =
        BrokerTls { certificate: certificates.issue("broker")?, clients_of: Some(certificates.authority()) };
    let broker = Broker::start_with_tls(tls)?;
    let subscriber = Subscriber::start(&broker)?;
    let checkpoint = SmallCheckpoint::write()?;
    let door = format!("url = {:?}\nca_file = {:?}\n", broker.tls_url(), certificates.authority());

    let mut stranger = Daemon::start(&config(&checkpoint, &door))?;
    wait_for_log(&stranger, "broker cannot be reached")?;
    assert_ends_well(&mut stranger)?;
    assert!(subscriber.messages().iter().all(|message| !message.topic.starts_with("belvedere")));

    let client = certificates.issue("client")?;
    let door = format!(
        "{door}client_certificate_file = {:?}\nclient_key_file = {:?}\n",
        client.certificate, client.key
    );
    let mut known = Daemon::start(&config(&checkpoint, &door))?;
    subscriber.wait_for_payload(0, "belvedere/available", "online", WITHIN)?;
    assert_ends_well(&mut known)?;
    subscriber.wait_for_payload(0, "belvedere/available", "offline", WITHIN)?;
    Ok(())
}

#[test]
fn an_expired_certificate_and_one_of_a_strange_authority_are_refused_and_named() -> Result<()> {
    let (certificates, others) = (Certificates::new()?, Certificates::new()?);
    let checkpoint = SmallCheckpoint::write()?;
    for (certificate, complaint) in
        [(certificates.issue_expired("broker")?, "expired"), (others.issue("broker")?, "UnknownIssuer")]
    {
        let broker = Broker::start_with_tls(BrokerTls { certificate, clients_of: None })?;
        let subscriber = Subscriber::start(&broker)?;
        let door = format!("url = {:?}\nca_file = {:?}\n", broker.tls_url(), certificates.authority());
        let mut daemon = Daemon::start(&config(&checkpoint, &door))?;
        daemon.process.stderr.wait_for(complaint, WITHIN, |lines| {
            let names = |line: &String| line.to_lowercase().contains(&complaint.to_lowercase());
            lines.iter().any(names).then_some(())
        })?;
        assert_ends_well(&mut daemon)?;
        assert!(subscriber.messages().iter().all(|message| !message.topic.starts_with("belvedere")));
    }
    Ok(())
}

#[test]
fn a_broker_that_stops_answering_in_the_middle_is_given_up_and_tried_again() -> Result<()> {
    let certificates = Certificates::new()?;
    let checkpoint = SmallCheckpoint::write()?;
    let (plain, with_tls) = (SilentServer::start()?, SilentServer::start()?);
    // One says nothing after CONNECT, the other nothing after the first message of the TLS handshake.
    let doors = [
        format!("url = \"mqtt://{}\"\n", plain.address()),
        format!("url = \"mqtts://{}\"\nca_file = {:?}\n", with_tls.address(), certificates.authority()),
    ];
    let mut daemons: Vec<Daemon> =
        doors.iter().map(|door| Daemon::start(&config(&checkpoint, door))).collect::<Result<_>>()?;
    for (daemon, server) in daemons.iter().zip([&plain, &with_tls]) {
        server.accepted().wait_for("a second try", WITHIN, |peers| (peers.len() >= 2).then_some(()))?;
        wait_for_log(daemon, "does not answer in time")?;
    }
    for daemon in &mut daemons {
        assert_ends_well(daemon)?;
    }
    Ok(())
}

#[test]
fn a_password_in_the_clear_for_a_broker_elsewhere_is_a_mistake_unless_it_is_meant() -> Result<()> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("password"), "s3cret")?;
    let path = folder.path().join("belvedere.toml");
    let check = |more: &str| {
        let config = format!(
            "[mqtt]\nurl = \"mqtt://broker.example\"\nusername = \"u\"\npassword_file = {:?}\n{more}\n\
             [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
            folder.path().join("password"),
        );
        fs::write(&path, config)?;
        belvedere(&["check", "--config", &path.to_string_lossy()], Duration::from_secs(30))
    };
    let refused = check("")?;
    refused.assert_fails_saying(78, &["belvedere.toml:2: mqtt.url", "allow_plain_text_password"]);
    assert!(!refused.stderr.contains("s3cret"), "{refused:#?}");
    let meant = check("allow_plain_text_password = true")?;
    assert_eq!(meant.status.code(), Some(0), "{meant:#?}");
    Ok(())
}

#[test]
fn a_client_key_that_is_none_is_a_mistake_that_check_finds_and_does_not_show() -> Result<()> {
    let certificates = Certificates::new()?;
    let folder = TempDir::new()?;
    let client = certificates.issue("client")?;
    let key = folder.path().join("key.pem");
    fs::write(&key, "-----BEGIN s3cret-----\n")?;
    let path = folder.path().join("belvedere.toml");
    let config = format!(
        "[mqtt]\nurl = \"mqtts://broker.example\"\nca_file = {:?}\nclient_certificate_file = {:?}\nclient_key_file = {key:?}\n\
         [[camera]]\nname = \"porch\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n",
        certificates.authority(),
        client.certificate,
    );
    fs::write(&path, config)?;
    let refused = belvedere(&["check", "--config", &path.to_string_lossy()], Duration::from_secs(30))?;
    refused.assert_fails_saying(78, &["mqtt.client_key_file", "key.pem"]);
    assert!(!refused.stderr.contains("s3cret"), "{refused:#?}");
    Ok(())
}
