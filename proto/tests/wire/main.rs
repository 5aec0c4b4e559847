//! Old releases are out there: what they say on the wire keeps its meaning.
//!
//! `protocol_1.txt` has every rpc, field and value of the wire as the releases of protocol 1 know it.
//! More may come. What is there stays as it is, for as long as the version is spoken; the file is never
//! edited, and a new version of the protocol brings one of its own.

use std::collections::BTreeSet;

use factory_proto::v1;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

const PROTOCOL_1: &str = include_str!("protocol_1.txt");

#[test]
fn all_of_protocol_1_is_still_there() {
    let spoken = spoken();
    let gone: Vec<&str> = PROTOCOL_1.lines().filter(|line| !spoken.contains(*line)).collect();
    assert!(gone.is_empty(), "of protocol 1 these are gone or changed: {gone:#?}");
}

/// One line each, as in the file.
fn spoken() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).expect("descriptors").file;
    files.iter().filter(|file| file.package() == "factory.v1").flat_map(of_file).collect()
}

fn of_file(file: &FileDescriptorProto) -> Vec<String> {
    let mut lines: Vec<String> = file.message_type.iter().flat_map(of_message).collect();
    for kind in &file.enum_type {
        let value = |value: &prost_types::EnumValueDescriptorProto| {
            format!("enum {} {} {}", kind.name(), value.number(), value.name())
        };
        lines.extend(kind.value.iter().map(value));
    }
    for service in &file.service {
        for rpc in &service.method {
            let stream = |streams| if streams { "stream " } else { "" };
            lines.push(format!(
                "rpc {}.{} {}{} -> {}{}",
                service.name(),
                rpc.name(),
                stream(rpc.client_streaming()),
                short(rpc.input_type()),
                stream(rpc.server_streaming()),
                short(rpc.output_type()),
            ));
        }
    }
    lines
}

fn of_message(message: &DescriptorProto) -> Vec<String> {
    let line = |field: &FieldDescriptorProto| {
        let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
        format!("message {} {} {} {repeated}{}", message.name(), field.number(), field.name(), kind(field))
    };
    message.field.iter().map(line).collect()
}

/// The field's type as the `.proto` names it.
fn kind(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => short(field.type_name()).to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// What a later release may add: a field, and a value.
#[derive(Clone, PartialEq, Message)]
struct LaterVerdict {
    #[prost(string, tag = "1")]
    attempt_id: String,
    #[prost(int32, tag = "2")]
    verdict: i32,
    #[prost(string, tag = "500")]
    more: String,
}

#[test]
fn what_is_not_known_here_is_left_aside() {
    let later =
        LaterVerdict { attempt_id: "an attempt".to_owned(), verdict: 99, more: "and more".to_owned() };
    let read = v1::HeldVerdict::decode(later.encode_to_vec().as_slice()).expect("a message");
    assert_eq!((read.attempt_id.as_str(), read.verdict()), ("an attempt", v1::Verdict::Unspecified));
    // A message of a later kind on the session: field 500 of SessionResponse.
    let message = [&[0xa2, 0x1f, 0x02], &b"hi"[..]].concat();
    assert_eq!(v1::SessionResponse::decode(message.as_slice()).expect("a message").message, None);
}
