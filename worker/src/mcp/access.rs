//! What an agent needs to reach the endpoint: where it is, and a secret of the attempt's own.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use subtle::ConstantTimeEq;

use crate::spool::{SpoolDir, write_privately};

/// Bytes drawn for a secret.
const DRAWN: usize = 32;

/// Presented as a bearer token. Does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    fn draw() -> io::Result<Self> {
        let mut bytes = [0; DRAWN];
        let mut drawn = 0;
        while drawn < bytes.len() {
            drawn += rustix::rand::getrandom(&mut bytes[drawn..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self(hex::encode(bytes)))
    }

    /// The one of an attempt, drawn where it has none yet. Only this user can read its file.
    pub fn of(spool: &SpoolDir) -> io::Result<Self> {
        if let Some(known) = Self::read(spool)? {
            return Ok(known);
        }
        let secret = Self::draw()?;
        write_privately(&path(spool), secret.0.as_bytes())?;
        Ok(secret)
    }

    /// `None`: the attempt was given none.
    pub fn read(spool: &SpoolDir) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(path(spool)) {
            // One cut off by a crash was given to nobody.
            Ok(text) => Ok((text.len() == 2 * DRAWN).then_some(Self(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the same time whatever was presented, as long as its length is right.
    pub fn is(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where an attempt's secret lies.
fn path(spool: &SpoolDir) -> PathBuf {
    spool.path().join("mcp-secret")
}

/// An agent's way to the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    address: SocketAddr,
    pub secret: Secret,
    /// Has the secret, for programs that are told of it by name.
    pub secret_file: PathBuf,
}

impl Access {
    pub fn new(address: SocketAddr, secret: Secret, spool: &SpoolDir) -> Self {
        Self { address, secret, secret_file: path(spool) }
    }

    /// Of the MCP server.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Where the agent's hook asks for what it has not been told.
    pub fn notices_url(&self) -> String {
        format!("http://{}/notices", self.address)
    }
}
