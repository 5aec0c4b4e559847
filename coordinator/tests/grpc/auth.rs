//! Who may call, and what everyone may ask.

use factory_coordinator::config::AuthToken;
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::setup::{Factory, soon};

async fn list(factory: &Factory, token: Option<&str>) -> Result<(), tonic::Status> {
    let token = token.map(|token| token.parse().expect("a token"));
    let client =
        Client::connect(ClientConfig::new(factory.coordinator.url(), token)).await.expect("it answers");
    soon(client.tasks().list(v1::ListRequest::default())).await.map(drop)
}

#[tokio::test]
async fn only_the_token_opens_and_a_refusal_says_what_to_do() {
    let factory = Factory::start_with(|config| config.token = AuthToken::new("s3cret")).await;
    assert!(list(&factory, Some("s3cret")).await.is_ok());
    for wrong in [None, Some("s3cre"), Some("s3cret2")] {
        let refused = list(&factory, wrong).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unauthenticated, "{wrong:?}");
        assert!(refused.message().contains("FACTORY_AUTH_TOKEN"), "{refused}");
        assert!(!refused.message().contains("s3cret"));
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn health_is_open_over_plain_http() {
    let factory = Factory::start_with(|config| config.token = AuthToken::new("s3cret")).await;
    let mut stream = TcpStream::connect(factory.coordinator.local_addr()).await.expect("connected");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut reply = String::new();
    soon(stream.read_to_string(&mut reply)).await.expect("a reply");
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("\"ok\""), "{reply}");
    factory.coordinator.shutdown().await;
}
