//! `factory.v1` on the wire: the generated types and stubs, their conversions
//! to and from the domain, the framing of log records on disk, and the client.

pub mod client;
pub mod convert;
pub mod protocol;
pub mod record;

pub use protocol::PROTOCOL_VERSION;

/// The generated messages, clients and servers of package `factory.v1`.
#[expect(clippy::all, missing_docs, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("factory.v1");

    /// The compiled `.proto` files, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/factory_descriptor.bin"));
}
