//! How busy a worker's host is, from its heartbeat to whoever asks.

use factory_proto::v1;
use uuid::Uuid;

use crate::setup::{Factory, Worker, hello, soon};

async fn shown(factory: &Factory) -> Option<v1::HostLoad> {
    let request = v1::GetWorkerRequest { worker: "hand".into() };
    let reply = soon(factory.client.fleet().get_worker(request)).await.expect("found");
    reply.into_inner().worker.expect("a worker").load
}

#[tokio::test]
async fn the_newest_heartbeat_tells_for_as_long_as_its_session_is_open() {
    let factory = Factory::start().await;
    let words = hello(Uuid::now_v7());
    let worker = Worker::connect_as(&factory.client, words.clone()).await.expect("welcome");
    assert_eq!(shown(&factory).await, None, "it has not said");
    for average in [150, 3] {
        let load = v1::HostLoad {
            load_1m_hundredths: average,
            cpus: 8,
            memory_total_bytes: 4 << 30,
            memory_available_bytes: 1 << 30,
            disk_total_bytes: 100 << 30,
        };
        let request = v1::HeartbeatRequest {
            worker_id: words.worker_id.clone(),
            session_id: words.session_id.clone(),
            free_disk_bytes: 1,
            load: Some(load),
            ..v1::HeartbeatRequest::default()
        };
        soon(worker.client().worker().heartbeat(request)).await.expect("an answer");
        assert_eq!(shown(&factory).await, Some(load));
    }
    // A worker of a release, or on a host, that does not tell.
    worker.heartbeat(&words.session_id, Vec::new()).await;
    assert_eq!(shown(&factory).await, None);
}
