//! What other programs find on the listener: reflection and health.

use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::host::Host;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

#[tokio::test(flavor = "multi_thread")]
async fn reflection_names_every_service() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let channel = Endpoint::from_shared(coordinator.url().to_owned()).expect("a URL").connect().await;
    let mut reflection = ServerReflectionClient::new(channel.expect("a connection"));
    let question = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(question)).await.expect("served");
    let answer = answers.into_inner().message().await.expect("an answer").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(services)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    let names: Vec<String> = services.service.into_iter().map(|service| service.name).collect();
    for service in ["TaskService", "LogService", "WorkerService", "FleetService"] {
        assert!(names.contains(&format!("factory.v1.{service}")), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let channel = Endpoint::from_shared(coordinator.url().to_owned()).expect("a URL").connect().await;
    let mut health = HealthClient::new(channel.expect("a connection"));
    for service in ["", "factory.v1.TaskService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let response = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(response.status(), ServingStatus::Serving, "{service:?}");
    }
}
