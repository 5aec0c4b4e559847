//! Reaching the coordinator that the global options name.

use factory_proto::client::{Client, ClientConfig, DEFAULT_URL, Token};

use crate::cli::Global;
use crate::exit::CommandError;

/// A live connection, and what it takes to make it again.
#[derive(Clone)]
pub struct Connection {
    pub client: Client,
    pub config: ClientConfig,
}

impl Connection {
    pub async fn open(global: &Global) -> Result<Self, CommandError> {
        Self::to(config(global)?).await
    }

    pub async fn to(config: ClientConfig) -> Result<Self, CommandError> {
        Ok(Self { client: Client::connect(config.clone()).await?, config })
    }
}

pub fn config(global: &Global) -> Result<ClientConfig, CommandError> {
    let url = named_url(global).unwrap_or(DEFAULT_URL);
    Ok(ClientConfig::new(url, token(global)?))
}

/// The URL someone asked for. A variable set to nothing asks for none.
pub fn named_url(global: &Global) -> Option<&str> {
    global.url.as_deref().filter(|url| !url.is_empty())
}

pub fn token(global: &Global) -> Result<Option<Token>, CommandError> {
    let text = match (&global.token_file, &global.token) {
        (Some(path), _) => {
            let read = std::fs::read_to_string(path);
            let text =
                read.map_err(CommandError::local(format!("cannot read --token-file {}", path.display())))?;
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            if line.is_empty() {
                return Err(CommandError::Usage(format!("--token-file {} holds no token", path.display())));
            }
            line
        }
        (None, Some(token)) if !token.is_empty() => token.clone(),
        (None, _) => return Ok(None),
    };
    Ok(Some(text.parse()?))
}
