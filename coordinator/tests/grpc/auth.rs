//! Who may call, and what everyone may ask.

use factory_coordinator::config::AuthToken;
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

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

#[tokio::test]
async fn health_and_reflection_are_served_over_grpc() {
    let factory = Factory::start().await;
    let endpoint = tonic::transport::Endpoint::from_shared(factory.coordinator.url()).expect("a URL");
    let channel = soon(endpoint.connect()).await.expect("it answers");
    for service in ["", "factory.v1.TaskService", "factory.v1.WorkerService"] {
        let mut health = HealthClient::new(channel.clone());
        let reply =
            soon(health.check(HealthCheckRequest { service: service.to_owned() })).await.expect(service);
        assert_eq!(reply.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let replies = soon(reflection.server_reflection_info(tokio_stream::iter([ask]))).await.expect("a stream");
    let reply = soon(replies.into_inner().message()).await.expect("no error").expect("a reply");
    let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else {
        panic!("instead of a list: {reply:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["TaskService", "LogService", "WorkerService", "FleetService"] {
        assert!(names.contains(&format!("factory.v1.{name}")), "{names:?}");
    }
}
