//! What is made once, however often it is asked for.

/// A thing that a call made, or that one before made under the same idempotency key.
#[derive(Debug)]
pub struct Once<T> {
    pub thing: T,
    pub existed: bool,
}
