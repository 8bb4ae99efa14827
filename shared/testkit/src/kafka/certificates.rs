//! Certificates for a broker and its clients, made with the `openssl` command for one test and thrown away with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::text;

/// PEM files: a certificate authority, and what it signed.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// The certificate of the authority that signed the broker's: what a client must trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// A client's certificate, signed by that authority; its name is `CN=client`.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.pem")
    }

    /// The key of the client's certificate.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client.key")
    }

    /// The certificate of another authority, which signed nothing here: a client that trusts it must refuse.
    #[must_use]
    pub fn stranger(&self) -> PathBuf {
        self.folder.join("stranger.pem")
    }

    pub(super) fn make(folder: &Path) -> Self {
        fs::create_dir(folder).expect("a folder for certificates can be made");
        let made = Self { folder: folder.to_owned() };
        made.issue("authority", None);
        made.issue("stranger", None);
        made.issue("broker", Some("subjectAltName=IP:127.0.0.1,DNS:localhost"));
        made.issue("client", Some("extendedKeyUsage=clientAuth"));
        // Kafka wants the key and the certificate of its own side in one file.
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect("openssl has written it");
        fs::write(folder.join("broker-store.pem"), read("broker.key") + &read("broker.pem"))
            .expect("the broker's certificate can be written");
        made
    }

    /// Without an extension: an authority, signed by itself.
    fn issue(&self, name: &str, extension: Option<&str>) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let mut args = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        args.extend(["-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate]);
        if let Some(extension) = extension {
            args.extend(["-CA", "authority.pem", "-CAkey", "authority.key", "-addext", extension]);
            args.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        let output = Command::new("openssl").args(&args).current_dir(&self.folder).output();
        let output = output.unwrap_or_else(|error| panic!("openssl does not run: {error}. Run deploy/setup.sh test"));
        assert!(output.status.success(), "openssl failed in {}: {output:?}", text(&self.folder));
    }
}
